"""The objects of one scenario: dumped when it fails, removed when it ends."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.lab import namespaces
from tests.lab.frr import CONFIGURATION, RUN, Frr, Settings
from tests.lab.namespaces import NETNS_DIRECTORY, USERNS_DIRECTORY, Namespace
from tests.lab.ping import RATE_PER_S, PingFlow
from tests.lab.processes import Daemon

STATE = Path("/run/dualpath")
LOGS = STATE / "logs"


class Scenario:
    """Creates namespaces, routers and daemons, and removes them in reverse order."""

    def __init__(self) -> None:
        self.routers: list[Frr] = []
        self._daemons: list[Daemon] = []
        self._flows: list[PingFlow] = []

    def namespace(self, name: str) -> Namespace:
        return namespaces.create(name)

    def isolated_namespace(self, name: str) -> Namespace:
        """Make a namespace owned by a user namespace of its own: FRR's place."""
        return namespaces.create_isolated(name)

    def frr(self, name: str, namespace: Namespace, settings: Settings) -> Frr:
        """Make an FRR; the caller starts it."""
        frr = Frr(name, namespace, LOGS, settings)
        self.routers.append(frr)
        return frr

    def daemon(self, name: str, argv: Sequence[str], program: str = "") -> Daemon:
        """Make a daemon, to be started by the caller; its output goes to a log named like it."""
        daemon = Daemon(name, argv, LOGS / f"{name}.log", program)
        self._daemons.append(daemon)
        return daemon

    def link(self, near: Namespace, name: str, far: Namespace, far_name: str) -> None:
        """Connect two namespaces by a cable: a veth pair, both ends up."""
        words = ["type", "veth", "peer", "name", far_name, "netns", far.name]
        near.ip("link", "add", name, *words)
        near.ip("link", "set", name, "up")
        far.ip("link", "set", far_name, "up")

    def flow(self, source: Namespace, target: str, rate_per_s: float = RATE_PER_S) -> PingFlow:
        flow = PingFlow(source, target, rate_per_s)
        self._flows.append(flow)
        return flow

    def clean(self) -> None:
        """End and remove every object, whoever created it: the lab runs one scenario at a time."""
        for flow in self._flows:
            flow.abandon()
        for daemon in reversed(self._daemons):
            daemon.stop()
        for frr in reversed(self.routers):
            frr.stop()
        for namespace in _all():
            namespaces.kill_inside(namespace)
            namespaces.delete(namespace)
        for directory in (STATE, RUN, CONFIGURATION):
            for path in directory.glob("*"):
                if path == USERNS_DIRECTORY:
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _all() -> list[Namespace]:
    return [namespaces.existing(path.name) for path in NETNS_DIRECTORY.glob("*")]
