"""All parts of the overlay together: messages in any order, and dumps."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, Neighbor
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.neighbor import NeighborMessage
from tests.fakes.shadow import (
    ETH1,
    FLOOD_ROWS,
    HOST,
    HOST_MAC,
    HOST_ROWS,
    L2VNI,
    L3VNI,
    LINKS,
    OTHER_VTEP,
    ROUTER_MAC,
    ROWS,
    VTEP,
    VX110,
    behind,
    flood,
    neighbor,
)
from tests.unit.frr_bridge.overlay.network import (
    ALL_RECORDS,
    FLOOD_RECORDS,
    HOST_RECORDS,
    ROUTER_RECORDS,
    Network,
)

ROUTER_MOVE = (Kind.MAC, (L3VNI, ROUTER_MAC))  # its neighbor row came last


def test_rows_become_records_of_their_vni() -> None:
    network = Network(*LINKS, *ROWS)
    assert network.records == ALL_RECORDS
    assert network.log.withdrawn == []


@pytest.mark.parametrize("seed", range(40))
def test_order_of_arrival_does_not_change_the_records(seed: int) -> None:
    messages: list[LinkMessage | NeighborMessage] = [*LINKS, *ROWS]
    random.Random(seed).shuffle(messages)
    assert Network(*messages).records == ALL_RECORDS


@pytest.mark.parametrize("seed", range(40))
def test_order_of_deletion_leaves_no_record(seed: int) -> None:
    network = Network(*LINKS, *ROWS)
    network.log.moved.clear()
    rows = list(ROWS)
    random.Random(seed).shuffle(rows)
    network.receive(*(row._replace(deleted=True) for row in rows))
    assert network.records == set()
    assert set(network.log.moved) <= {ROUTER_MOVE}


def test_repeated_rows_change_nothing() -> None:
    """Invariant 4."""
    network = Network(*LINKS, *ROWS)
    changes = network.log.changes
    network.receive(*LINKS, *ROWS)
    network.dump(*LINKS, *ROWS)
    assert (network.log.changes, network.log.withdrawn) == (changes, [])


def test_dump_withdraws_the_rows_that_it_does_not_repeat() -> None:
    network = Network(*LINKS, *ROWS)
    network.log.moved.clear()
    network.dump(*LINKS, *HOST_ROWS, flood(VX110, VTEP))
    assert network.records == HOST_RECORDS | {Flood(L2VNI, VTEP)}
    assert set(network.log.moved) <= {ROUTER_MOVE}


def test_row_notified_during_a_dump_survives_it() -> None:
    network = Network(*LINKS)
    network.overlay.begin_dump()
    network.receive(*LINKS, *HOST_ROWS)
    network.receive(HOST_ROWS[2]._replace(deleted=True))
    network.overlay.end_dump()
    assert network.records == {Mac(L2VNI, HOST_MAC, VTEP)}


def test_dump_without_devices_withdraws_everything() -> None:
    network = Network(*LINKS, *ROWS)
    network.log.moved.clear()
    network.dump()
    assert network.records == set()
    assert network.overlay.devices.links == {}
    assert set(network.log.moved) <= {ROUTER_MOVE}


def test_deleted_vxlan_device_withdraws_its_records_and_moves_none() -> None:
    network = Network(*LINKS, *ROWS)
    network.log.moved.clear()
    network.receive(replace(LINKS[4], deleted=True))
    assert network.records == ROUTER_RECORDS
    assert network.log.moved == []


def test_vxlan_device_outside_its_bridge_keeps_floods_only() -> None:
    network = Network(*LINKS, *ROWS)
    network.receive(replace(LINKS[4], master=0))
    assert network.records == ROUTER_RECORDS | FLOOD_RECORDS
    network.receive(LINKS[4])
    assert network.records == ALL_RECORDS


def test_changed_vni_moves_every_record_of_the_device() -> None:
    network = Network(*LINKS, *HOST_ROWS, *FLOOD_ROWS)
    network.receive(replace(LINKS[4], vxlan_id=120))
    assert network.records == {
        Mac(120, HOST_MAC, VTEP),
        Neighbor(120, HOST, HOST_MAC),
        Flood(120, VTEP),
        Flood(120, OTHER_VTEP),
    }


def test_rows_of_devices_outside_the_overlay_become_no_record() -> None:
    network = Network(*LINKS)
    network.receive(
        behind(ETH1, HOST_MAC, b""), flood(ETH1, VTEP), neighbor(ETH1, VTEP, ROUTER_MAC)
    )
    network.receive(replace(LINKS[6], deleted=True), replace(LINKS[6], deleted=True))
    assert network.records == set()
