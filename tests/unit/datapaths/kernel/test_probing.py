"""Who is asked whether they are still there: silent hosts of ours, and nobody else."""

from __future__ import annotations

import pytest

from controller.model.layer2 import Mac
from datapaths.kernel import probing
from datapaths.kernel.wire import neighbours
from datapaths.linux.wire import numbers as n
from tests.unit.controller.intent.rulebook import rule
from tests.unit.datapaths.kernel.test_observe import (
    BRIDGE,
    HOST,
    MAC,
    PORT,
    VTEP,
    Kernel,
    gone,
    neighbour,
    station,
)

HOST6 = bytes.fromhex("20010db8000000000000000000000005")


def asked(kernel: Kernel) -> list[bytes]:
    return list(probing.requests(kernel.observer.links, kernel.observer.layer2))


@pytest.mark.parametrize("address", [HOST, HOST6])
@rule("Layout.neighbours", "Differs.silentHosts")
def test_a_stale_host_is_asked(address: bytes) -> None:
    kernel = Kernel()
    kernel.tell(station(MAC, PORT), neighbour(address, MAC, n.NUD_STALE))
    assert asked(kernel) == [neighbours.use_neighbour(BRIDGE, address)]


@pytest.mark.parametrize("state", [n.NUD_REACHABLE, n.NUD_DELAY, n.NUD_PROBE, n.NUD_PERMANENT])
def test_a_host_that_is_not_stale_is_left_alone(state: int) -> None:
    kernel = Kernel()
    kernel.tell(station(MAC, PORT), neighbour(HOST, MAC, state))
    assert asked(kernel) == []


def test_a_host_whose_mac_has_aged_is_asked() -> None:
    """It may have been silent while no controller was there."""
    kernel = Kernel()
    kernel.tell(station(MAC, PORT), neighbour(HOST, MAC, n.NUD_STALE), gone(station(MAC, PORT)))
    assert asked(kernel) == [neighbours.use_neighbour(BRIDGE, HOST)]


def test_a_host_that_moved_away_is_not_asked() -> None:
    kernel = Kernel()
    kernel.tell(station(MAC, PORT), neighbour(HOST, MAC, n.NUD_STALE))
    kernel.hold(Mac(110, MAC, VTEP))
    assert asked(kernel) == []


def test_a_host_that_is_gone_is_not_asked() -> None:
    kernel = Kernel()
    kernel.tell(station(MAC, PORT), neighbour(HOST, MAC, n.NUD_STALE))
    kernel.tell(gone(neighbour(HOST, MAC, n.NUD_STALE)))
    assert asked(kernel) == []
