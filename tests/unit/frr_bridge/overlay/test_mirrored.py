"""The mirror's own rows, as they are read back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.routes import RTPROT_DUALPATH
from frr_bridge.wire.neighbor import NeighborMessage
from tests.fakes.shadow import (
    AC110,
    BR110,
    HOST,
    HOST_MAC,
    HOST_ROWS,
    L2VNI,
    LINKS,
    VX110,
    neighbor,
    on_bridge,
)
from tests.unit.frr_bridge.overlay.network import Network

HOST6 = bytes.fromhex("fd00000000000000000000000000000a")
MAC_ROW = on_bridge(AC110, BR110, HOST_MAC)
MAC = Mac(L2VNI, HOST_MAC)


def ours(address: bytes = HOST) -> NeighborMessage:
    return neighbor(BR110, address, HOST_MAC)._replace(protocol=RTPROT_DUALPATH)


def changes(network: Network) -> list[tuple[Mac | Neighbor, bool]]:
    return list(network.overlay.mirrored.changes())


@pytest.fixture
def network() -> Network:
    return Network(*LINKS)


def test_mirrored_rows_are_reported_once_and_become_no_record(network: Network) -> None:
    network.receive(MAC_ROW, ours(), ours(HOST6))
    hosts = [Neighbor(L2VNI, HOST, HOST_MAC), Neighbor(L2VNI, HOST6, HOST_MAC)]
    assert changes(network) == [(MAC, True), *((host, True) for host in hosts)]
    assert changes(network) == []
    assert network.records == set()


def test_removed_rows_are_reported_as_absent(network: Network) -> None:
    network.receive(MAC_ROW, ours())
    changes(network)
    network.receive(MAC_ROW._replace(deleted=True))
    network.receive(ours()._replace(deleted=True))
    assert changes(network) == [(MAC, False), (Neighbor(L2VNI, HOST, bytes(6)), False)]


def test_rows_that_a_dump_does_not_repeat_are_reported_as_absent(network: Network) -> None:
    network.receive(MAC_ROW, ours())
    changes(network)
    network.dump(*LINKS)
    assert [there for _, there in changes(network)] == [False, False]


def test_neighbor_that_zebra_replaced_is_not_to_be_restored(network: Network) -> None:
    network.receive(ours())
    changes(network)
    network.receive(*HOST_ROWS)
    assert changes(network) == []


def test_rows_without_a_vni_are_left_out(network: Network) -> None:
    network.receive(MAC_ROW, ours())
    network.receive(replace(LINKS[VX110 - 1], deleted=True))
    assert changes(network) == []
