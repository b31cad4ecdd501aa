"""IS-IS in the underlay: it carries the VTEPs, and BGP carries EVPN alone."""

import time

import pytest

from tests.lab.fabric import Fabric, Options
from tests.lab.frr import Settings
from tests.lab.ping import flows
from tests.lab.plan import Topology

pytestmark = pytest.mark.lab

DAEMONS = (*Settings().daemons, "isisd")
ZEBRA = ("-K60", "--asic-offload=notify_on_offload")  # isisd is back after half a minute
FABRIC = (Topology(isis=True), Options(frr=Settings(daemons=DAEMONS, zebra=ZEBRA)))


def test_the_adjacency_is_up_through_the_twin(fabric: Fabric) -> None:
    """With hellos of the MTU's size, which no length field can say."""
    for pe in fabric.pes:
        assert pe.router.vtysh("show isis neighbor").split()[-5:-2] == ["eth1", "2", "Up"]
    assert fabric.spines[0].vtysh("show isis neighbor").count(" Up ") == len(fabric.pes)


def test_the_vtep_is_reached_by_isis(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    rows = {row["prefix"]: row for row in pe1.dualpath_json("routes", "--vrf", "default")}
    row = rows[f"{pe2.plan.vtep}/32"]
    assert (row["protocol"], row["state"]) == ("isis", "ROW_STATE_PROGRAMMED"), row
    assert pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1"}


@pytest.mark.long
def test_packets_outlive_frr(fabric: Fabric) -> None:
    """The VTEP's route is kept until IS-IS is whole again, which BGP's peers say nothing of."""
    pe1, pe2 = fabric.pes
    with flows(
        (pe1.routed.namespace, pe2.routed.v4),
        (pe2.routed.namespace, pe1.routed.v6),
        (pe1.bridged.namespace, pe2.bridged.v4),
        (pe2.bridged.namespace, pe1.bridged.v6),
    ) as results:
        pe1.router.kill()
        time.sleep(3)
        pe1.router.start()
        time.sleep(1)
        fabric.wait_for_bgp()
        fabric.wait_until_live()
        time.sleep(60)  # zebra's -K60 has swept by now
        assert pe1.view.uplinks_to(pe2.plan.vtep) == {"eth1"}
    assert [result.lost for result in results] == [0, 0, 0, 0], results
