"""Crowds of hosts behind two PEs, and the gaps of their moves from one to the other and back.

A gap is from the host's arrival at its new PE, or from its announcement there, to its first packet.
Some of the hosts are probed in each round, often enough for the gap to be known to 20 ms, and each
host in one round at most.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab import crowd, hosts, namespaces
from tests.lab.fabric import Fabric, Pe
from tests.lab.namespaces import Namespace
from tests.lab.plan import HOST_BRIDGE, L2_VNI
from tests.lab.waiting import wait_until

CROWD = Path(crowd.__file__)
COUNT = 200
PROBED = 20  # in each round
PER_HOST_S = 50.0
PORT = "crowd"
SETTLED_S = 2.0
MOVED_S = 120.0


class Crowd:
    """The hosts, as far as they are behind one PE."""

    def __init__(self, pe: Pe, namespace: Namespace) -> None:
        self.pe = pe
        self.namespace = namespace
        command = [sys.executable, "-I", "-S", str(CROWD), "hosts", "eth0", str(COUNT)]
        self._process = subprocess.Popen(
            namespace.inside(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, command: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def gaps(self) -> dict[int, float]:
        """Return the gap of each host that was probed here since it came, in seconds."""
        self.tell("report")
        assert self._process.stdout
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return {int(number): gap for number, gap in found.items()}

    def wait_for_probes(self, numbers: range) -> None:
        wait_until(lambda: self.gaps().keys() >= set(numbers), "probes come", MOVED_S)

    def stop(self) -> None:
        self._process.communicate(timeout=15)


@contextlib.contextmanager
def crowds(fabric: Fabric) -> Iterator[tuple[Crowd, Crowd]]:
    """Attach the hosts to the first two PEs; they are at neither yet."""
    made = []
    for pe in fabric.pes[:2]:
        namespace = fabric.scenario.namespace(f"{pe.name}-c")
        hosts.attach(namespace, HOST_BRIDGE, pe.node, port=PORT)
        namespace.ip_batch("link set eth0 addrgenmode none promisc on up")
        made.append(Crowd(pe, namespace))
    yield made[0], made[1]
    for each in made:
        each.stop()
        each.pe.node.ip("link", "del", PORT)  # and with it the interface of the hosts
        namespaces.delete(each.namespace)


@contextlib.contextmanager
def probes(source: Namespace, numbers: range) -> Iterator[None]:
    """Send to some of the hosts meanwhile, to the even ones by IPv4 and to the odd ones by IPv6."""
    targets = [crowd.addresses(number)[number % 2] for number in numbers]
    command = [sys.executable, "-I", "-S", str(CROWD), "probe", str(PER_HOST_S * len(targets))]
    with subprocess.Popen(source.inside(*command, *targets), stdin=subprocess.PIPE) as process:
        yield
        process.communicate()


def wait_until_known(at: Pe, behind: Pe) -> None:
    """Wait until a PE sends to all of the hosts by the VTEP of another."""
    wanted = dict.fromkeys((crowd.mac(n).hex(":") for n in range(COUNT)), behind.plan.vtep)
    holds = lambda: at.view.remote_macs(L2_VNI).items() >= wanted.items()  # noqa: E731
    wait_until(holds, f"{at.name} knows the hosts", MOVED_S)


def check_moves(
    fabric: Fabric,
    pair: tuple[Crowd, Crowd],
    command: str,
    say: Callable[[str], None],
    rounds: int,
    limit_s: float,
) -> None:
    """Move all hosts to and fro; check that those that are probed are reached within a limit."""
    gaps = _gaps_of_moves(fabric, pair, command, say, rounds)
    say(text(gaps))
    assert len(gaps) == rounds * PROBED
    assert gaps[-1] < limit_s


def _gaps_of_moves(
    fabric: Fabric,
    pair: tuple[Crowd, Crowd],
    command: str,
    say: Callable[[str], None],
    rounds: int,
) -> list[float]:
    """Probe other hosts in each round; return the sorted gaps of the probed."""
    old, new = pair
    far = fabric.pes[2]
    old.tell("announce")
    wait_until_known(far, old.pe)
    gaps: list[float] = []
    for round_ in range(rounds):
        numbers = range(PROBED * round_, PROBED * (round_ + 1))
        with probes(far.bridged.namespace, numbers):
            old.wait_for_probes(numbers)
            time.sleep(SETTLED_S)
            old.tell("vanish")
            if command == "appear":
                old.pe.node.ip("link", "set", PORT, "down")
            new.tell(command)
            new.wait_for_probes(numbers)
            found = sorted(new.gaps()[number] for number in numbers)
        say(f"to {new.pe.name}: {text(found)}")
        gaps += found
        old.pe.node.ip("link", "set", PORT, "up")
        new.tell("announce")
        for pe in (far, old.pe):  # it would not report a host that is back before it noticed
            wait_until_known(pe, new.pe)
        old, new = new, old
    return sorted(gaps)


def text(gaps: list[float]) -> str:
    """Return the spread of sorted gaps."""
    p50, p99 = (gaps[int(share * len(gaps))] * 1000 for share in (0.5, 0.99))
    most = gaps[-1] * 1000
    return f"{len(gaps)} hosts, p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.0f} ms"
