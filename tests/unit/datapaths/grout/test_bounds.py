"""A malfunctioning grout causes an error within a bounded time and with bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from datapaths.base import Unavailable
from datapaths.grout import channel
from datapaths.grout.channel import Channel
from datapaths.grout.wire import nexthops
from datapaths.grout.wire.frames import RESPONSE
from datapaths.grout.wire.numbers import GR_API_MAX_MSG_LEN
from datapaths.grout.wire.table import DecodeError, api, versions
from tests.fakes.grout import Answer, listening

API = api(versions()[0])


@asynccontextmanager
async def answering(path: Path, answer: Answer) -> AsyncIterator[Channel]:
    """Yield a channel to a grout that answers GR_HELLO, and other requests by `answer`."""

    async with listening(path) as grout:
        grout.answer = answer
        asking = await Channel.open(str(path))
        try:
            yield asking
        finally:
            asking.close()


async def endless(writer: asyncio.StreamWriter, id_: int) -> None:
    while not writer.is_closing():
        writer.write(RESPONSE.pack(id_, 0, 8) + bytes(8))
        await writer.drain()
        await asyncio.sleep(0)


async def trickling(writer: asyncio.StreamWriter, id_: int) -> None:
    """Send a message byte by byte, without its last byte."""
    writer.write(RESPONSE.pack(id_, 0, GR_API_MAX_MSG_LEN))
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def too_long(writer: asyncio.StreamWriter, id_: int) -> None:
    writer.write(RESPONSE.pack(id_, 0, GR_API_MAX_MSG_LEN + 1))


async def test_list_beyond_the_limit_breaks_the_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "LIST_BYTES", 10_000)
    async with answering(tmp_path / "s", endless) as asking:
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable, match="GR_NH_LIST: grout lists more than 10000 bytes"):
                await asking.collect("GR_NH_LIST")
        assert asking.broken


async def test_list_below_the_limit_is_returned_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "LIST_BYTES", 10_000)
    async with listening(tmp_path / "s") as grout:
        grout.answers["GR_NH_LIST"] = (*[bytes(100)] * 100, b"")
        asking = await Channel.open(str(tmp_path / "s"))
        assert sum(len(run) for run in await asking.collect("GR_NH_LIST")) == 100
        asking.close()


async def test_endless_list_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LIST_S", 0.1)
    async with answering(tmp_path / "s", endless) as asking, asyncio.timeout(10):
        with pytest.raises(Unavailable, match=r"GR_NH_LIST: no end of the list after 0\.1 s"):
            await asking.collect("GR_NH_LIST")


async def test_response_sent_a_byte_at_a_time_counts_as_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "ANSWER_S", 0.2)
    async with answering(tmp_path / "s", trickling) as asking, asyncio.timeout(10):
        with pytest.raises(Unavailable, match="grout hangs: no answer for"):
            await asking.call("GR_PING")


async def test_message_beyond_grouts_limit_is_refused_at_its_header(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", too_long) as asking, asyncio.timeout(10):
        with pytest.raises(Unavailable, match=f"payload of {GR_API_MAX_MSG_LEN + 1} bytes"):
            await asking.call("GR_PING")


async def test_more_responses_than_requests_break_the_channel(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", endless) as asking, asyncio.timeout(10):
        with pytest.raises(Unavailable, match="grout sent more responses than requests"):
            await asking.send([("GR_PING", b"")] * 3)


@pytest.mark.parametrize("members", [1, 0xFFFF])
def test_group_with_more_members_than_bytes_is_refused(members: int) -> None:
    group = nexthops.Nexthop(type=7, id=1, info=nexthops.Group(members=()))
    head = API.structs["gr_nh_add_req"].fields["nh"][1]  # type: ignore[index]
    payload = bytearray(nexthops.encode_add(API, group)[head:])
    row = API.new("gr_nexthop_info_group", n_members=members)
    at = API.size("gr_nexthop")
    payload[at : at + API.size("gr_nexthop_info_group")] = row.tobytes()
    with pytest.raises(DecodeError, match=r"members|do not fit"):
        nexthops.decode(API, bytes(payload))
