"""A datapath over gRPC: failures of the connection, and invalid messages from either end."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from unittest.mock import Mock

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError as ProtobufError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datapaths.base import (
    Batch,
    Capabilities,
    CaughtUp,
    Facts,
    Feature,
    FibUse,
    Found,
    Learned,
    LearnedMac,
    Lost,
    NodeStats,
    PortState,
    RowFailure,
    Unavailable,
    Unsupported,
    Way,
)
from datapaths.memory import MemoryDatapath
from datapaths.remote import driver, wire
from datapaths.remote.driver import RemoteDatapath
from datapaths.remote.server import serve
from dualpath.model.kinds import Kind
from dualpath.model.links import Vrf
from dualpath.model.nexthops import BLACKHOLE, Member, Nexthop, NexthopType
from dualpath.model.routes import Family
from dualpath.pb import datapath_pb2 as pb
from dualpath.pb import datapath_pb2_grpc as pb_grpc
from dualpath.pb import state_pb2
from dualpath.rpc.connect import BadAddress
from tests.fakes.batches import batch, upsert
from tests.fakes.waiting import until

MAC = bytes(6)
VTEP = bytes([192, 0, 2, 12])


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "AGAIN_S", 0.01)
    monkeypatch.setattr(driver, "OVERTAKEN_S", 0.01)


@pytest.fixture
def listen(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/datapath.sock"


@asynccontextmanager
async def served(datapath: MemoryDatapath, listen: str) -> AsyncIterator[RemoteDatapath]:
    server = await serve(datapath, listen=listen)
    client = RemoteDatapath(listen)
    try:
        yield client
    finally:
        await client.close()
        await server.stop()


@asynccontextmanager
async def raw(listen: str) -> AsyncIterator[pb_grpc.DatapathStub]:
    async with grpc.aio.insecure_channel(listen) as channel:
        yield pb_grpc.DatapathStub(channel)  # type: ignore[no-untyped-call]  # generated


async def refused(stub: pb_grpc.DatapathStub, request: pb.ApplyRequest) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Apply(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return caught.value.details() or ""


class Silent(MemoryDatapath):
    """Never finishes a call."""

    async def apply(self, batch: Batch) -> list[RowFailure]:
        await asyncio.Event().wait()
        return []


async def test_missing_server_is_unavailable(listen: str) -> None:
    client = RemoteDatapath(listen)
    with pytest.raises(Unavailable, match="no server answers at unix:"):
        await client.capabilities()
    with pytest.raises(Unavailable):
        [b async for b in client.dump(Kind.ROUTE)]
    await client.close()
    for call in (client.capabilities, client.ports, client.facts):
        with pytest.raises(Unavailable, match="closed"):
            await call()


async def test_unavailable_and_unsupported_are_preserved(listen: str) -> None:
    class Never(MemoryDatapath):
        async def capabilities(self) -> Capabilities:
            raise Unsupported("there is no magic in this host")

    datapath = Never()
    datapath.unavailable = True
    async with served(datapath, listen) as client:
        with pytest.raises(Unavailable, match="switched off"):
            await client.apply(batch("+ 10.0.0.0/8 1"))
        with pytest.raises(Unsupported, match="no magic"):
            await client.capabilities()


async def test_hanging_datapath_is_unavailable(
    listen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "APPLY_S", 0.05)
    async with served(Silent(), listen) as client:
        with pytest.raises(Unavailable, match="did not answer in time"):
            await client.apply(batch("+ 10.0.0.0/8 1"))


async def test_cancelled_call_raises_cancelled_error(listen: str) -> None:
    async with served(Silent(), listen) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.apply(batch("+ 10.0.0.0/8 1"))


async def test_other_grpc_server_is_unsupported(listen: str) -> None:
    other = grpc.aio.server()
    other.add_insecure_port(listen)
    await other.start()
    client = RemoteDatapath(listen)
    with pytest.raises(Unsupported, match=r"does not serve dualpath\.v1\.Datapath"):
        await client.capabilities()
    await client.close()
    await other.stop(0)


async def test_ports_and_facts_round_trip(listen: str) -> None:
    port = PortState("p0", True, MAC, 1500, ("10.0.0.1/24",), 1, 2, 3, 4, 5, 6, "net_tap")
    facts = Facts(
        (("api version", "13"),),
        (FibUse("red", Family.INET6, 1, 2, 3),),
        (NodeStats("ip_input", 1 << 60, 2, 3),),
    )
    sent = Capabilities(
        "x", "1", frozenset({Kind.MAC}), frozenset({Feature.STICKY}), 8192, looks_up=True
    )

    class Telling(MemoryDatapath):
        async def capabilities(self) -> Capabilities:
            return sent

        async def ports(self) -> list[PortState]:
            return [port]

        async def facts(self) -> Facts:
            return facts

    async with served(Telling(), listen) as client:
        assert await client.capabilities() == sent
        assert client.name == "x"
        assert list(await client.ports()) == [port]
        assert await client.facts() == facts


WAYS = (
    Way(Nexthop(1, NexthopType.GATEWAY, VTEP, vni=100, onlink=True), 3, 100, VTEP, MAC),
    Way(Nexthop(0, NexthopType.DEVICE, device="p0")),
)
GROUP = Nexthop(3, NexthopType.GROUP, members=(Member(1, 3), Member(2)))


@pytest.mark.parametrize(
    "found",
    [
        None,
        Found(bytes([10, 0, 0, 0]), 8, 68, GROUP, WAYS),
        Found(bytes(16), 0, 0, Nexthop(BLACKHOLE, NexthopType.BLACKHOLE)),
        Found(nexthop=WAYS[1].nexthop, ways=WAYS[1:]),
    ],
)
async def test_lookups_round_trip(listen: str, found: Found | None) -> None:
    class Asked(MemoryDatapath):
        async def look_up(self, vrf: str, address: bytes) -> Found | None:
            assert (vrf, address) == ("red", bytes(16))
            return found

    async with served(Asked(), listen) as client:
        assert await client.look_up("red", bytes(16)) == found


async def test_lookup_is_unsupported_by_a_datapath_without_it(listen: str) -> None:
    class Mute(MemoryDatapath):
        look_up = None  # type: ignore[assignment]  # as one that was written without

    async with served(Mute(), listen) as client:
        with pytest.raises(Unsupported):
            await client.look_up("default", bytes(4))


async def test_lookup_of_an_invalid_address_is_refused(listen: str) -> None:
    async with served(MemoryDatapath(), listen), raw(listen) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.LookUp(pb.LookUpRequest(vrf="default", address=b"123"))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        (pb.FoundRoute(prefix=b"123"), "address of 3 bytes"),
        (pb.FoundRoute(prefix=bytes(4), length=33), "prefix of 33 bits"),
        (pb.FoundRoute(ways=[pb.FoundWay(vtep=b"1")]), "address of 1 bytes"),
        (pb.FoundRoute(ways=[pb.FoundWay(mac=b"1")]), "MAC of 1 bytes"),
    ],
)
def test_reply_to_a_lookup_is_checked(route: pb.FoundRoute, problem: str) -> None:
    for way in route.ways:
        way.nexthop.type = state_pb2.NEXTHOP_TYPE_DEVICE
    with pytest.raises(ValueError, match=problem):
        wire.found_from_pb(pb.LookUpResponse(route=route))


async def test_failures_keep_their_index_across_messages(
    listen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datapaths.remote.slices.ROUTES", 2)
    rows = batch(*(f"+ 10.{i}.0.0/16 {1 if i % 3 else 9}" for i in range(8)))
    datapath = MemoryDatapath()
    async with served(datapath, listen) as client:
        assert {row.index for row in await client.apply(rows)} == set(range(8))
        assert [b async for b in client.dump(Kind.NEXTHOP)]


async def test_stream_is_reopened_after_the_server_restarts(listen: str) -> None:
    first = MemoryDatapath()
    first.tell(LearnedMac(1, MAC))
    first.tell(LearnedMac(2, MAC))
    server = await serve(first, listen=listen)
    client = RemoteDatapath(listen)
    events: list[Learned] = []

    async def listen_to_it() -> None:
        async for event in client.learned():
            events.append(event)  # noqa: PERF401  it is looked at meanwhile

    listening = asyncio.create_task(listen_to_it())
    await until(lambda: CaughtUp() in events)
    await server.stop()
    events.clear()
    second = MemoryDatapath()
    second.tell(LearnedMac(1, MAC))
    server = await serve(second, listen=listen)
    gone = LearnedMac(2, MAC, gone=True)
    await until(lambda: gone in events)
    assert {event.kind for event in events if isinstance(event, Lost)} == set(Kind) - {Kind.LSP}
    await client.close()
    await listening
    await server.stop()


async def test_burst_arrives_in_order(listen: str) -> None:
    datapath = MemoryDatapath()
    async with served(datapath, listen) as client:
        learned = client.learned()
        assert await anext(learned) == CaughtUp()
        macs = [LearnedMac(1, i.to_bytes(6)) for i in range(10_000)]
        for mac in macs:
            datapath.tell(mac)
        assert [await anext(learned) for _ in macs] == macs


ROUTES = state_pb2.RouteBatch(
    vrf="default",
    family=2,
    ops=b"\1",
    prefixes=b"\12\0\0\0",
    lengths=b"\10",
    protocols=b"\0",
    nexthops=b"\1\0\0\0",
)


@pytest.mark.parametrize(
    "change",
    [
        {"family": 7},
        {"ops": b""},
        {"ops": b"\3"},
        {"prefixes": b"\12\0\0"},
        {"prefixes": b"\12\0\0\1"},
        {"lengths": b"\41"},
        {"protocols": b"\0\0"},
        {"nexthops": b"\1\0\0"},
        {"nexthops": bytes(4)},
        {"vrf": ""},
    ],
    ids=str,
)
async def test_invalid_columns_are_refused(listen: str, change: dict[str, object]) -> None:
    datapath = MemoryDatapath()
    sent = state_pb2.RouteBatch()
    sent.CopyFrom(ROUTES)
    for name, value in change.items():
        setattr(sent, name, value)
    async with served(datapath, listen), raw(listen) as stub:
        assert await refused(stub, pb.ApplyRequest(routes=sent))
        assert not datapath.routes


@pytest.mark.parametrize(
    "request_",
    [
        pb.ApplyRequest(),
        pb.ApplyRequest(records=state_pb2.RecordBatch(kind=99)),
        pb.ApplyRequest(records=state_pb2.RecordBatch(kind=6, upserts=[state_pb2.Record()])),
        pb.ApplyRequest(
            records=state_pb2.RecordBatch(
                kind=5, upserts=[state_pb2.Record(mac=state_pb2.MacRecord(vni=1))]
            )
        ),
        pb.ApplyRequest(
            records=state_pb2.RecordBatch(
                kind=8, upserts=[state_pb2.Record(nexthop=state_pb2.NexthopRecord(id=1))]
            )
        ),
    ],
    ids=["nothing", "kind 99", "no record", "another kind", "no type"],
)
async def test_invalid_records_are_refused(listen: str, request_: pb.ApplyRequest) -> None:
    async with served(MemoryDatapath(), listen), raw(listen) as stub:
        assert await refused(stub, request_)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [m async for m in stub.Dump(pb.DumpRequest(kind=77))]
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("at", range(5))
async def test_row_refused_by_the_server_fails_alone(listen: str, at: int) -> None:
    rows = [Nexthop(i, NexthopType.GATEWAY, bytes([10, 0, 0, i]), "eth1") for i in range(1, 6)]
    rows[at] = Nexthop(at + 1, NexthopType.GROUP, members=(Member(9, 300),))
    datapath = MemoryDatapath()
    async with served(datapath, listen) as client:
        (failure,) = await client.apply(upsert(*rows))
    assert (failure.index, failure.errno) == (at, errno.EINVAL)
    assert "300" in failure.reason
    assert len(datapath.records[Kind.NEXTHOP]) == 4


async def test_invalid_batch_fails_after_a_bounded_number_of_calls(listen: str) -> None:
    bad = [Nexthop(i, NexthopType.GROUP, members=(Member(9, 300),)) for i in range(1, 1000)]
    datapath = MemoryDatapath()
    async with served(datapath, listen) as client:
        client._stub.Apply = calls = Mock(wraps=client._stub.Apply)
        failures = await client.apply(upsert(*bad))
    assert sorted(failure.index for failure in failures) == list(range(999))
    assert 1 < calls.call_count < 2 * driver.MOST_REFUSED
    assert datapath.records[Kind.NEXTHOP] == {}


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_random_message_is_a_batch_or_a_value_error(data: bytes) -> None:
    sent = pb.ApplyRequest()
    try:
        sent.ParseFromString(data)
    except ProtobufError:
        return
    with suppress(ValueError):
        wire.request_from_pb(sent)


def test_replies_of_a_server_are_checked() -> None:
    with pytest.raises(ValueError, match="not among"):
        wire.failures_from_pb(pb.ApplyResponse(failures=[pb.RowFailures(rows=[3])]), 3)
    sent = pb.CapabilitiesResponse(kinds=[6, 99], lacks=["sticky", "levity"], batch_rows=1 << 30)
    found = wire.capabilities_from_pb(sent)
    assert found.name == "unnamed"
    assert (found.kinds, found.lacks) == (frozenset({Kind.MAC}), frozenset({Feature.STICKY}))
    assert found.batch_rows == wire.MOST_BATCH_ROWS
    with pytest.raises(ValueError, match="MAC of 2 bytes"):
        list(
            wire.learned_from_pb(
                pb.LearnedResponse(
                    events=[pb.LearnedEvent(mac=pb.LearnedMac(vni=1, mac=b"12")), pb.LearnedEvent()]
                )
            )
        )


async def test_health_check_shows_whether_the_datapath_answers(listen: str) -> None:
    class Moody(MemoryDatapath):
        async def capabilities(self) -> Capabilities:
            if self.unavailable:
                raise Unavailable("not now")
            return await super().capabilities()

    datapath = Moody()
    async with served(datapath, listen), grpc.aio.insecure_channel(listen) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="dualpath.v1.Datapath")
        answers = health_pb2.HealthCheckResponse
        assert (await stub.Check(request)).status == answers.SERVING
        datapath.unavailable = True
        assert (await stub.Check(request)).status == answers.NOT_SERVING


async def test_reflection_names_the_service(listen: str) -> None:
    def describe() -> list[str]:
        with grpc.insecure_channel(listen) as channel:
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            return [m.name for m in pool.FindServiceByName("dualpath.v1.Datapath").methods]

    async with served(MemoryDatapath(), listen):
        names = await asyncio.to_thread(describe)
    assert names == ["Capabilities", "Apply", "Dump", "Ports", "Facts", "LookUp", "Learned"]


@pytest.mark.parametrize("address", ["192.0.2.1:5000", "example.org:5000", "nonsense", ":1"])
async def test_remote_address_requires_tls(address: str) -> None:
    with pytest.raises(BadAddress):
        RemoteDatapath(address)


async def test_upserts_reach_the_server(listen: str) -> None:
    datapath = MemoryDatapath()
    async with served(datapath, listen) as client:
        assert not await client.apply(upsert(Vrf("red", 10)))
    assert datapath.records[Kind.VRF] == {"red": Vrf("red", 10)}
