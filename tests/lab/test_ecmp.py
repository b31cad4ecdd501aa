"""Two uplinks: losing one updates the nexthop group only, and writes no route."""

import ipaddress
import json
import shutil
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.lab.fabric import Fabric, Options
from tests.lab.ping import flows
from tests.lab.plan import Topology
from tests.lab.processes import run
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]

FABRIC = (Topology(spines=2), Options(controller=("--record={state}/recording.pcapng",)))
REACTION_S = 2.0  # until the far end hears of it, what it sends over that spine is lost


def test_routes_to_a_vtep_use_both_uplinks(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1", "eth2"}


def test_lost_uplink_updates_the_group_only(fabric: Fabric, tmp_path: Path) -> None:
    pe1, pe2 = fabric.pes
    recording, before = pe1.plan.state / "recording.pcapng", tmp_path / "before.pcapng"
    shutil.copy(recording, before)
    pairs = (
        (pe1.routed.namespace, pe2.routed.v4),
        (pe1.routed.namespace, pe2.routed.v6),
        (pe1.bridged.namespace, pe2.bridged.v4),
    )
    with pe1.view.changes("route") as routes, flows(*pairs) as results:
        time.sleep(1)
        fabric.cut(pe1, 2)
        wait_until(lambda: pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1"}, "one leg is left", 20)
        # A flap too short for zebra leaves bgpd with a nexthop that is invalid for good (0050).
        connected = partial(pe1.router.vtysh, "show ip route connected")
        wait_until(lambda: "eth2" not in connected(), "zebra sees it", 20)
        fabric.mend(pe1, 2)
        both = {"eth1", "eth2"}
        wait_until(lambda: pe1.view.uplinks_to(pe2.plan.vtep) == both, "both legs are back", 60)
        written = [line for line in routes() if "nh_info" not in line]
    # Seen once, with too little CPU: bgpd withdrew two routes, and announced them 40 ms later.
    withdrawn = withdrawals(recording) - withdrawals(before) if written else Counter[str]()
    ours = [line for line in written if not withdrawn.keys() & prefixes_in(line)]
    assert ours == [], "\n".join(written)
    for result in results:
        # At the cut; and at the return, when a spine's bgpd announces what zebra has not installed.
        spans = result.lost_spans()
        assert len(spans) <= 2, result
        assert all(last - first < REACTION_S for first, last in spans), result


def prefixes_in(line: str) -> set[str]:
    """Return the prefixes in a line of `ip monitor` or `grcli events show`."""
    found = set()
    for word in line.split():
        with suppress(ValueError):
            found.add(str(ipaddress.ip_network(word)))
    return found


def withdrawals(recording: Path) -> Counter[str]:
    """Return how often a replay of what FRR sent removes each prefix."""
    lines = run(["dualpath", "replay", str(recording), "-o", "json"]).splitlines()
    operations = [json.loads(line) for line in lines]
    return Counter(it["row"] for it in operations if (it["kind"], it["op"]) == ("route", "-"))
