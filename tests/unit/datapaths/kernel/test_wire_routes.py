"""The fast columnar route codec agrees with the struct codec, and survives random bytes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from datapaths.kernel.wire.routes import (
    RTMSG,
    WITHDRAWAL,
    RouteColumns,
    RouteEncoder,
    decode_routes,
    dump_request,
    encode_route,
)
from dualpath.model.nexthops import BLACKHOLE, PROHIBIT, UNREACHABLE
from dualpath.model.routes import Family
from dualpath.netlink import numbers as n
from dualpath.netlink.message import NLMSGHDR, DecodeError, messages, request, u32

SHAPES = [WITHDRAWAL, n.RTN_UNICAST, n.RTN_BLACKHOLE, n.RTN_UNREACHABLE, n.RTN_PROHIBIT]
FLAGS_AND_SEQ = slice(6, 12)

Row = tuple[bytes, int, int]


def rows(family: Family, count: int, seed: int = 1) -> list[Row]:
    chance = random.Random(seed)
    return [
        (
            chance.randbytes(family.width),
            chance.randrange(family.width * 8 + 1),
            chance.getrandbits(31),
        )
        for _ in range(count)
    ]


def encode(
    encoder: RouteEncoder, family: Family, table: int, shape: int, some: list[Row], first: int = 1
) -> bytes:
    prefixes = np.frombuffer(b"".join(row[0] for row in some), np.uint8).reshape(-1, family.width)
    lengths = np.array([row[1] for row in some], np.uint8)
    ids = np.array([row[2] for row in some], np.uint32)
    return bytes(encoder.encode(family, table, shape, first, prefixes, lengths, ids))


def reference(data: bytes) -> list[tuple[object, ...]]:
    """Decode with struct, message by message."""
    found: list[tuple[object, ...]] = []
    for message in messages(data):
        family, length, _, _, table, protocol, _, kind, _ = RTMSG.unpack_from(message.body)
        got = message.attributes(RTMSG).values()
        drops = {6: BLACKHOLE, 7: UNREACHABLE, 8: PROHIBIT}
        found.append(
            (
                message.type,
                int.from_bytes(got.get(n.RTA_TABLE, bytes([table])), "little"),
                got.get(n.RTA_DST, bytes(Family(family).width)),
                length,
                protocol,
                kind,
                int.from_bytes(got.get(n.RTA_PRIORITY, b""), "little"),
                int.from_bytes(got.get(n.RTA_NH_ID, b""), "little") or drops.get(kind, 0),
            )
        )
    return found


def listed(columns: RouteColumns) -> list[tuple[object, ...]]:
    return [
        (
            int(type_),
            int(table),
            bytes(prefix),
            int(length),
            int(protocol),
            int(kind),
            int(m),
            int(i),
        )
        for type_, table, prefix, length, protocol, kind, m, i in zip(
            columns.types,
            columns.tables,
            columns.prefixes,
            columns.lengths,
            columns.protocols,
            columns.kinds,
            columns.metrics,
            columns.nexthops,
            strict=True,
        )
    ]


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("table", [254, 1100])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_encoders_produce_equal_bytes(family: Family, table: int, shape: int) -> None:
    some = rows(family, 20)
    fast = encode(RouteEncoder(), family, table, shape, some, first=7)
    plain = [encode_route(family, table, shape, *row) for row in some]
    size = len(plain[0])
    for i, expected in enumerate(plain):
        one = bytearray(fast[i * size : (i + 1) * size])
        _, _, flags, seq, _ = NLMSGHDR.unpack_from(one)
        assert seq == 7 + i
        assert bool(flags & n.NLM_F_ACK) == (i == 19)
        one[FLAGS_AND_SEQ] = expected[FLAGS_AND_SEQ]
        assert bytes(one) == expected


def test_reused_buffer_requests_one_acknowledgement() -> None:
    encoder = RouteEncoder()
    for count in (5, 9, 2, 7):
        data = encode(encoder, Family.INET, 254, n.RTN_UNICAST, rows(Family.INET, count))
        asking = [bool(message.flags & n.NLM_F_ACK) for message in messages(data)]
        assert asking == [False] * (count - 1) + [True]


def test_reused_buffer_may_have_another_table() -> None:
    encoder = RouteEncoder()
    for table in (1100, 1101, 5):
        data = encode(encoder, Family.INET6, table, n.RTN_UNICAST, rows(Family.INET6, 3))
        (columns,) = decode_routes(data)
        assert set(columns.tables.tolist()) == {table}


def test_sequence_numbers_may_reach_their_maximum() -> None:
    some = rows(Family.INET, 3)
    data = encode(RouteEncoder(), Family.INET, 254, n.RTN_UNICAST, some, 0xFFFF_FFFD)
    assert [message.sequence for message in messages(data)] == [
        0xFFFF_FFFD,
        0xFFFF_FFFE,
        0xFFFF_FFFF,
    ]


@pytest.mark.parametrize("family", Family)
def test_both_decoders_agree(family: Family) -> None:
    chance = random.Random(3)
    parts = [
        encode_route(family, chance.choice([5, 254, 4000]), chance.choice(SHAPES), *row)
        for row in rows(family, 300)
    ]
    data = b"".join(parts)
    (columns,) = decode_routes(data)
    assert listed(columns) == reference(data)


def test_families_and_other_messages_may_be_mixed() -> None:
    four, six = rows(Family.INET, 4), rows(Family.INET6, 4)
    parts: list[bytes] = []
    for a, b in zip(four, six, strict=True):
        parts.append(encode_route(Family.INET, 254, n.RTN_UNICAST, *a))
        parts.append(request(n.RTM_NEWLINK, 0, bytes(17) + bytes(3)))
        parts.append(encode_route(Family.INET6, 254, n.RTN_UNICAST, *b))
    found = {columns.family: columns for columns in decode_routes(b"".join(parts))}
    for family, some in ((Family.INET, four), (Family.INET6, six)):
        assert found[family].nexthops.tolist() == [row[2] for row in some]


def test_attributes_may_come_in_any_order_and_number() -> None:
    head = RTMSG.pack(Family.INET, 8, 0, 0, 0, 68, 0, n.RTN_UNICAST, 0)
    odd = bytes.fromhex("05001400") + b"\1\0\0\0"  # RTA_PREF: one byte, padded
    dst = bytes.fromhex("08000100") + bytes([20, 0, 0, 0])
    nexthop, table = u32(n.RTA_NH_ID, 9), u32(n.RTA_TABLE, 1100)
    orders = [odd + nexthop + dst + table, dst + table + nexthop, table + odd + odd + dst + nexthop]
    data = b"".join(request(n.RTM_NEWROUTE, 0, head + attrs) for attrs in orders)
    (columns,) = decode_routes(data)
    assert columns.nexthops.tolist() == [9, 9, 9]
    assert columns.tables.tolist() == [1100] * 3
    assert columns.prefixes.tolist() == [[20, 0, 0, 0]] * 3


def test_default_route_has_no_destination_attribute() -> None:
    head = RTMSG.pack(Family.INET6, 0, 0, 0, 254, 68, 0, n.RTN_UNICAST, 0)
    (columns,) = decode_routes(request(n.RTM_NEWROUTE, 0, head + u32(n.RTA_NH_ID, 9)))
    assert columns.prefixes.tolist() == [[0] * 16]


def test_dump_requests_protocol_68_only() -> None:
    (message,) = messages(dump_request(Family.INET6))
    assert RTMSG.unpack(message.body)[:6] == (Family.INET6, 0, 0, 0, 0, n.RTPROT_DUALPATH)


def test_empty_buffer_has_no_routes() -> None:
    assert list(decode_routes(b"")) == []


@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_raise_decode_errors_only(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(b"".join(encode_route(Family.INET, 4000, 1, *r) for r in rows(Family.INET, 8)))
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    for stop in (len(data), chance.randrange(len(data))):
        try:
            list(decode_routes(bytes(data[:stop])))
        except DecodeError:
            continue
