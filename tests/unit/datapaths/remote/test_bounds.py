"""A hostile or malfunctioning agent causes an error, and uses bounded memory."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc
import pytest

from datapaths.base import CaughtUp, Learned, LearnedMac, LearnedNeighbor, Lost, Unavailable
from datapaths.memory import MemoryDatapath
from datapaths.remote import bounds, picture, wire
from datapaths.remote.bounds import DumpMeter, OutOfBounds
from datapaths.remote.driver import RemoteDatapath
from datapaths.remote.picture import Picture
from datapaths.remote.server import serve
from datapaths.remote.service import MESSAGE_WEIGHT, messages
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.pb import datapath_pb2 as pb
from dualpath.pb import datapath_pb2_grpc as pb_grpc
from dualpath.pb import state_pb2
from tests.fakes.batches import batch, upsert

MAC = bytes(5) + b"\1"
VTEP = bytes([192, 0, 2, 1])


class Hostile(pb_grpc.DatapathServicer):
    """Answers every call with a given reply; `sent` counts the messages of streams."""

    def __init__(self, reply: object = None, stream: Iterable[object] = ()) -> None:
        self._reply = reply
        self._stream = stream
        self.sent = 0

    async def _answer(self, request: object, context: object) -> object:
        return self._reply

    async def _answers(self, request: object, context: object) -> AsyncIterator[object]:
        for message in self._stream:
            self.sent += 1
            yield message

    Capabilities = Apply = Ports = Facts = LookUp = _answer
    Dump = Learned = _answers


@asynccontextmanager
async def facing(agent: Hostile, listen: str) -> AsyncIterator[RemoteDatapath]:
    server = grpc.aio.server()
    pb_grpc.add_DatapathServicer_to_server(agent, server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(listen)
    await server.start()
    client = RemoteDatapath(listen)
    try:
        yield client
    finally:
        await client.close()
        await server.stop(0)


def records(count: int, first: int = 0) -> pb.DumpResponse:
    return wire.dumped_to_pb(upsert(*(Mac(1, (first + i).to_bytes(6), VTEP) for i in range(count))))


@pytest.fixture
def listen(tmp_path: object) -> str:
    return f"unix:{tmp_path}/agent.sock"


async def test_oversized_reply_names_the_agent_and_both_sizes(
    listen: str,
) -> None:
    large = pb.CapabilitiesResponse(name="x" * bounds.MESSAGE_BYTES)
    async with facing(Hostile(large), listen) as client:
        with pytest.raises(Unavailable, match=rf"{listen}: .*larger than max .*{4 << 20}"):
            await client.capabilities()


@pytest.mark.parametrize("part", ["values", "fibs", "nodes"])
async def test_unlimited_facts_are_an_error(listen: str, part: str) -> None:
    reply = pb.FactsResponse()
    for _ in range(bounds.MOST_ENTRIES + 1):
        getattr(reply, part).add()
    async with facing(Hostile(reply), listen) as client:
        with pytest.raises(Unavailable, match=r"65537 .*; the limit is 65536"):
            await client.facts()


async def test_unlimited_ports_are_an_error(listen: str) -> None:
    reply = pb.PortsResponse(ports=[pb.PortState()] * (bounds.MOST_ENTRIES + 1))
    async with facing(Hostile(reply), listen) as client:
        with pytest.raises(Unavailable, match="65537 ports; the limit is 65536"):
            await client.ports()


@pytest.mark.parametrize("rows", [[0, 0], [0, 1, 0], [0] * 100_000])
async def test_more_failures_than_rows_are_an_error(listen: str, rows: list[int]) -> None:
    reply = pb.ApplyResponse(failures=[pb.RowFailures(error="EIO", rows=rows)])
    async with facing(Hostile(reply), listen) as client:
        with pytest.raises(Unavailable, match=r"more failures than rows|row 0 failed twice"):
            await client.apply(batch("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1"))


async def test_long_reason_is_cut(listen: str) -> None:
    failure = pb.RowFailures(error="E" * 100_000, reason="no\n" * 100_000, rows=[0])
    async with facing(Hostile(pb.ApplyResponse(failures=[failure])), listen) as client:
        (row,) = await client.apply(batch("+ 10.0.0.0/8 1"))
    assert (row.errno, len(row.reason)) == (errno.EIO, bounds.MOST_TEXT)
    assert row.reason.endswith("...")


@pytest.mark.parametrize(
    ("error", "number", "reason"),
    [
        ("ENOBUFS", errno.ENOBUFS, "full"),
        ("EWEIRD", errno.EIO, "EWEIRD: full"),
        ("", errno.EIO, "full"),
    ],
)
async def test_an_unknown_errno_stays_readable(
    listen: str, error: str, number: int, reason: str
) -> None:
    failure = pb.RowFailures(error=error, reason="full", rows=[0])
    async with facing(Hostile(pb.ApplyResponse(failures=[failure])), listen) as client:
        (row,) = await client.apply(batch("+ 10.0.0.0/8 1"))
    assert (row.errno, row.reason) == (number, reason)


async def test_long_name_and_version_are_cut(listen: str) -> None:
    reply = pb.CapabilitiesResponse(name="x" * 100_000, version="1" * 100_000)
    async with facing(Hostile(reply), listen) as client:
        found = await client.capabilities()
    assert (len(found.name), len(found.version)) == (bounds.MOST_TEXT, bounds.MOST_TEXT)


async def test_endless_dump_is_cancelled(listen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "DUMP_RECORDS", 5000)
    agent = Hostile(stream=(records(1000, i * 1000) for i in range(1_000_000)))
    async with facing(agent, listen) as client:
        dump = client.dump(Kind.MAC)
        assert [len(await anext(dump)) for _ in range(5)] == [1000] * 5
        with pytest.raises(Unavailable, match="more than 5000 records"):
            await anext(dump)
    assert agent.sent < 1_000_000


def test_dump_is_limited_by_bytes_and_by_records() -> None:
    meter = DumpMeter()
    for _ in range(bounds.DUMP_BYTES // bounds.MESSAGE_BYTES):
        meter.add(bounds.MESSAGE_BYTES, 0)
    with pytest.raises(OutOfBounds, match="more than 512 MiB"):
        meter.add(1, 0)
    meter = DumpMeter()
    meter.add(0, bounds.DUMP_RECORDS)
    with pytest.raises(OutOfBounds, match="more than 1048576 records"):
        meter.add(0, 1)


async def test_dump_of_another_kind_is_an_error(listen: str) -> None:
    async with facing(Hostile(stream=[records(1)]), listen) as client:
        with pytest.raises(Unavailable, match="asked for NEIGHBOR, got MAC"):
            [part async for part in client.dump(Kind.NEIGHBOR)]


def test_lookup_with_unlimited_paths_is_an_error() -> None:
    reply = pb.LookUpResponse(route=pb.FoundRoute(prefix=bytes(4)))
    for _ in range(5000):
        reply.route.ways.add().nexthop.type = state_pb2.NEXTHOP_TYPE_DEVICE
    with pytest.raises(ValueError, match="5000 ways"):
        wire.found_from_pb(reply)


def test_invalid_port_is_not_reported() -> None:
    event = pb.LearnedEvent(port=pb.PortChanged(name="x" * 100))
    with pytest.raises(ValueError, match="cannot be the name of a device"):
        list(wire.learned_from_pb(pb.LearnedResponse(events=[event])))


def reported(known: Picture, *events: Learned) -> list[Learned]:
    return [event for one in events for event in known.apply(one)]


def macs(count: int, first: int = 0) -> list[Learned]:
    return [LearnedMac(1, (first + i).to_bytes(6)) for i in range(count)]


def test_hosts_beyond_the_limit_are_an_error_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picture, "MOST_LEARNED", 100)
    known = Picture()
    reported(known, *macs(99), LearnedNeighbor(1, bytes(4), MAC))
    with pytest.raises(ValueError, match="more than 100 MACs and neighbors"):
        reported(known, *macs(1, 99))
    assert len(known) == 100
    assert reported(known, *macs(1, 0), LearnedMac(1, bytes(6), gone=True)) == [
        LearnedMac(1, bytes(6), gone=True)
    ]
    assert reported(known, *macs(1, 99)) == macs(1, 99)


def test_hosts_of_a_restarted_agent_replace_the_earlier_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even before it caught up: otherwise a full picture would refuse the new hosts for good."""
    monkeypatch.setattr(picture, "MOST_LEARNED", 100)
    known = Picture()
    reported(known, *macs(100), CaughtUp())
    known.interrupted()
    again = reported(known, *macs(100, 1000), CaughtUp())
    gone = [event for event in again if isinstance(event, LearnedMac) and event.gone]
    assert len(gone) == 100
    assert len(known) == 100
    assert set(macs(100, 1000)) <= set(again)


async def test_stream_beyond_the_limit_is_closed_and_reopened(
    listen: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(picture, "MOST_LEARNED", 10)
    monkeypatch.setattr("datapaths.remote.driver.AGAIN_S", 0.01)
    stream = [wire.learned_to_pb(macs(20))]
    async with facing(Hostile(stream=stream), listen) as client:
        events = client.learned()
        got = [await anext(events) for _ in range(10)]
        assert got == macs(10)
        assert isinstance(await anext(events), Lost)  # of the second stream
        await events.aclose()  # type: ignore[attr-defined]
    assert "more than 10 MACs and neighbors" in caplog.text


def test_large_loss_is_split_below_the_message_limit() -> None:
    lost = tuple(Mac(1, i.to_bytes(6), bytes(16)) for i in range(60_000))
    sent = list(messages([*macs(3), Lost(Kind.MAC, lost), CaughtUp()]))
    assert all(message.ByteSize() < 2 * MESSAGE_WEIGHT for message in sent)
    events = [event for message in sent for event in wire.learned_from_pb(message)]
    assert events[:3] == macs(3)
    assert events[-1] == CaughtUp()
    parts = [event.records for event in events if isinstance(event, Lost)]
    assert tuple(record for part in parts for record in part) == lost


async def test_large_loss_arrives_whole(listen: str) -> None:
    datapath = MemoryDatapath()
    lost = tuple(Mac(1, i.to_bytes(6), bytes(16)) for i in range(120_000))
    server = await serve(datapath, listen=listen)
    client = RemoteDatapath(listen)
    events = client.learned()
    assert await anext(events) == CaughtUp()
    datapath.tell(Lost(Kind.MAC, lost))
    found = 0
    while found < len(lost):
        event = await anext(events)
        assert isinstance(event, Lost)
        found += len(event.records)
    await events.aclose()  # type: ignore[attr-defined]
    await client.close()
    await server.stop()
