"""What frr-bridge missed of FRR's namespace, as rows of an audit."""

from __future__ import annotations

import asyncio

import pytest

from controller.core import frr_check
from controller.core.frr_check import BridgeCheck, Unchecked, compared
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.model.records import RecordBatch
from dualpath.model.view import Problem

ONE, TWO = Flood(110, bytes([100, 64, 0, 1])), Flood(110, bytes([100, 64, 0, 2]))


class Bus:
    """Records the requests that are sent while `connected`."""

    def __init__(self) -> None:
        self.connected = True
        self.sent: list[events.FromController] = []

    def send(self, event: events.FromController) -> bool:
        self.sent.append(event)
        return self.connected


async def test_an_answer_goes_to_its_request() -> None:
    bus = Bus()
    check = BridgeCheck(bus.send)
    first, second = asyncio.create_task(check.ask()), asyncio.create_task(check.ask())
    await asyncio.sleep(0)
    assert bus.sent == [events.Check(1), events.Check(2)]
    check.answered(events.Checked(2, 5))
    check.answered(events.Checked(9, 1))  # a reply without a request
    check.answered(events.Checked(1, 0))
    assert (await first, await second) == (events.Checked(1, 0), events.Checked(2, 5))
    check.answered(events.Checked(1, 7))  # once more


async def test_a_check_without_a_bridge_is_unchecked() -> None:
    bus = Bus()
    check = BridgeCheck(bus.send)
    asking = asyncio.create_task(check.ask())
    await asyncio.sleep(0)
    check.lost()
    with pytest.raises(Unchecked, match="not connected"):
        await asking
    bus.connected = False
    with pytest.raises(Unchecked, match="not connected"):
        await check.ask()


async def test_wait_for_a_silent_bridge_has_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frr_check, "CHECK_S", 0.001)
    with pytest.raises(Unchecked, match="did not answer"):
        await BridgeCheck(Bus().send).ask()


def test_differences_are_rows_of_an_audit() -> None:
    found = compared(events.Checked(1, 9, (RecordBatch(Kind.FLOOD, (ONE,), (TWO,)),)))
    assert found.differed == 9
    assert [(row.kind, row.text, row.problem) for row in found.rows] == [
        (Kind.FLOOD, "110 100.64.0.1", Problem.MISSING),
        (Kind.FLOOD, "110 100.64.0.2", Problem.UNEXPECTED),
    ]
