"""A recording of frr-bridge, replayed without FRR, ends with the rows that the datapath has."""

import json
import time
from collections.abc import Callable

import pytest

from tests.lab.fabric import STANDARD, Fabric, Options, Pe
from tests.lab.outliving import comes_back, nothing_lost, state_of
from tests.lab.plan import TENANT_VRF
from tests.lab.processes import run
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

FABRIC = (STANDARD, Options(controller=("--record={state}/recording.pcapng",)))


def test_replay_of_deaths_and_churn_ends_as_the_datapath_did(
    fabric: Fabric, say: Callable[[str], None]
) -> None:
    pe1, pe2 = fabric.pes
    with nothing_lost(fabric):
        _announce(pe2, "network 203.0.113.0/24", "network 203.0.113.128/25")
        wait_until(lambda: pe1.view.has_route("203.0.113.128/25"), "the routes are there", 30)
        _announce(pe2, "no network 203.0.113.128/25")
        wait_until(lambda: not pe1.view.has_route("203.0.113.128/25"), "one is gone", 30)
        pe1.router.kill("bgpd")
        wait_until(lambda: state_of(pe1) == "held", "the withdrawals are held", 10)
        pe1.router.start()
        comes_back(fabric, pe1)
        pe1.router.kill()
        time.sleep(1)
        pe1.router.start()
        comes_back(fabric, pe1)
    time.sleep(6)  # unused nexthops are collected every 5 s
    recording = pe1.plan.state / "recording.pcapng"
    assert recording.stat().st_mode & 0o777 == 0o600
    lines = run(["dualpath", "replay", str(recording), "-o", "json"]).splitlines()
    held = _held([json.loads(line) for line in lines])
    routes = {
        (row["vrf"], row["prefix"]) for row in pe1.dualpath_json("routes", "--state", "programmed")
    }
    assert held == routes
    say(run(["dualpath", "replay", str(recording)]).splitlines()[-1])


def _held(operations: list[dict[str, str]]) -> set[tuple[str, str]]:
    """Return the routes that operations leave."""
    held: set[tuple[str, str]] = set()
    for operation in operations:
        if operation["kind"] == "route":
            assert not operation["refused"], operation
            row = operation["vrf"], operation["row"]
            (held.add if operation["op"] == "+" else held.discard)(row)
    return held


def _announce(pe: Pe, *lines: str) -> None:
    own = (f"router bgp {pe.plan.asn} vrf {TENANT_VRF}", "address-family ipv4 unicast")
    pe.router.configure(*own, *lines)
