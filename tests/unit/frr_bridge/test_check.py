"""Whether the bridge knows what FRR's kernel holds."""

from __future__ import annotations

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Record
from frr_bridge.check import NAMED, Check
from frr_bridge.wire.message import Other
from tests.fakes import shadow
from tests.unit.frr_bridge.test_bridge import World, nexthop, world

MAC = Mac(shadow.L2VNI, shadow.HOST_MAC, shadow.VTEP)
FLOOD = Flood(shadow.L2VNI, shadow.VTEP)
HOP = Nexthop(7, NexthopType.GATEWAY, bytes([192, 168, 1, 2]), "eth1")


def filled() -> World:
    """Return a bridge that knows a whole namespace."""
    made = world()
    for message in shadow.ROWS:
        made.bridge.receive_netlink(message)
    return made.flush()


def dumped(made: World, *without: Other, more: tuple[Other, ...] = ()) -> Check:
    """Take a dump of the namespace `without` some rows, and with `more`; return its check."""
    check = made.bridge.records.check = Check()
    made.bridge.begin_dump()
    for message in (*shadow.LINKS, *shadow.ROWS, nexthop(11), *more):
        if message not in without:
            made.bridge.receive_netlink(message)
    made.bridge.end_dump()
    made.bridge.records.check = None
    return check


def found(check: Check) -> set[tuple[str, Kind]]:
    _, batches = check.differing()
    return {("+", b.kind) for b in batches if b.upserts} | {
        ("-", b.kind) for b in batches if b.withdrawals
    }


def test_dump_of_known_rows_finds_no_difference() -> None:
    assert dumped(filled()).differing() == (0, ())


def test_rows_that_were_missed_are_found_and_repaired() -> None:
    made = filled()
    other = bytes.fromhex("02000000000b")
    rows = (
        shadow.on_bridge(shadow.VX110, shadow.BR110, other),
        shadow.behind(shadow.VX110, other, shadow.VTEP),
        shadow.neighbor(shadow.BR110, bytes([10, 110, 0, 11]), other),
        shadow.flood(shadow.VX110, bytes([100, 64, 0, 9])),
        nexthop(12, 3),
    )
    check = dumped(made, more=rows)
    kinds = {Kind.MAC, Kind.NEIGHBOR, Kind.FLOOD, Kind.NEXTHOP}
    assert found(check) == {("+", kind) for kind in kinds}
    assert check.differing()[0] == 4
    assert (Kind.MAC, Mac(shadow.L2VNI, other).key) in made.flush().bus.records
    assert dumped(made, more=rows).differing() == (0, ())


def test_a_mac_whose_tunnel_the_kernel_refused_is_found_each_time() -> None:
    made = filled()
    other = bytes.fromhex("02000000000b")
    row = shadow.on_bridge(shadow.VX110, shadow.BR110, other)
    made.bridge.receive_netlink(row)
    for _ in range(2):
        check = dumped(made, more=(row,))
        check.strand(made.bridge.overlay.macs.stranded())
        count, (batch,) = check.differing()
        assert (count, batch.upserts) == (1, (Mac(shadow.L2VNI, other),))
    made.bridge.receive_netlink(shadow.behind(shadow.VX110, other, shadow.VTEP))
    assert list(made.bridge.overlay.macs.stranded()) == []


def test_a_mac_here_or_of_a_vtep_is_not_stranded() -> None:
    assert list(filled().bridge.overlay.macs.stranded()) == []


def test_missing_rows_are_found_and_repaired() -> None:
    made = filled()
    gone = (*shadow.HOST_ROWS, shadow.FLOOD_ROWS[0])
    check = dumped(made, *gone)
    assert found(check) == {("-", Kind.MAC), ("-", Kind.NEIGHBOR), ("-", Kind.FLOOD)}
    assert dumped(made, *gone).differing() == (0, ())


def test_held_rows_are_a_difference_once() -> None:
    """A dead bgpd's withdrawals are kept, and yet are news once only."""
    made = filled()
    made.dead = True
    assert dumped(made, *shadow.HOST_ROWS).differing()[0] == 2
    assert dumped(made, *shadow.HOST_ROWS).differing() == (0, ())


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (MAC, shadow.behind(shadow.VX110, shadow.HOST_MAC, shadow.VTEP)),
        (FLOOD, shadow.flood(shadow.VX110, shadow.VTEP)),
        (HOP, nexthop(12)),
        (MAC, shadow.LINKS[0]),
    ],
)
def test_row_named_by_a_notification_was_not_missed(record: Record, message: Other) -> None:
    check = Check()
    check.upserted(record)
    assert check.differing()[0] == 1
    check.notified(message)
    assert check.differing() == (0, ())


def test_row_that_came_and_went_is_no_difference() -> None:
    check = Check()
    check.upserted(MAC)
    check.withdrawn(MAC)
    check.withdrawn(FLOOD)
    check.upserted(FLOOD)
    assert [batch.withdrawals for batch in check.differing()[1]] == [()]


def test_all_differences_are_counted_and_some_named() -> None:
    check = Check()
    for number in range(NAMED + 5):
        check.upserted(Mac(1, number.to_bytes(6, "big"), shadow.VTEP))
    count, (batch,) = check.differing()
    assert (count, len(batch)) == (NAMED + 5, NAMED)
