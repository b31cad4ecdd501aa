"""A GoBGP: on a host it only announces, as in KubeVIP and Cilium; in a fabric it speaks EVPN."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.namespaces import Namespace
from tests.lab.processes import CommandFailed, Daemon
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

RUN = Path("/run/dualpath")


@dataclass(frozen=True, slots=True)
class Neighbor:
    address: str
    asn: int
    families: tuple[str, ...]  # as GoBGP calls them: "ipv4-unicast", "l2vpn-evpn"


@dataclass(frozen=True, slots=True)
class Settings:
    asn: int
    router_id: str
    neighbors: tuple[Neighbor, ...]
    port: int = -1  # nobody may call, as Cilium has it


class Gobgp:
    """A gobgpd in a namespace. It keeps its routes to itself: nothing goes into the kernel."""

    def __init__(self, scenario: Scenario, namespace: Namespace, settings: Settings) -> None:
        self._namespace = namespace
        files = RUN / f"gobgp-{namespace.name}"
        files.mkdir(parents=True, exist_ok=True)
        configuration = files / "gobgpd.toml"
        configuration.write_text(configuration_of(settings))
        command = namespace.inside("gobgpd", "-f", str(configuration), "--pprof-disable")
        self.daemon: Daemon = scenario.daemon(f"gobgp-{namespace.name}", command)

    def start(self) -> None:
        self.daemon.start()

    def announce(self, route: str, family: str = "") -> None:
        """Add a route, in the words of `gobgp global rib add`."""
        chosen = ["-a", family] if family else []
        self._gobgp("global", "rib", *chosen, "add", *route.split())

    def withdraw(self, route: str, family: str = "") -> None:
        chosen = ["-a", family] if family else []
        self._gobgp("global", "rib", *chosen, "del", *route.split())

    def routes(self, family: str) -> list[str]:
        """Return the table of a family as GoBGP prints it, a route a line."""
        lines = self._gobgp("global", "rib", "-a", family).splitlines()
        return [re.sub(r"\s+", " ", line) for line in lines[1:]]

    def established(self) -> int:
        try:
            neighbors: list[dict[str, Any]] = json.loads(self._gobgp("neighbor", "-j"))
        except (CommandFailed, json.JSONDecodeError):
            return 0
        return sum(n.get("state", {}).get("session_state") == 6 for n in neighbors)

    def wait_for_sessions(self, number: int, timeout_s: float = 60.0) -> None:
        wait_until(
            lambda: self.established() == number, f"GoBGP has {number} sessions", timeout_s, 0.5
        )

    def _gobgp(self, *words: str) -> str:
        return self._namespace.run("gobgp", *words)


def configuration_of(settings: Settings) -> str:
    """Return gobgpd.toml."""
    head = f"""\
[global.config]
  as = {settings.asn}
  router-id = "{settings.router_id}"
  port = {settings.port}
"""
    return head + "".join(map(_neighbor, settings.neighbors))


def _neighbor(neighbor: Neighbor) -> str:
    return f"""\
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{neighbor.address}"
    peer-as = {neighbor.asn}
  [neighbors.timers.config]
    connect-retry = 5
    hold-time = 9
    keepalive-interval = 3
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 120
{_families(neighbor.families)}"""


def _families(names: Sequence[str]) -> str:
    return "".join(
        f"""\
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "{name}"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = true
"""
        for name in names
    )
