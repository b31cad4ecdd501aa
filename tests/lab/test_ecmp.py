"""Two uplinks, and one of them lost: one group changes, and no route is written."""

import pytest

from tests.lab.fabric import DEFAULT, Fabric, Pe
from tests.lab.namespaces import monitored
from tests.lab.ping import flows
from tests.lab.plan import Topology
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

FABRIC = (Topology(spines=2), DEFAULT)


def test_routes_to_a_vtep_use_both_uplinks(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    assert group_to(pe1, pe2.plan.vtep) == {"eth1", "eth2"}


def test_a_lost_uplink_is_one_group_update(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    pairs = (
        (pe1.routed.namespace, pe2.routed.v4),
        (pe1.routed.namespace, pe2.routed.v6),
        (pe1.bridged.namespace, pe2.bridged.v4),
    )
    with monitored(pe1.forwarding, "route") as routes, flows(*pairs) as results:
        fabric.cut(pe1, 2)
        wait_until(lambda: group_to(pe1, pe2.plan.vtep) == {"eth1"}, "one leg is left", 20)
        fabric.mend(pe1, 2)
        both = {"eth1", "eth2"}
        wait_until(lambda: group_to(pe1, pe2.plan.vtep) == both, "both legs are back", 60)
        ours = [line for line in routes() if " proto 68 " in line and "nh_info" not in line]
    assert ours == [], "\n".join(ours)
    for result in results:
        assert result.lost == 0, result


def group_to(pe: Pe, vtep: str) -> set[str]:
    """Return the devices over which the forwarding namespace reaches a VTEP."""
    nexthops = {row["id"]: row for row in pe.forwarding.ip_json("nexthop", "show")}
    (route,) = pe.forwarding.ip_json("route", "show", f"{vtep}/32")
    nexthop = nexthops[route["nhid"]]
    members = [nexthops[member["id"]] for member in nexthop.get("group", [])]
    return {str(row["dev"]) for row in (members or [nexthop])}
