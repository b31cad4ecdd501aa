"""`controller`: parses options, checks the machine, builds the objects, and runs them."""

from __future__ import annotations

import asyncio
import logging
import sys

from controller.dryrun.run import rehearse
from controller.intent.documents import ManifestError
from controller.intent.node import Namespaces
from controller.manifests.confirmation import Before, Confirmation, Unconfirmed
from controller.manifests.rollback import UNCONFIRMED, roll_back
from controller.manifests.source import Manifests
from controller.metrics.http import MetricsError
from controller.node import namespacerecord
from controller.node.namespaces import NamespacePair, ensure_namespaces
from controller.node.statedir import Note
from controller.node.supervisor import Useless
from controller.node.teardown import nics_of
from controller.settings import Settings, parse
from controller.start import checks, kubernetes
from controller.start.backends import BACKENDS
from controller.start.checks import Refused
from controller.start.daemon import Daemon
from datapaths.base import DatapathError
from datapaths.linux import netns
from dualpath.process import logs
from dualpath.process.lifetime import Broken, live, raise_descriptors
from dualpath.process.lock import Held, alone
from dualpath.process.notify import Notifier
from dualpath.rpc import listen
from dualpath.rpc.connect import ConnectError

log = logging.getLogger("controller")

EXPECTED = (ConnectError, DatapathError, listen.ListenError, MetricsError, OSError)


def main() -> None:
    settings = parse(sys.argv[1:])
    logs.start(settings.log_level, settings.log_format)
    raise_descriptors()
    try:
        checks.check_root()
        if settings.dry_run:
            sys.exit(_dry_run(settings))
        checks.check_state_dir(settings)
        with alone(settings.state_dir / "controller.lock") as lock:
            _start(settings, lock)
    except Unconfirmed:
        sys.exit(UNCONFIRMED)
    except Held:
        sys.exit(
            f"controller: another controller runs with --state-dir {settings.state_dir}; stop that "
            "one, or choose another directory here"
        )
    except (Broken, Useless):
        sys.exit(1)
    except Refused as refused:
        sys.exit(f"controller: {refused}")
    except ManifestError as error:
        sys.exit("\n".join(f"controller: {violation}" for violation in error.violations))
    except EXPECTED as error:
        sys.exit(f"controller: {error}")


def _dry_run(settings: Settings) -> int:
    report = rehearse(settings)
    sys.stdout.write(report.as_json() + "\n" if settings.as_json else report.as_text())
    return report.code


def _start(settings: Settings, lock: Note) -> None:
    if settings.kubernetes:
        kubernetes.wait(settings)
    manifests = Manifests(settings) if settings.config else None
    resources = checks.load(settings, manifests) if manifests else None
    named = resources.node.namespaces if resources else Namespaces()
    namespaces = checks.namespaces_of(settings, named)
    checks.check_namespaces(namespaces)
    checks.check_listeners(settings, namespaces.control)
    host = resources.node.namespaces.host if resources else ""
    confirmation = _confirmation(settings, namespaces, manifests) if manifests else None
    try:
        asyncio.run(_run(settings, namespaces, host, manifests, confirmation, lock))
    except Unconfirmed:
        roll_back(settings.state_dir)
        log.error("not confirmed in time: gave back everything that could be given back; ending")
        raise


def _confirmation(
    settings: Settings, namespaces: NamespacePair, manifests: Manifests
) -> Confirmation:
    left = namespacerecord.read(settings.state_dir)
    present = left is not None and netns.exists(namespaces.forwarding)
    first = not present or not manifests.versions.good.items
    before = Before(first=first, nics=nics_of(left))
    return Confirmation(settings, manifests, namespaces.forwarding, before)


async def _run(
    settings: Settings,
    namespaces: NamespacePair,
    host: str,
    manifests: Manifests | None,
    confirmation: Confirmation | None,
    lock: Note,
) -> None:
    notifier = Notifier()
    backend = BACKENDS[settings.datapath](
        settings, namespaces, host
    )  # refuses a datapath that cannot work here
    if confirmation:
        confirmation.begin()
    namespaces = namespacerecord.release_pods_name(settings.state_dir, namespaces)
    write_record_again = namespacerecord.write(settings.state_dir, namespaces, host)
    ensure_namespaces(namespaces)
    if confirmation:
        confirmation.keep_sessions()
    intent = manifests.compile(namespaces) if manifests else None
    daemon = Daemon(settings, namespaces, backend, intent, manifests, confirmation)
    daemon.directory.notes += [lock, write_record_again]
    daemon.notifier = notifier
    await live(daemon.run(), notifier)
    log.info("stopped; the datapath keeps forwarding")


if __name__ == "__main__":
    main()
