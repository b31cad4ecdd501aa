"""The in-memory datapath behaves like a real one."""

from __future__ import annotations

import errno

import pytest

from datapaths.base import Lost, Unavailable
from datapaths.memory import MemoryDatapath
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop, NexthopType
from tests.fakes.batches import batch, upsert

HOPS = [Nexthop(i, NexthopType.DEVICE, device="eth1") for i in (1, 2)]


async def memory() -> MemoryDatapath:
    datapath = MemoryDatapath()
    await datapath.apply(upsert(*HOPS))
    return datapath


async def test_a_withdrawn_prefix_falls_back_to_the_covering_route() -> None:
    datapath = await memory()
    await datapath.apply(batch("+ 10.0.0.0/8 1", "+ 10.1.0.0/16 2", "- 10.1.0.0/16"))
    assert datapath.lookup("10.1.2.3") == 1
    assert datapath.lookup("11.0.0.1") is None


async def test_a_row_that_is_already_so_counts_as_no_write() -> None:
    datapath = await memory()
    before = datapath.writes
    for _ in range(2):
        await datapath.apply(batch("+ 2001:db8::/32 1", "- 2001:db8:1::/48"))
    assert datapath.writes == before + 1


async def test_it_fails_as_told() -> None:
    datapath = await memory()
    datapath.refuse["default", (bytes([10, 0, 0, 0]), 8)] = errno.ENOMEM
    (failure,) = await datapath.apply(batch("+ 10.0.0.0/8 1"))
    assert failure.errno == errno.ENOMEM
    datapath.unavailable = True
    with pytest.raises(Unavailable):
        await datapath.apply(batch("+ 10.0.0.0/8 1"))


async def test_a_lost_record_is_emitted() -> None:
    datapath = await memory()
    learned = datapath.learned()
    datapath.lose(HOPS[0])  # without a listener, the event is dropped
    datapath.tell(Lost(Kind.VNI))
    await datapath.close()
    assert [event async for event in learned] == []
