"""Events that arrive between two subscriptions are no responses, and none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from datapaths.base import Unavailable
from datapaths.grout.channel import EventStream
from datapaths.grout.wire.frames import EVENT, RESPONSE, Event
from datapaths.grout.wire.table import api, versions
from tests.fakes.grout import listening

ENOSPC = 28
FIRST, SECOND = "GR_EVENT_IFACE_ADD", "GR_EVENT_NEXTHOP_UPDATE"
NUMBERS = api(versions()[0]).types


def event(type_: str, payload: bytes) -> bytes:
    return EVENT.pack(NUMBERS[type_], len(payload)) + payload


async def test_events_before_a_response_are_read_first(tmp_path: Path) -> None:
    async def answer(writer: asyncio.StreamWriter, id_: int) -> None:
        """Cause an event as soon as there is a subscription, in pieces and with the response."""
        early = event(FIRST, b"early%d" % id_)
        writer.write(early[:2])
        await asyncio.sleep(0)
        writer.write(early[2:] + RESPONSE.pack(id_, 0, 0) + event(FIRST, b"late%d" % id_))

    async with listening(tmp_path / "s") as grout:
        grout.answer = answer
        stream = await EventStream.open(str(tmp_path / "s"), [FIRST, SECOND])
        found: list[Event] = []
        while len(found) < 4:
            found += await stream.read()
        stream.close()
    assert {one.type for one in found} == {NUMBERS[FIRST]}
    assert [one.payload for one in found] == [b"early2", b"late2", b"early3", b"late3"]


async def test_refused_subscription_names_the_event(tmp_path: Path) -> None:
    async def answer(writer: asyncio.StreamWriter, id_: int) -> None:
        writer.write(event(FIRST, b"x" * 20) + RESPONSE.pack(id_, ENOSPC, 0))

    async with listening(tmp_path / "s") as grout:
        grout.answer = answer
        with pytest.raises(Unavailable, match=f"{FIRST}: ENOSPC"):
            await EventStream.open(str(tmp_path / "s"), [FIRST])


async def test_subscription_without_a_response_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datapaths.grout.channel.ANSWER_S", 0.1)

    async with listening(tmp_path / "s") as grout:
        grout.answers["GR_EVENT_SUBSCRIBE"] = ()
        with pytest.raises(Unavailable, match="grout hangs"):
            await EventStream.open(str(tmp_path / "s"), [FIRST])
