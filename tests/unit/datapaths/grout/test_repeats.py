"""Announcements that are repeated until grout has learned their host."""

from __future__ import annotations

import asyncio

import pytest

from datapaths.grout.upkeep import announcements
from datapaths.grout.upkeep.announcements import REPEATS, Repeats
from tests.fakes.waiting import until

A, B = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])


class Grout:
    """Learns a MAC from its n-th frame."""

    def __init__(self, **frames: int) -> None:
        self.needs = {A: frames.get("a", 1), B: frames.get("b", 1)}
        self.sent: list[bytes] = []

    def awaited(self, bridge: int, mac: bytes) -> bool:
        assert bridge == 7
        return self.sent.count(mac) < self.needs[mac]

    def send(self, wire: str, frame: bytes) -> None:
        assert wire == "w-leg"
        self.sent.append(frame)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "REPEAT_S", 0.001)


async def repeated(grout: Grout, *macs: bytes, frames: int) -> list[bytes]:
    """Send a frame of each host; return all once `frames` were sent, and no more follow."""
    repeats = Repeats(grout.awaited, grout.send)
    for mac in macs:
        repeats.send(7, mac, "w-leg", mac)
    running = asyncio.create_task(repeats.run())
    try:
        await until(lambda: len(grout.sent) >= frames and not repeats.waiting)
    finally:
        running.cancel()
    return grout.sent


async def test_frame_is_repeated_until_its_mac_is_learned() -> None:
    assert await repeated(Grout(a=3, b=2), A, B, frames=5) == [A, B, A, B, A]


async def test_frame_of_a_learned_mac_is_sent_once() -> None:
    assert await repeated(Grout(), A, frames=1) == [A]


async def test_grout_that_learns_nothing_gets_no_endless_frames() -> None:
    assert await repeated(Grout(a=100), A, frames=1 + REPEATS) == [A] * (1 + REPEATS)


async def test_flood_of_macs_keeps_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "AWAITED", 1)
    assert await repeated(Grout(a=2, b=2), A, B, frames=3) == [A, B, A]
