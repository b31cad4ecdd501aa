"""`dualpath-operator`: reads settings, finds the cluster, and runs."""

from __future__ import annotations

import asyncio
import logging
import sys

from controller.operator.settings import PROG, Settings, parse
from dualpath.process import logs
from dualpath.process.lifetime import Broken, live, raise_descriptors


def main() -> None:
    settings = parse(sys.argv[1:])
    logs.start(settings.log_level, settings.log_format)
    raise_descriptors()
    try:
        asyncio.run(_run(settings))
    except Broken:
        sys.exit(1)
    except OSError as error:
        sys.exit(f"{PROG}: {error}")


async def _run(settings: Settings) -> None:
    try:
        from controller.kubernetes.client import Client
        from controller.kubernetes.cluster import ClusterError, from_kubeconfig, in_cluster
        from controller.operator.program import Program
    except ModuleNotFoundError as error:
        sys.exit(f"{PROG}: needs {error.name}: pip install 'dualpath[operator]'")
    try:
        cluster = from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster()
    except ClusterError as error:
        sys.exit(f"{PROG}: {error}")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line for each request
    await live(Program(Client(cluster), settings).run())


if __name__ == "__main__":
    main()
