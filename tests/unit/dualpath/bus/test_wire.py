"""Events are encoded and decoded without loss; any other bytes are a BusError."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualpath.bus.wire import (
    VERSION,
    BusError,
    decode_from_bridge,
    decode_from_controller,
    encode_from_bridge,
    encode_from_controller,
)
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Vrf
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Family, RouteBatch
from dualpath.model.view import BgpSession, FrrVni
from dualpath.pb import bus_pb2, state_pb2

U32 = st.integers(0, 0xFFFF_FFFF)
VNI = st.integers(0, 0xFF_FFFF)
MAC = st.binary(min_size=6, max_size=6)
ADDRESS = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

MACS = st.builds(Mac, VNI, MAC, ADDRESS, st.booleans(), U32)
NEIGHBORS = st.builds(Neighbor, VNI, ADDRESS, MAC, st.booleans())
NEXTHOPS = st.builds(
    Nexthop,
    U32,
    st.sampled_from(NexthopType),
    ADDRESS,
    TEXT,
    VNI,
    st.booleans(),
    st.lists(st.builds(Member, U32, st.integers(1, 256)), max_size=4).map(tuple),
)
RECORDS: dict[Kind, st.SearchStrategy[Record]] = {
    Kind.REMOTE_VTEP: st.builds(RemoteVtep, VNI, ADDRESS, MAC),
    Kind.FLOOD: st.builds(Flood, VNI, ADDRESS),
    Kind.ETHERNET_SEGMENT: st.builds(
        EthernetSegment, U32, st.lists(ADDRESS, max_size=4).map(tuple)
    ),
    Kind.MAC: MACS,
    Kind.NEIGHBOR: NEIGHBORS,
    Kind.NEXTHOP: NEXTHOPS,
    Kind.LSP: st.builds(Lsp, st.integers(0, 0xF_FFFF), st.lists(TEXT, max_size=3).map(tuple)),
}


@st.composite
def record_batches(draw: st.DrawFn) -> RecordBatch:
    kind = draw(st.sampled_from(sorted(RECORDS)))
    some = st.lists(RECORDS[kind], max_size=4).map(tuple)
    return RecordBatch(kind, draw(some), draw(some))


@st.composite
def route_batches(draw: st.DrawFn) -> RouteBatch:
    family = draw(st.sampled_from(Family))
    n = draw(st.integers(0, 5))
    octets = st.binary(min_size=n, max_size=n)
    width = family.width * n
    return RouteBatch(
        draw(TEXT),
        family,
        np.frombuffer(draw(octets), np.uint8),
        np.frombuffer(draw(st.binary(min_size=width, max_size=width)), np.uint8).reshape(n, -1)
        if n
        else np.empty((0, family.width), np.uint8),
        np.array(draw(st.lists(st.integers(0, family.width * 8), min_size=n, max_size=n)), "u1"),
        np.frombuffer(draw(octets), np.uint8),
        np.array(draw(st.lists(U32, min_size=n, max_size=n)), np.uint32),
    )


SESSIONS = st.builds(BgpSession, TEXT, TEXT, U32, TEXT, st.floats(0, 1e12), U32, U32, TEXT)
FRR_VNIS = st.builds(FrrVni, U32, st.integers(2, 3), TEXT, st.booleans(), U32, U32, U32)
FROM_BRIDGE = st.one_of(
    st.builds(events.Changed, st.one_of(record_batches(), route_batches())),
    st.builds(
        events.SessionChanged,
        number=U32,
        state=TEXT,
        reason=TEXT,
        stale_after=st.floats(0, 1e12),
        acknowledge=st.booleans(),
    ),
    st.just(events.Synced()),
    st.builds(events.Configured, U32, st.booleans(), st.booleans(), TEXT, TEXT),
    st.just(events.Alive()),
    st.builds(
        events.FrrReport,
        st.lists(SESSIONS, max_size=3).map(tuple),
        st.lists(FRR_VNIS, max_size=3).map(tuple),
        st.integers(0, (1 << 64) - 1),
    ),
    st.builds(events.Checked, U32, U32, st.lists(record_batches(), max_size=3).map(tuple)),
)
SOME_MACS, SOME_NEIGHBORS = (
    st.lists(MACS, max_size=3).map(tuple),
    st.lists(NEIGHBORS, max_size=3).map(tuple),
)
FROM_CONTROLLER = st.one_of(
    st.builds(events.Subscribe, st.integers(1, 1000), st.booleans(), U32),
    st.builds(events.Credit, st.integers(0, (1 << 63) - 1), st.integers(1, 100)),
    st.builds(
        events.Mirror,
        whole=st.booleans(),
        macs=SOME_MACS,
        neighbors=SOME_NEIGHBORS,
        gone_macs=SOME_MACS,
        gone_neighbors=SOME_NEIGHBORS,
    ),
    st.builds(events.Programmed, route_batches()),
    st.builds(events.Configure, U32, st.binary(max_size=20)),
    st.just(events.Provisioned()),
    st.just(events.Release()),
    st.builds(events.Check, U32),
)


def plain(value: object) -> object:
    """Return an event in a form that can be compared, columns included."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, events.Changed | events.Programmed | RouteBatch):
        fields = [plain(getattr(value, f.name)) for f in dataclasses.fields(value)]
        return type(value), fields
    return value


@given(event=FROM_BRIDGE, epoch=st.integers(0, (1 << 63) - 1), sequence=st.integers(0, 1 << 40))
@settings(max_examples=150, deadline=None)
def test_messages_of_the_bridge_round_trip(
    event: events.FromBridge, epoch: int, sequence: int
) -> None:
    data = encode_from_bridge(event, epoch=epoch, sequence=sequence)
    assert decode_from_bridge(data)[:2] == (epoch, sequence)
    assert plain(decode_from_bridge(data)[2]) == plain(event)


@given(event=FROM_CONTROLLER)
@settings(max_examples=150, deadline=None)
def test_messages_of_the_controller_round_trip(event: events.FromController) -> None:
    assert plain(decode_from_controller(encode_from_controller(event))) == plain(event)


@given(data=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_bus_error_only(data: bytes) -> None:
    """Invariant 6."""
    for decode in (decode_from_bridge, decode_from_controller):
        with contextlib.suppress(BusError):
            decode(data)


@given(event=FROM_BRIDGE, data=st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_messages_raise_bus_error_only(
    event: events.FromBridge, data: st.DataObject
) -> None:
    """Invariant 6."""
    sound = bytearray(encode_from_bridge(event, epoch=7, sequence=9))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(sound) - 1))
        sound[at] = data.draw(st.integers(0, 255))
    del sound[data.draw(st.integers(0, len(sound))) :]
    with contextlib.suppress(BusError):
        decode_from_bridge(bytes(sound))


def routes(**columns: object) -> bytes:
    valid: dict[str, object] = {
        "vrf": "red",
        "family": 2,
        "ops": b"\1",
        "prefixes": bytes(4),
        "lengths": b"\x18",
        "protocols": b"\xba",
        "nexthops": bytes(4),
    }
    made = state_pb2.RouteBatch(**(valid | columns))  # type: ignore[arg-type]
    return bus_pb2.BridgeMessage(
        version=VERSION, epoch=1, sequence=1, routes=made
    ).SerializeToString()


@pytest.mark.parametrize(
    "columns",
    [
        {"family": 0},
        {"family": 10},
        {"ops": b""},
        {"prefixes": bytes(5)},
        {"prefixes": bytes(8)},
        {"lengths": b"\x21"},
        {"lengths": b""},
        {"protocols": bytes(2)},
        {"nexthops": bytes(3)},
        {"nexthops": bytes(8)},
    ],
    ids=lambda columns: str(columns),
)
def test_columns_of_unequal_length_are_a_bus_error(columns: dict[str, object]) -> None:
    assert decode_from_bridge(routes())
    with pytest.raises(BusError):
        decode_from_bridge(routes(**columns))


def test_message_without_a_body_is_a_bus_error() -> None:
    for decode in (decode_from_bridge, decode_from_controller):
        with pytest.raises(BusError):
            decode(b"")


def test_record_of_another_kind_in_a_batch_is_a_bus_error() -> None:
    flood = state_pb2.Record(flood=state_pb2.FloodRecord(vni=1, vtep=bytes(4)))
    for kind in (Kind.MAC, 0, 99):
        batch = state_pb2.RecordBatch(kind=kind, upserts=[flood])
        with pytest.raises(BusError):
            decode_from_bridge(
                bus_pb2.BridgeMessage(version=VERSION, records=batch).SerializeToString()
            )


def test_records_of_the_intent_cannot_be_sent() -> None:
    batch = RecordBatch(Kind.VRF, (Vrf("red"),))
    with pytest.raises(ValueError, match="does not cross"):
        encode_from_bridge(events.Changed(batch), epoch=1, sequence=1)


def test_password_is_in_no_repr_of_a_message() -> None:
    assert "secret" not in repr(events.Configure(1, b"secret"))
