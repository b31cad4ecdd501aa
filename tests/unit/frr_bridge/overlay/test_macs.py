"""The join of bridge rows and VXLAN rows into remote MACs."""

from __future__ import annotations

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.netlink.numbers import NTF_STICKY
from tests.fakes.shadow import (
    AC110,
    BR100,
    BR110,
    HOST,
    HOST_MAC,
    HOST_ROWS,
    L2VNI,
    L3VNI,
    LINKS,
    OTHER_VTEP,
    ROUTER_MAC,
    ROUTER_ROWS,
    VTEP,
    VX110,
    behind,
    neighbor,
    on_bridge,
)
from tests.unit.frr_bridge.overlay.network import HOST_RECORDS, ROUTER_RECORDS, Network

BRIDGE_ROW, VXLAN_ROW, NEIGHBOR_ROW = HOST_ROWS
HOST_KEY = (Kind.MAC, (L2VNI, HOST_MAC))


@pytest.mark.parametrize("row", [BRIDGE_ROW, VXLAN_ROW])
def test_one_of_the_two_rows_is_no_remote_mac(row: object) -> None:
    assert Network(*LINKS, row).records == set()  # type: ignore[arg-type]


def test_both_rows_are_a_remote_mac() -> None:
    assert Network(*LINKS, BRIDGE_ROW, VXLAN_ROW).records == {Mac(L2VNI, HOST_MAC, VTEP)}


def test_mac_behind_another_vtep_is_replaced_without_a_withdrawal() -> None:
    network = Network(*LINKS, *HOST_ROWS)
    network.receive(behind(VX110, HOST_MAC, OTHER_VTEP))
    assert Mac(L2VNI, HOST_MAC, OTHER_VTEP) in network.records
    assert (network.log.withdrawn, network.log.moved) == ([], [])


def test_mac_that_becomes_local_is_moved() -> None:
    """zebra leaves the VXLAN row behind: the bridge row decides."""
    network = Network(*LINKS, *HOST_ROWS)
    network.receive(on_bridge(AC110, BR110, HOST_MAC))
    assert network.records == set()
    assert network.log.moved == [HOST_KEY]
    assert network.log.withdrawn == [(Kind.NEIGHBOR, (L2VNI, HOST))]


def test_local_mac_that_becomes_remote_gets_its_records_back() -> None:
    network = Network(*LINKS, *HOST_ROWS)
    network.receive(on_bridge(AC110, BR110, HOST_MAC))
    network.receive(on_bridge(VX110, BR110, HOST_MAC), behind(VX110, HOST_MAC, OTHER_VTEP))
    assert network.records == {
        Mac(L2VNI, HOST_MAC, OTHER_VTEP),
        Neighbor(L2VNI, HOST, HOST_MAC),
    }


def test_late_deletion_of_the_old_port_keeps_the_mac() -> None:
    network = Network(*LINKS, *HOST_ROWS)
    network.receive(on_bridge(AC110, BR110, HOST_MAC, deleted=True))
    assert network.records == HOST_RECORDS


@pytest.mark.parametrize("first", [0, 1])
def test_deleted_mac_is_withdrawn_and_not_moved_whichever_row_goes_first(first: int) -> None:
    """A dying daemon deletes rows too, so this must be a withdrawal that can be held."""
    network = Network(*LINKS, *HOST_ROWS)
    for row in (HOST_ROWS[first], HOST_ROWS[1 - first]):
        network.receive(row._replace(deleted=True))
    assert network.log.moved == []
    assert HOST_KEY in network.log.withdrawn


def test_permanent_bridge_row_is_the_device_s_own_mac() -> None:
    assert Network(*LINKS, BRIDGE_ROW._replace(state=0x80), VXLAN_ROW).records == set()


def test_sticky_flag_is_reported() -> None:
    network = Network(*LINKS, VXLAN_ROW)
    network.receive(on_bridge(VX110, BR110, HOST_MAC, flags=NTF_STICKY))
    assert network.records == {Mac(L2VNI, HOST_MAC, VTEP, sticky=True)}


def test_bridge_row_with_a_vlan_is_ignored() -> None:
    """A bridge with a default PVID repeats each row with the VLAN, and deletes that one alone."""
    network = Network(*LINKS, *HOST_ROWS)
    network.receive(on_bridge(VX110, BR110, HOST_MAC, deleted=True)._replace(vlan=1))
    assert network.records == HOST_RECORDS


def test_router_mac_has_no_mac_record() -> None:
    assert Network(*LINKS, *ROUTER_ROWS).records == ROUTER_RECORDS


def test_mac_that_turns_out_to_be_a_router_s_is_moved() -> None:
    network = Network(*LINKS, *ROUTER_ROWS[:2])
    assert network.records == {Mac(L3VNI, ROUTER_MAC, VTEP)}
    network.receive(*ROUTER_ROWS[2:])
    assert network.records == ROUTER_RECORDS
    assert network.log.moved == [(Kind.MAC, (L3VNI, ROUTER_MAC))]
    assert network.log.withdrawn == []


def test_router_mac_stays_one_while_it_is_remote() -> None:
    network = Network(*LINKS, *ROUTER_ROWS)
    network.receive(*(row._replace(deleted=True) for row in ROUTER_ROWS[2:]))
    assert network.records == set()


def test_deleted_router_mac_may_return_as_a_host_s() -> None:
    network = Network(*LINKS, *ROUTER_ROWS)
    network.receive(*(row._replace(deleted=True) for row in ROUTER_ROWS))
    network.receive(*ROUTER_ROWS[:2])
    assert network.records == {Mac(L3VNI, ROUTER_MAC, VTEP)}


def test_host_address_on_a_router_mac_is_a_neighbor_beside_the_vtep() -> None:
    network = Network(*LINKS, *ROUTER_ROWS)
    network.receive(neighbor(BR100, HOST, ROUTER_MAC))
    assert network.records == {*ROUTER_RECORDS, Neighbor(L3VNI, HOST, ROUTER_MAC)}


def test_mac_without_a_vxlan_row_is_stranded() -> None:
    network = Network(*LINKS, BRIDGE_ROW)
    assert list(network.overlay.macs.stranded()) == [Mac(L2VNI, HOST_MAC)]
    network.receive(VXLAN_ROW)
    assert list(network.overlay.macs.stranded()) == []


@pytest.mark.parametrize(
    "row",
    [
        on_bridge(AC110, BR110, HOST_MAC),
        BRIDGE_ROW._replace(flags=0),
        BRIDGE_ROW._replace(state=0x80),
    ],
    ids=["local", "not zebra's", "the device's own"],
)
def test_only_a_mac_that_zebra_put_behind_a_vxlan_device_can_be_stranded(row: object) -> None:
    network = Network(*LINKS, row)  # type: ignore[arg-type]
    assert list(network.overlay.macs.stranded()) == []
