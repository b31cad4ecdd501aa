"""`dualpath switch` under a live FRR, with an L2VNI alone, which needs no VRF devices.

So it runs straight in namespaces where the scenarios with an L3VNI need a VM that is too slow for
grout: `python -m tests.lab run --mode straight tests/lab/test_switch_bridged.py -m "lab and long"`.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import bridged
from tests.lab.fabric import Fabric, Pe
from tests.lab.hosts import Host
from tests.lab.ping import flows
from tests.lab.plan import Topology
from tests.lab.product import signal_grout
from tests.lab.scenario import Scenario
from tests.lab.test_shared_wiring import established, leads_to_grout
from tests.lab.test_switch import BACK_S, active, switch, uptime_ms
from tests.lab.waiting import SLOWNESS, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.grout, pytest.mark.long]

RATE_PER_S = 200.0 / SLOWNESS  # of each flow: grout shares the CPUs, and drops what it reads late
TCP = Path(__file__).with_name("tcp.py")
PORT = 7001
GAP_S = 0.5  # without grout, on a busy machine

Say = Callable[[str], None]


@pytest.fixture
def fabric(lab: Scenario) -> Fabric:
    return bridged.started(lab, Topology(switches=True, dpdk=1))


def test_switch_under_a_live_frr_loses_no_packet_and_no_session(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    sessions, up_ms = established(pe1), uptime_ms(pe1)
    with stream(*(pe.bridged for pe in fabric.pes)) as tcp:
        for to in ("dpdk", "kernel --keep", "dpdk", "kernel"):
            with pinging(fabric, say, f"switch {to}"):
                say(switch(pe1, *to.split()))
                time.sleep(1)
            assert leads_to_grout(pe1) is (to == "dpdk")
            assert active(pe1) == to.split()[0]
            pe1.wait_for_clean_audit(BACK_S)
    say(f"TCP: {tcp}")
    assert not tcp["error"]
    assert tcp["received"] == tcp["sent"]
    assert established(pe1) == sessions
    after_ms = uptime_ms(pe1)
    say(f"BGP uptime: {up_ms} ms before, {after_ms} ms after")
    assert all(after_ms[peer] > before for peer, before in up_ms.items())


def test_grout_that_dies_costs_a_moment_and_no_session(fabric: Fabric, say: Say) -> None:
    pe1 = fabric.pes[0]
    switch(pe1, "dpdk")
    sessions = established(pe1)
    with stream(*(pe.bridged for pe in fabric.pes)) as tcp:
        with pinging(fabric, say, "grout is killed", GAP_S):
            time.sleep(1)
            signal_grout(pe1.plan, "KILL")
            wait_until(lambda: active(pe1) == "kernel", "the kernel speaks for the node", 10, 0.05)
        with pinging(fabric, say, "grout comes back"):
            wait_until(lambda: active(pe1) == "dpdk", "grout has the ports again", BACK_S)
            time.sleep(1)
    say(f"TCP: {tcp}")
    assert not tcp["error"]
    assert established(pe1) == sessions
    pe1.wait_for_clean_audit(BACK_S)


@contextlib.contextmanager
def pinging(fabric: Fabric, say: Say, what: str, gap_s: float = 0.0) -> Iterator[None]:
    """Ping in both directions, by both families; without `gap_s` no packet may be lost."""
    one, two = (pe.bridged for pe in fabric.pes)
    pairs = (
        (one.namespace, two.v4),
        (two.namespace, one.v4),
        (one.namespace, two.v6),
        (two.namespace, one.v6),
    )
    with flows(*pairs, rate_per_s=RATE_PER_S) as results:
        yield
    for (source, target), result in zip(pairs, results, strict=True):
        say(f"{what}: {source.name} to {target}: {result}")
    late = dropped(fabric.pes[0])
    say(f"{what}: {late} dropped at grout's wires in all")
    for result in results:
        assert result.transmitted > 0
        assert result.longest_gap_s < gap_s if gap_s else result.lost <= late


def dropped(pe: Pe) -> int:
    """Return how many packets grout did not read in time: it may not get a CPU of its own."""
    links = pe.forwarding.ip_json("-s", "link")
    wires = [link for link in links if link["ifname"].startswith("w-")]
    return sum(int(wire["stats64"]["tx"]["dropped"]) for wire in wires)


@contextlib.contextmanager
def stream(caller: Host, callee: Host) -> Iterator[dict[str, object]]:
    """Keep one TCP connection busy during the block; what became of it is there afterwards."""
    program = [sys.executable, "-I", "-S", str(TCP)]
    where = [callee.v4, str(PORT)]
    result: dict[str, object] = {}
    server = subprocess.Popen(
        callee.namespace.inside(*program, "serve", *where), stdout=subprocess.PIPE
    )
    try:
        assert server.stdout
        server.stdout.readline()
        client = subprocess.Popen(
            caller.namespace.inside(*program, "call", *where),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            yield result
            result |= json.loads(client.communicate(timeout=30)[0])
        finally:
            client.kill()
            client.communicate()
    finally:
        server.kill()
        server.communicate()
