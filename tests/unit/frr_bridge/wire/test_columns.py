from __future__ import annotations

import random
import struct
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualpath.model.nexthops import BLACKHOLE, FIRST_RESERVED, UNREACHABLE
from dualpath.model.routes import Family, Op
from dualpath.netlink.message import attribute, encode_message
from dualpath.netlink.numbers import (
    NHA_ID,
    NHA_OIF,
    NLA_F_NESTED,
    RTA_DST,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_METRICS,
    RTA_PREFSRC,
    RTA_SRC,
    RTA_TABLE,
    RTM_NEWNEXTHOP,
    RTM_NEWROUTE,
)
from frr_bridge.wire import columns, shape
from frr_bridge.wire.columns import Decoded, decode
from frr_bridge.wire.fpm import FpmFramer, frame
from frr_bridge.wire.nexthop import NHMSG, ZebraNexthop
from frr_bridge.wire.route import RTMSG
from tests.unit.frr_bridge.wire import real
from tests.unit.frr_bridge.wire.build import (
    DictHandles,
    by_id,
    device,
    encap,
    frames,
    gateway,
    multipath,
    route,
    u32,
    withdrawal,
)
from tests.unit.frr_bridge.wire.render import render

MANY = 40  # enough for a block


def taken(stream: bytes) -> Decoded:
    got = FpmFramer().feed(stream)
    return decode(got.buffer, got.offsets, DictHandles())


def rendered(stream: bytes, few: int) -> list[str]:
    """Render what a stream decodes to, with blocks of more than `few` messages in columns."""
    handles = DictHandles()
    got = FpmFramer().feed(stream)
    with patch.object(columns, "FEW", few):
        return render(decode(got.buffer, got.offsets, handles), handles.meaning())


def assert_both_agree(stream: bytes) -> list[str]:
    scalar = rendered(stream, 1 << 30)
    assert rendered(stream, 0) == scalar
    assert rendered(stream, 3) == scalar
    return scalar


# Random messages of every shape.

addresses = {4: st.binary(min_size=4, max_size=4), 16: st.binary(min_size=16, max_size=16)}
hostile = st.binary(max_size=12).map(lambda value: attribute(random.Random(1).randrange(40), value))
vnis = st.sampled_from([1, 100, 0xFFFFFF, 0x1000000])
oifs = st.integers(0, 4)
kinds = st.sampled_from([1, 1, 1, 1, 2, 6, 7, 8, 255])


def nexthops(width: int) -> st.SearchStrategy[bytes]:
    hop = st.builds(gateway, st.sampled_from([bytes(width), b"\1" * width]), oifs)
    single = st.one_of(
        st.just(b""),
        st.builds(by_id, st.integers(0, 5)),
        st.builds(device, oifs),
        hop,
        st.builds(lambda h, vni: h + encap(vni), hop, vnis),
        st.builds(lambda h: h + attribute(RTA_ENCAP_TYPE, b"\1\0"), hop),
        st.builds(lambda h: h + attribute(RTA_ENCAP, b"abcdefgh"), hop),
        st.builds(lambda h: h + attribute(RTA_METRICS | NLA_F_NESTED, u32(2, 9000)), hop),
        st.builds(lambda h: attribute(RTA_PREFSRC, bytes(width)) + h, hop),
    )
    legs = st.lists(st.tuples(st.integers(1, 256), st.integers(0, 7), oifs, hop), max_size=3)
    return st.one_of(single, single, legs.map(lambda value: multipath(*value)))


def routes(width: int) -> st.SearchStrategy[bytes]:
    lengths = st.integers(0, width * 8 + 1)
    tables = st.sampled_from([0, 254, 254, 1000, 2**32 - 1])
    return st.one_of(
        st.builds(
            route,
            addresses[width],
            lengths,
            nexthops(width),
            table=tables,
            protocol=st.integers(0, 255),
            kind=kinds,
            flags=st.integers(0, 7),
        ),
        st.builds(withdrawal, addresses[width], lengths, table=tables),
    )


def raw(attributes: bytes, src: int = 0) -> bytes:
    return encode_message(
        RTM_NEWROUTE, 0, 0, RTMSG.pack(2, 8, src, 0, 254, 1, 0, 1, 0) + attributes
    )


odd = st.one_of(
    st.just(real.octets(real.NEWNEXTHOP)[4:]),
    st.just(encode_message(99, 0, 0, bytes(20))),
    st.just(raw(by_id(1))),
    st.just(raw(attribute(RTA_DST, bytes(4)) + by_id(1), src=8)),
    st.just(raw(attribute(RTA_DST, bytes(4)) + attribute(RTA_SRC, bytes(4)) + by_id(1))),
    st.just(raw(attribute(RTA_DST, bytes(4)) + u32(RTA_TABLE, 7) + by_id(1) + by_id(2))),
    st.binary(max_size=60).map(lambda body: encode_message(RTM_NEWROUTE, 0, 0, b"\2" + body)),
    st.binary(max_size=40),
)
payload = st.lists(st.one_of(routes(4), routes(4), routes(16), odd), min_size=1, max_size=3)
streams = st.lists(st.tuples(payload, st.integers(1, 12)), min_size=1, max_size=12).map(
    lambda runs: b"".join(frame(b"".join(messages)) * count for messages, count in runs)
)


@settings(max_examples=80, deadline=None)
@given(streams)
def test_both_decoders_agree(stream: bytes) -> None:
    assert_both_agree(stream)


@settings(max_examples=40, deadline=None)
@given(streams, st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=20))
def test_both_decoders_agree_on_damaged_messages(
    stream: bytes, damage: list[tuple[int, int]]
) -> None:
    offsets = FpmFramer().feed(stream).offsets
    headers = {int(at) + i for at in offsets for i in range(4)}
    damaged = bytearray(stream)
    for at, value in damage:
        if at % len(stream) not in headers:
            damaged[at % len(stream)] = value
    assert_both_agree(bytes(damaged))


def test_uniform_routes_are_one_table_in_order() -> None:
    stream = frames(*(route(bytes([10, i, 0, 255]), 24, by_id(7 + i % 2)) for i in range(MANY)))
    (table,) = taken(stream).routes
    assert (table.table, table.family, len(table)) == (254, Family.INET, MANY)
    assert table.prefixes.tolist() == [[10, i, 0, 0] for i in range(MANY)]
    assert table.lengths.tolist() == [24] * MANY
    assert table.protocols.tolist() == [186] * MANY
    assert table.ops.tolist() == [Op.UPSERT] * MANY
    assert table.nexthops.tolist() == [1, 3] * (MANY // 2)
    assert {c.dtype for c in (table.prefixes, table.lengths, table.protocols)} == {np.dtype("u1")}
    assert table.nexthops.dtype == np.dtype("u4")


def test_rows_keep_the_order_of_the_stream_across_shapes() -> None:
    source = random.Random(3)
    hops = [by_id(1), device(3), gateway(bytes(4), 2), multipath((1, 0, 2, b""), (1, 0, 3, b""))]
    made = [
        withdrawal(bytes([i, 0, 0, 0]), 8)
        if i % 9 == 0
        else route(bytes([i, 0, 0, 0]), 8, source.choice(hops), table=source.choice([254, 1000]))
        for i in range(200)
    ]
    tables = taken(frames(*made)).routes
    assert [(t.family, t.table) for t in tables] == [(Family.INET, 254), (Family.INET, 1000)]
    for table in tables:
        firsts = table.prefixes[:, 0].tolist()
        assert firsts == sorted(firsts)
    assert sum(map(len, tables)) == 200


@pytest.mark.parametrize("count", [1, MANY])
def test_a_delete_and_an_add_in_one_frame_are_one_replace(count: int) -> None:
    pair = [
        frame(withdrawal(bytes([i, 0, 0, 0]), 8) + route(bytes([i, 0, 0, 0]), 8, by_id(4)))
        for i in range(count)
    ]
    (table,) = taken(b"".join(pair)).routes
    assert table.prefixes[:, 0].tolist() == [i for i in range(count) for _ in range(2)]
    assert table.ops.tolist() == [Op.WITHDRAW, Op.UPSERT] * count


@pytest.mark.parametrize("count", [1, MANY])
def test_drops_have_reserved_identities(count: int) -> None:
    made = frames(*[route(bytes(4), 8, kind=6), route(bytes(4), 9, kind=7)] * count)
    handles = DictHandles()
    got = FpmFramer().feed(made)
    (table,) = decode(got.buffer, got.offsets, handles).routes
    assert table.nexthops.tolist() == [BLACKHOLE, UNREACHABLE] * count
    assert not handles.meaning()


def test_an_inline_nexthop_is_interned_once() -> None:
    class Counting(DictHandles):
        calls = 0

        def inline(self, nexthop: object) -> int:
            self.calls += 1
            return super().inline(nexthop)  # type: ignore[arg-type]

    made = (gateway(bytes([10, 0, 0, i % 3]), 2) + encap(100 + i % 2) for i in range(300))
    got = FpmFramer().feed(frames(*(route(bytes(4), 8, hop) for hop in made)))
    handles = Counting()
    (table,) = decode(got.buffer, got.offsets, handles).routes
    assert (handles.calls, len(set(table.nexthops.tolist()))) == (6, 6)


def test_rows_with_one_hash_are_told_apart() -> None:
    keys = np.array([[1, 2], [3, 4], [1, 2], [5, 6]], np.uint32)
    with patch.object(shape, "_FACTORS", np.zeros(2, np.uint64)):
        first, inverse = shape.distinct(keys)
    assert keys[first][inverse].tolist() == keys.tolist()
    assert len(first) == 3


@pytest.mark.parametrize("count", [1, MANY])
def test_a_bad_message_loses_no_other(count: int) -> None:
    good, bad = route(bytes(4), 8, by_id(1)), route(bytes(4), 33, by_id(1))
    decoded = taken(frames(*[good, bad, good] * count))
    assert len(decoded.routes[0]) == 2 * count
    assert [error.reason for error in decoded.errors] == ["prefix length"] * count
    assert decoded.errors[0].raw == bad
    assert decoded.errors[0].offset == len(good) + 4 + 4 + 16


@pytest.mark.parametrize("count", [1, MANY])
def test_a_bad_length_loses_the_rest_of_its_frame_only(count: int) -> None:
    good = route(bytes(4), 8, by_id(1))
    broken = frame(good + struct.pack("=I", 1 << 30) + good[4:]) + frame(good)
    decoded = taken(broken * count)
    assert len(decoded.routes[0]) == 2 * count
    assert [error.reason for error in decoded.errors] == ["message length"] * count


def test_errors_and_others_are_in_the_order_of_the_stream() -> None:
    hops = [
        encode_message(
            RTM_NEWNEXTHOP, 0, 0, NHMSG.pack(2, 0, 11, 0, 0) + u32(NHA_ID, i) + u32(NHA_OIF, 1)
        )
        for i in range(1, MANY)
    ]
    made = [m for hop in hops for m in (hop, route(bytes(4), 33), route(bytes(4), 8, by_id(1)))]
    decoded = taken(frames(*made))
    assert [other.id for other in decoded.others if isinstance(other, ZebraNexthop)] == list(
        range(1, MANY)
    )
    offsets = [error.offset for error in decoded.errors]
    assert offsets == sorted(offsets)
    assert len(offsets) == MANY - 1


def test_types_that_say_nothing_are_counted() -> None:
    assert taken(frames(encode_message(36, 0, 0, b""))).ignored == 1


@pytest.mark.parametrize("stream", [b"", frame(b"") * MANY, frame(b"") * 3])
def test_nothing_is_nothing(stream: bytes) -> None:
    decoded = taken(stream)
    assert (decoded.routes, decoded.others, decoded.errors) == ([], [], [])


def test_decoded_columns_do_not_hold_the_buffer() -> None:
    stream = frames(*(route(bytes([10, i, 0, 0]), 24, by_id(7)) for i in range(MANY)))
    (table,) = taken(stream).routes
    for column in (table.prefixes, table.lengths, table.protocols, table.nexthops):
        assert not np.shares_memory(column, np.frombuffer(stream, np.uint8))


def test_reserved_identities_are_above_all_handles() -> None:
    assert max(DictHandles().meaning(), default=0) < FIRST_RESERVED
