"""IS-IS in the underlay: it carries the VTEPs, and BGP carries EVPN alone."""

import pytest

from tests.lab.fabric import Fabric, Options
from tests.lab.frr import Settings
from tests.lab.plan import Topology

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]

DAEMONS = (*Settings().daemons, "isisd")
ZEBRA = ("-K60", "--asic-offload=notify_on_offload")  # isisd is back after half a minute
OPTIONS = Options(frr=Settings(daemons=DAEMONS, zebra=ZEBRA))
FABRIC = (Topology(isis=True, evpn_only=True), OPTIONS)


def test_isis_adjacency_is_up_through_the_twin(fabric: Fabric) -> None:
    """With hellos of the MTU's size, which exceed an 802.3 length field."""
    for pe in fabric.pes:
        assert pe.router.vtysh("show isis neighbor").split()[-5:-2] == ["eth1", "2", "Up"]
    assert fabric.spines[0].vtysh("show isis neighbor").count(" Up ") == len(fabric.pes)


def test_vtep_is_reached_by_isis(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    rows = {row["prefix"]: row for row in pe1.dualpath_json("routes", "--vrf", "default")}
    row = rows[f"{pe2.plan.vtep}/32"]
    assert (row["protocol"], row["state"]) == ("isis", "ROW_STATE_PROGRAMMED"), row
    assert pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1"}
