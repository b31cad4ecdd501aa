"""grout, as Debian ships it, started by hand in a namespace: for the lab's proof of itself."""

from pathlib import Path

from tests.lab.namespaces import Namespace
from tests.lab.processes import CommandFailed, run
from tests.lab.scenario import STATE, Scenario
from tests.lab.waiting import wait_until

STARTING_S = 20.0
# Most of the time goes into a VRF's tables: by default IPv6 has 300 MB.
SMALL = ("rib4-routes", "4096", "rib6-routes", "4096", "fib4-tbl8", "256", "fib6-tbl8", "1024")


def touch_memory(socket: Path, vrfs: int) -> None:
    """Have a grout write to the memory that so many VRFs to come will take, while nobody minds.

    Without hugepages it comes page by page: seconds for a VRF in a guest, in which grout answers
    no ARP and hands FRR no packet (decision 0064).
    """
    names = [f"touched{number}" for number in range(vrfs)]
    for words in (*(f"add vrf {name}" for name in names), *(f"del {name}" for name in names)):
        run(["grcli", "-s", str(socket), "interface", *words.split()])


def keep_neighbors(host: Namespace) -> None:
    """Have a host keep the MACs that it knows: a grout that makes a VRF answers no ARP."""
    for row in host.ip_json("neigh", "show", "nud", "reachable", "nud", "stale", "nud", "delay"):
        words = (row["dst"], "lladdr", row["lladdr"], "dev", row["dev"], "nud", "permanent")
        host.ip("neigh", "replace", *words)


class Grout:
    """grout in test mode, that is without hugepages; its devices appear in `namespace`."""

    def __init__(self, scenario: Scenario, name: str, namespace: Namespace) -> None:
        self.name = name
        self.namespace = namespace
        self.socket = STATE / f"{name}.sock"
        metrics = f"unix:{STATE / name}.metrics"  # not the default, which all grouts would share
        command = ["grout", "-t", "-s", str(self.socket), "-M", metrics]
        self.daemon = scenario.daemon(name, namespace.inside(*command))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        STATE.mkdir(parents=True, exist_ok=True)
        Path(self.socket).unlink(missing_ok=True)
        self.daemon.start()
        wait_until(self._answers, f"{self.name} answers", STARTING_S)

    def cli(self, *words: str) -> str:
        return run(["grcli", "-s", str(self.socket), *words])

    def _answers(self) -> bool:
        assert self.daemon.running, f"{self.name} ended: {self.daemon.text()[-1000:]}"
        try:
            self.cli("interface", "show")
        except CommandFailed:
            return False
        return True
