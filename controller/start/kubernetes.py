"""The API server as a source of manifests: its location, and the wait for its first answer."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from controller.kubernetes import MANIFESTS
from controller.settings import Settings
from controller.start.checks import Refused
from dualpath.model.view import ResourceStatus
from dualpath.process.lifetime import live

if TYPE_CHECKING:  # its HTTP client is installed only with Kubernetes support
    from controller.kubernetes.agent import Agent

log = logging.getLogger(__name__)

LOOK_S = 0.1


def node_name(given: str | None) -> str:
    """Return the name of this node's Node object: as given, as the pod's NODE_NAME, or our own."""
    return given or os.environ.get("NODE_NAME") or socket.gethostname()


def agent(
    settings: Settings,
    statuses: Callable[[], Iterable[ResourceStatus]],
    revision: Callable[[], str] = str,
) -> Agent:
    """Return the agent that follows the API server. Raises Refused if there is no API server."""
    try:
        from controller.kubernetes.agent import NAMESPACE, Agent
        from controller.kubernetes.client import Client
        from controller.kubernetes.cluster import ClusterError, from_kubeconfig, in_cluster
        from controller.start.statics import StaticFiles
    except ModuleNotFoundError as error:
        raise Refused(
            f"--kubernetes needs {error.name}: pip install 'dualpath[kubernetes]'"
        ) from None
    try:
        cluster = from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster()
    except ClusterError as error:
        raise Refused(f"--kubernetes: {error}") from None
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line for each request
    name = node_name(settings.node_name)
    namespace = cluster.namespace or NAMESPACE
    files = StaticFiles(settings, name)
    return Agent(
        Client(cluster),
        name,
        settings.mirror,
        statuses,
        revision,
        namespace=namespace,
        files=files.read,
    )


def wait(settings: Settings) -> None:
    """Return once a resource is mirrored: at once if an earlier run left one.

    Raises Refused, also if the controller is stopped meanwhile.
    """
    following = agent(settings, tuple)  # refuses wrong options before anything is changed
    manifests = settings.mirror / MANIFESTS
    if _mirrored(manifests):
        log.info("starting from the last known objects")
        return

    async def first() -> None:
        task = asyncio.create_task(following.run())
        logged = ""
        try:
            while not _mirrored(manifests):
                problem = following.problem or "waiting for an Underlay in the API"
                if problem != logged:
                    log.info("%s", problem)
                    logged = problem
                if task.done():
                    await task
                await asyncio.sleep(LOOK_S)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(live(first()))
    if not _mirrored(manifests):
        raise Refused("stopped before the API server had a resource for this node")


def _mirrored(directory: Path) -> bool:
    """Return whether an Underlay and the Node exist, which a start needs."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return False
    return "node.json" in names and any(name.startswith("underlay.") for name in names)
