"""No message exceeds gRPC's default limit, and rows keep their order."""

from __future__ import annotations

import numpy as np

from datapaths.remote.slices import slices
from datapaths.remote.wire import request_to_pb
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Family, Op, RouteBatch
from tests.fakes.batches import batch

LIMIT = 4 * 1024 * 1024


def macs(count: int) -> tuple[Mac, ...]:
    return tuple(Mac(1, i.to_bytes(6), bytes(16)) for i in range(count))


def test_route_batch_is_split_and_numbered() -> None:
    n = 150_000
    routes = RouteBatch(
        "red",
        Family.INET6,
        np.full(n, Op.UPSERT, np.uint8),
        np.full((n, 16), 255, np.uint8),
        np.full(n, 128, np.uint8),
        np.zeros(n, np.uint8),
        np.arange(n, dtype=np.uint32),
    )
    parts = list(slices(routes))
    assert [first for first, _ in parts] == [0, 65536, 131072]
    assert sum(len(part) for _, part in parts) == n
    for first, part in parts:
        assert isinstance(part, RouteBatch)
        assert part.nexthops[0] == first
        assert request_to_pb(part).ByteSize() < LIMIT / 2


def test_record_batch_is_split_with_upserts_first() -> None:
    both = RecordBatch(Kind.MAC, macs(2500), macs(1200))
    parts = list(slices(both))
    assert [(first, len(part)) for first, part in parts] == [
        (0, 1024),
        (1024, 1024),
        (2048, 452),
        (2500, 1024),
        (3524, 176),
    ]
    for first, part in parts:
        assert isinstance(part, RecordBatch)
        assert [part.row(i) for i in range(len(part))] == [
            both.row(first + i) for i in range(len(part))
        ]


def test_large_groups_are_sent_few_per_message() -> None:
    members = tuple(Member(i, 256) for i in range(1, 4097))
    groups = tuple(Nexthop(i, NexthopType.GROUP, members=members) for i in range(1, 301))
    parts = list(slices(RecordBatch(Kind.NEXTHOP, groups)))
    assert sum(len(part) for _, part in parts) == 300
    assert all(request_to_pb(part).ByteSize() < LIMIT for _, part in parts)


def test_empty_batch_is_one_part() -> None:
    assert [(first, len(part)) for first, part in slices(batch())] == [(0, 0)]
    assert [(first, len(part)) for first, part in slices(RecordBatch(Kind.MAC))] == [(0, 0)]
