"""Which remote MACs the bridges of hosts are made to forget behind their legs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from datapaths.kernel import hosts
from datapaths.linux.hostbridges import Bridge, Leg
from dualpath.model.layer2 import Mac
from tests.fakes.waiting import until

RED, BLUE = (
    Leg(Bridge("node", "br-red"), "host-e-110"),
    Leg(Bridge("node", "br-blue"), "host-e-111"),
)
LEGS = {"pe-e-110": RED, "pe-e-111": BLUE}
VNIS = {5: 110, 6: 111}
PORTS = {"pe-e-110": SimpleNamespace(master=5), "pe-e-111": SimpleNamespace(master=6)}
ONE, OTHER = bytes(5) + b"\1", bytes(5) + b"\2"


@pytest.mark.parametrize("broken", [False, True])
async def test_withdrawn_macs_are_forgotten_behind_the_legs_of_their_vni(
    monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    forgotten: list[tuple[Leg, set[bytes]]] = []

    def unlearn(leg: Leg, macs: Iterable[bytes]) -> None:
        if broken and leg is RED:
            raise OSError(19, "No such device")
        forgotten.append((leg, set(macs)))

    monkeypatch.setattr(hosts, "unlearn", unlearn)
    links = SimpleNamespace(vni_of=VNIS.__getitem__, named=PORTS.get)
    observer: Any = SimpleNamespace(links=links, layer2=None, subnets=None)
    write: Any = None
    local = hosts.LocalHosts("ns", observer, write, LEGS)
    local.withdrawn([Mac(110, ONE, bytes(4)), Mac(110, OTHER, bytes(4)), Mac(111, ONE, bytes(4))])
    local.withdrawn([Mac(112, ONE, bytes(4)), Mac(111, OTHER, bytes(4))])  # no leg has VNI 112
    running = asyncio.create_task(local._unlearn())
    try:
        await until(lambda: any(leg is BLUE for leg, _ in forgotten))
    finally:
        running.cancel()
    expected = [(RED, {ONE, OTHER}), (BLUE, {ONE, OTHER})]
    assert forgotten == (expected[1:] if broken else expected)
