"""Rows of FRR's namespace: a burst in columns gives what one message after the other gives."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from datapaths.kernel.wire import neighbors as forwarding
from dualpath.netlink.message import DecodeError, attribute, cut, encode_message, messages
from dualpath.netlink.neighborcolumns import FEW, NDMSG, neighbor_columns
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    NDA_DST,
    NDA_LLADDR,
    NDA_MASTER,
    NDA_NH_ID,
    NDA_VLAN,
    NTF_EXT_LEARNED,
    NTF_SELF,
    RTM_DELNEIGH,
    RTM_NEWNEIGH,
)
from frr_bridge.rows import decode_datagrams, decode_rows
from frr_bridge.wire.neighbor import NeighborMessage, decode_neighbor, decode_neighbors
from tests.fakes.visits import steps
from tests.unit.frr_bridge.wire import real
from tests.unit.frr_bridge.wire.build import u32

MANY = FEW + 1
MAC = attribute(NDA_LLADDR, bytes.fromhex("02000000000a"))
VTEP = attribute(NDA_DST, bytes([100, 64, 0, 2]))
PLAIN = [
    real.octets(text)
    for text in (
        real.K_MASTER_MAC,
        real.K_SELF_MAC,
        real.K_FLOOD,
        real.K_DELNEIGH,
        real.K_NEIGHBOR,
        real.K_NEIGHBOR6,
    )
]
LINK = real.octets(real.K_PORT_LEFT)


def entry(*attributes: bytes, family: int = AF_BRIDGE, kind: int = RTM_NEWNEIGH) -> bytes:
    fixed = NDMSG.pack(family, 0, 0, 7, 2, NTF_SELF | NTF_EXT_LEARNED, 1)
    return encode_message(kind, 0, 0, fixed + b"".join(attributes))


def one_by_one(buffer: bytes) -> list[NeighborMessage]:
    return [decode_neighbor(message) for message in messages(buffer)]


def in_columns(buffer: bytes) -> list[NeighborMessage] | None:
    return decode_neighbors(buffer, cut(buffer))


def test_columns_are_what_one_by_one_gives_in_both_namespaces() -> None:
    more = [
        entry(MAC, u32(NDA_NH_ID, 9), u32(NDA_MASTER, 4)),
        entry(MAC, VTEP, attribute(NDA_VLAN, b"\x05\0"), kind=RTM_DELNEIGH),
        entry(VTEP, family=AF_INET),  # a neighbor that is not resolved
        entry(MAC, VTEP, attribute(NDA_DST, bytes(16))),  # of equal attributes the last counts
    ]
    buffer = b"".join(random.Random(1).choices([*PLAIN, *more], k=200))
    assert in_columns(buffer) == one_by_one(buffer)
    assert forwarding.decode_all(buffer, cut(buffer)) == [
        forwarding.decode(message) for message in messages(buffer)
    ]


@pytest.mark.parametrize(
    "unusual",
    [
        LINK,
        entry(MAC, family=99),
        entry(),
        entry(attribute(NDA_LLADDR, bytes(20))),
        entry(MAC, attribute(NDA_DST, bytes(5))),
        entry(MAC, attribute(NDA_DST, b"")),
        entry(MAC, family=AF_INET),
        entry(MAC, VTEP, family=AF_INET6),
        entry(MAC, attribute(NDA_MASTER, bytes(2))),
        entry(MAC, b"\x03\0\x01\0"),
        entry(MAC, b"\xff\0\x01\0"),
        encode_message(RTM_NEWNEIGH, 0, 0, bytes(8)),
    ],
)
def test_one_unusual_message_makes_no_columns(unusual: bytes) -> None:
    buffer = unusual.join(PLAIN * 3)
    assert neighbor_columns(buffer, cut(buffer)) is None


def test_few_messages_make_no_columns() -> None:
    buffer = PLAIN[0] * FEW
    assert neighbor_columns(buffer, cut(buffer)) is None


def test_damaged_messages_give_the_same_rows_or_no_columns() -> None:
    chance, claimed = random.Random(2), 0
    for _ in range(600):
        damaged = bytearray(b"".join(chance.choices(PLAIN, k=MANY)))
        for _ in range(chance.choice((0, 1, 1, 2))):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 2, 4, 8, 255))
        buffer = bytes(damaged)
        try:
            found = in_columns(buffer)
        except DecodeError:
            continue
        if found is not None:
            claimed += 1
            assert found == one_by_one(buffer)
    assert claimed > 100


def test_datagrams_keep_their_rows() -> None:
    for datagrams in (
        PLAIN * 4,
        [*PLAIN * 4, LINK],
        [PLAIN[0] + PLAIN[1], *PLAIN * 4, b""],
        PLAIN[:2],
    ):
        found = [list(rows) for rows in decode_datagrams(datagrams)]
        assert found == [list(decode_rows(datagram)) for datagram in datagrams]
        assert len(found) == len(datagrams)


@pytest.mark.parametrize("bad", [b"\x01", b"\x04\0\0\0", PLAIN[0][:-4], b"\x08\0\0\0" + bytes(4)])
def test_malformed_datagram_costs_no_other(bad: bytes) -> None:
    found = decode_datagrams([*PLAIN * 4, bad, PLAIN[0]])
    rows: list[NeighborMessage | None] = []
    for some in found:
        try:
            rows += some  # type: ignore[arg-type]
        except DecodeError:
            rows.append(None)
    assert rows[-2] is None
    assert rows[-1] == rows[0]


@pytest.mark.parametrize("decode", [in_columns, lambda b: forwarding.decode_all(b, cut(b))])
def test_message_of_a_burst_costs_only_its_row(decode: Callable[[bytes], object]) -> None:
    few, many = b"".join(PLAIN * 20), b"".join(PLAIN * 120)
    each = (steps(lambda: decode(many)) - steps(lambda: decode(few))) / (100 * len(PLAIN))
    assert each < 100
    alone = (steps(lambda: one_by_one(many)) - steps(lambda: one_by_one(few))) / (100 * len(PLAIN))
    assert alone > 5 * each
