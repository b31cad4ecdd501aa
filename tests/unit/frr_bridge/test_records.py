"""The bridge's records: what is announced, and what is held."""

from __future__ import annotations

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from frr_bridge.records import Records

ONE, TWO = Flood(100, b"\x0a\0\0\1"), Flood(100, b"\x0a\0\0\2")
HERE, THERE = Mac(100, bytes(6), b"\x0a\0\0\1"), Mac(100, bytes(6), b"\x0a\0\0\2")


def announced(records: Records, limit: int = 10) -> list[RecordBatch]:
    return list(records.changes(limit))


def filled(*records: Flood) -> Records:
    made = Records(Kind.FLOOD)
    for record in records:
        made.upsert(record)
    announced(made)
    return made


def test_record_is_announced_once() -> None:
    """Invariant 4."""
    records = Records(Kind.FLOOD)
    for _ in range(2):
        records.upsert(ONE)
    assert announced(records) == [RecordBatch(Kind.FLOOD, (ONE,))]
    records.upsert(ONE)
    assert announced(records) == []


def test_flaps_are_one_change() -> None:
    records = Records(Kind.MAC)
    for _ in range(5):
        records.upsert(HERE)
        records.withdraw(HERE.key, hold=False)
        records.upsert(THERE)
    assert announced(records) == [RecordBatch(Kind.MAC, (THERE,))]


def test_a_withdrawal_carries_the_record_that_goes() -> None:
    records = filled(ONE, TWO)
    records.withdraw(ONE.key, hold=False)
    assert announced(records) == [RecordBatch(Kind.FLOOD, withdrawals=(ONE,))]
    assert len(records) == 1
    records.withdraw(ONE.key, hold=False)
    assert announced(records) == []


def test_a_held_record_stays_until_the_sweep() -> None:
    records = filled(ONE, TWO)
    records.withdraw(ONE.key, hold=True)
    records.withdraw(b"unknown", hold=True)
    assert (announced(records), records.held) == ([], 1)
    assert records.sweep() == 1
    assert announced(records) == [RecordBatch(Kind.FLOOD, withdrawals=(ONE,))]
    assert records.sweep() == 0


def test_a_held_record_that_comes_back_is_not_swept() -> None:
    records = filled(ONE)
    records.withdraw(ONE.key, hold=True)
    records.upsert(ONE)
    assert (records.held, records.sweep(), announced(records)) == (0, 0, [])


def test_new_subscriber_gets_all_records_and_no_withdrawals() -> None:
    records = filled(ONE, TWO)
    records.withdraw(ONE.key, hold=False)
    records.repeat()
    assert announced(records) == [RecordBatch(Kind.FLOOD, (TWO,))]
    records.repeat()
    records.withdraw(TWO.key, hold=False)
    assert announced(records) == [RecordBatch(Kind.FLOOD, withdrawals=(TWO,))]


def test_batches_keep_to_the_limit_in_the_order_of_events() -> None:
    """Invariant 5."""
    floods = [Flood(vni, b"\x0a\0\0\1") for vni in range(5)]
    records = Records(Kind.FLOOD)
    for flood in floods:
        records.upsert(flood)
    assert [batch.upserts for batch in announced(records, 2)] == [
        tuple(floods[:2]),
        tuple(floods[2:4]),
        tuple(floods[4:]),
    ]


def test_remaining_records_are_announced_later() -> None:
    records = Records(Kind.FLOOD)
    records.upsert(ONE)
    records.upsert(TWO)
    assert next(records.changes(1)).upserts == (ONE,)
    assert next(records.changes(1)).upserts == (TWO,)


def test_group_is_announced_after_its_members_even_if_older() -> None:
    """Invariant 3."""
    records = Records(Kind.NEXTHOP)
    group = Nexthop(1, NexthopType.GROUP, members=(Member(3),))
    members = [Nexthop(i, NexthopType.DEVICE, device="eth0") for i in (2, 3)]
    for nexthop in (group, *members):
        records.upsert(nexthop)
    assert [batch.upserts for batch in announced(records, 1)] == [(n,) for n in (*members, group)]
    records.repeat()
    assert [batch.upserts for batch in announced(records, 1)] == [(n,) for n in (*members, group)]


def test_record_that_shrinks_while_it_is_held_is_swept() -> None:
    records = Records(Kind.MAC)
    records.upsert(HERE)
    records.withdraw(HERE.key, hold=True)
    records.upsert_unless_held(THERE)
    assert (records.held, records.sweep(), len(records)) == (1, 1, 0)


def test_withdrawal_that_is_held_is_news_once() -> None:
    records = filled(ONE)
    assert records.withdraw(ONE.key, hold=True) == ONE
    assert records.withdraw(ONE.key, hold=True) is None
