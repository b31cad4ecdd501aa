"""zebra's neighbor rows: hosts and VTEPs."""

from __future__ import annotations

from dualpath.model.layer2 import Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED
from dualpath.netlink.numbers import NTF_EXT_LEARNED, NTF_ROUTER
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
    ROUTER_ROWS,
    VTEP,
    VX100,
    VX110,
    behind,
    neighbor,
    on_bridge,
)
from tests.unit.frr_bridge.overlay.network import ROUTER_RECORDS, Network

OTHER_MAC = bytes.fromhex("02000000000b")
NEW_ROUTER_MAC = bytes.fromhex("aabbcc000099")


def test_vtep_stays_until_both_forms_of_its_address_are_deleted() -> None:
    plain, mapped = ROUTER_ROWS[2:]
    network = Network(*LINKS, *ROUTER_ROWS)
    network.receive(plain._replace(deleted=True))
    assert network.records == ROUTER_RECORDS
    network.receive(mapped._replace(deleted=True))
    assert network.records == set()


def test_new_router_mac_of_a_vtep_replaces_the_old_one() -> None:
    network = Network(*LINKS, *ROUTER_ROWS)
    network.receive(on_bridge(VX100, BR100, NEW_ROUTER_MAC), behind(VX100, NEW_ROUTER_MAC, VTEP))
    network.receive(
        neighbor(BR100, VTEP, NEW_ROUTER_MAC), neighbor(BR100, V4_MAPPED + VTEP, NEW_ROUTER_MAC)
    )
    assert RemoteVtep(L3VNI, VTEP, NEW_ROUTER_MAC) in network.records
    assert network.log.withdrawn == []


def test_neighbor_that_zebra_did_not_write_is_ignored() -> None:
    network = Network(*LINKS, *HOST_ROWS[:2], neighbor(BR110, HOST, HOST_MAC, flags=0))
    assert network.records == {Mac(L2VNI, HOST_MAC, VTEP)}
    assert not network.overlay.neighbors.is_remote(BR110, HOST)


def test_neighbor_without_zebra_s_flag_any_more_is_withdrawn() -> None:
    network = Network(*LINKS, *HOST_ROWS)
    assert network.overlay.neighbors.is_remote(BR110, HOST)
    network.receive(neighbor(BR110, HOST, HOST_MAC, flags=0))
    assert network.records == {Mac(L2VNI, HOST_MAC, VTEP)}


def test_neighbor_with_a_local_mac_is_not_remote() -> None:
    network = Network(*LINKS, on_bridge(AC110, BR110, HOST_MAC), HOST_ROWS[2])
    assert network.records == set()


def test_neighbor_with_another_mac_follows_that_mac() -> None:
    network = Network(*LINKS, *HOST_ROWS)
    network.receive(neighbor(BR110, HOST, OTHER_MAC))
    assert network.records == {Mac(L2VNI, HOST_MAC, VTEP)}
    network.receive(on_bridge(VX110, BR110, OTHER_MAC), behind(VX110, OTHER_MAC, VTEP))
    assert Neighbor(L2VNI, HOST, OTHER_MAC) in network.records


def test_router_flag_is_reported() -> None:
    network = Network(*LINKS, *HOST_ROWS[:2])
    network.receive(neighbor(BR110, HOST, HOST_MAC, flags=NTF_EXT_LEARNED | NTF_ROUTER))
    assert Neighbor(L2VNI, HOST, HOST_MAC, router=True) in network.records


def test_deleted_neighbors_leave_no_memory() -> None:
    neighbors = Network(*LINKS).overlay.neighbors
    for number in range(3):
        row = HOST_ROWS[-1]._replace(lladdr=bytes([2, 0, 0, 0, 0, number]))
        neighbors.learn(row)
        neighbors.forget((row.ifindex, row.dst))
    assert not neighbors._addresses_of
