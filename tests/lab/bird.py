"""A host's BIRD 2, configured as Calico configures it.

The node's blocks of pod addresses are static routes, and all that is exported; what comes back goes
into the kernel, which keeps it when BIRD ends. Every node has sessions with its router only
(`nodeToNodeMeshEnabled: false`).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.namespaces import Namespace
from tests.lab.processes import CommandFailed, Daemon, run
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

RUN = Path("/run/dualpath")


@dataclass(frozen=True, slots=True)
class Session:
    """A session with the router: its address, and ours."""

    router: str
    source: str

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.router).version


@dataclass(frozen=True, slots=True)
class Settings:
    """What a node's BIRD is told."""

    router_id: str
    asn: int
    router_asn: int
    sessions: tuple[Session, ...]
    blocks: tuple[str, ...]
    graceful_restart: str = "on"  # or "aware": a helper only


class Bird:
    """A BIRD in a namespace; it may be killed and started again."""

    def __init__(self, scenario: Scenario, namespace: Namespace, settings: Settings) -> None:
        self._files = RUN / f"bird-{namespace.name}"
        self._files.mkdir(parents=True, exist_ok=True)
        self._control = self._files / "bird.ctl"
        configuration = self._files / "bird.conf"
        configuration.write_text(configuration_of(settings))
        # -R: take part in graceful restart after a start, as Calico's does.
        words = ["bird", "-f", "-R", "-c", str(configuration), "-s", str(self._control)]
        self.daemon: Daemon = scenario.daemon(
            f"bird-{namespace.name}", namespace.inside(*words, "-P", str(self._files / "pid"))
        )

    def start(self) -> None:
        self.daemon.start()

    def kill(self) -> None:
        """End it as a crash would."""
        self.daemon.kill()

    def birdc(self, *words: str) -> str:
        return run(["birdc", "-s", str(self._control), *words])

    def established(self) -> int:
        """Count the sessions that are up."""
        try:
            lines = self.birdc("show", "protocols").splitlines()
        except CommandFailed:
            return 0
        return sum(" BGP " in line and "Established" in line for line in lines)

    def wait_for_sessions(self, number: int, timeout_s: float = 30.0) -> None:
        wait_until(lambda: self.established() == number, f"BIRD has {number} sessions", timeout_s)


def configuration_of(settings: Settings) -> str:
    """Return bird.conf."""
    families = sorted({session.version for session in settings.sessions})
    parts = [
        f"log stderr all;\nrouter id {settings.router_id};\ngraceful restart wait 60;\n",
        "protocol device { scan time 2; }\n",
        'protocol direct { ipv4; ipv6; interface -"cali*", "*"; }\n',
    ]
    for version in families:
        blocks = [b for b in settings.blocks if ipaddress.ip_network(b).version == version]
        parts.append(_family(version, blocks))
    parts += [_session(session, settings) for session in settings.sessions]
    return "".join(parts)


def _family(version: int, blocks: Iterable[str]) -> str:
    """Return what a family has in common: its kernel, its blocks, and the filter of exports."""
    blocks = list(blocks)
    routes = "".join(f"  route {block} blackhole;\n" for block in blocks)
    accepted = "".join(f"  if (net = {block}) then accept;\n" for block in blocks)
    return f"""\
protocol kernel kernel{version} {{
  learn;
  persist;
  scan time 2;
  graceful restart on;
  merge paths on;
  ipv{version} {{ import all; export all; }};
}}
protocol static blocks{version} {{
  ipv{version};
{routes}}}
filter calico_export_{version} {{
{accepted}  reject;
}}
"""


def _session(session: Session, settings: Settings) -> str:
    return f"""\
protocol bgp router{session.version} {{
  local {session.source} as {settings.asn};
  neighbor {session.router} as {settings.router_asn};
  multihop;
  graceful restart {settings.graceful_restart};
  connect delay time 1;
  connect retry time 2;
  error wait time 1,5;
  ipv{session.version} {{
    gateway recursive;
    import all;
    export filter calico_export_{session.version};
    add paths on;
  }};
}}
"""
