"""A nexthop id belongs to the nexthop's content, whatever handle the bridge assigns."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from controller.core.nexthop_ids import FIRST_ID, NexthopIds
from dualpath.model.nexthops import (
    BLACKHOLE,
    FIRST_RESERVED,
    Member,
    Nexthop,
    NexthopHandle,
    NexthopId,
    NexthopType,
)


def via(handle: int, last: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GATEWAY, bytes([10, 0, 0, last]), "eth1")


def group(handle: int, *members: int) -> Nexthop:
    return Nexthop(handle, NexthopType.GROUP, members=tuple(Member(m) for m in members))


def test_a_handle_keeps_its_id_when_its_content_changes() -> None:
    ids = NexthopIds()
    first = ids.claim(via(1, 1))
    assert first.id == FIRST_ID
    assert ids.claim(via(1, 9)) == via(FIRST_ID, 9)


def test_two_handles_with_the_same_content_do_not_share() -> None:
    ids = NexthopIds()
    assert ids.claim(via(1, 1)).id != ids.claim(via(2, 1)).id


def test_members_are_translated() -> None:
    ids = NexthopIds()
    one, two = ids.claim(via(5, 1)), ids.claim(via(6, 2))
    assert ids.claim(group(7, 6, 5)).members == (Member(two.id), Member(one.id))
    with pytest.raises(KeyError):
        ids.claim(group(8, 99))


def test_ids_are_adopted_by_content() -> None:
    """Invariant 1: a restarted controller assigns equal ids."""
    ids = NexthopIds()
    held = [via(FIRST_ID + 5, 1), via(FIRST_ID + 6, 2), group(FIRST_ID + 7, FIRST_ID + 5)]
    ids.adopt(held)
    assert ids.claim(via(1, 2)).id == FIRST_ID + 6
    assert ids.claim(via(2, 1)).id == FIRST_ID + 5
    assert ids.claim(group(3, 2)).id == FIRST_ID + 7
    assert ids.claim(via(4, 3)).id == FIRST_ID + 8


def test_another_bridge_claims_the_same_ids() -> None:
    ids = NexthopIds()
    before = [ids.claim(n).id for n in (via(1, 1), via(2, 2), group(3, 1, 2))]
    ids.new_bridge()
    assert ids.translate(np.array([1, 2, 3], np.uint32)).tolist() == [0, 0, 0]
    two, one = ids.claim(via(1, 2)), ids.claim(via(2, 1))
    assert [one.id, two.id, ids.claim(group(9, 1, 2)).id] == before  # in another order


def test_another_bridge_claims_ids_by_their_last_contents() -> None:
    ids = NexthopIds()
    identity = ids.claim(via(1, 1)).id
    ids.claim(via(1, 9))
    ids.new_bridge()
    assert ids.claim(via(1, 1)).id != identity
    assert ids.claim(via(2, 9)).id == identity


def test_a_forgotten_id_is_not_claimed() -> None:
    ids = NexthopIds()
    identity = ids.claim(via(1, 1)).id
    assert ids.release(NexthopHandle(1)) == identity
    assert ids.release(NexthopHandle(1)) == 0
    ids.new_bridge()
    ids.forget(NexthopId(identity))
    ids.forget(NexthopId(identity))
    assert ids.claim(via(1, 1)).id != identity


def test_handles_become_ids_in_columns() -> None:
    ids = NexthopIds()
    identity = ids.claim(via(3000, 1)).id
    handles = np.array([3000, 7, 1 << 30, BLACKHOLE], np.uint32)
    assert ids.translate(handles).tolist() == [identity, 0, 0, BLACKHOLE]
    ids.release(NexthopHandle(3000))
    assert ids.translate(handles)[0] == 0


@pytest.mark.parametrize("handle", [0, BLACKHOLE, 2**32 - 1])
def test_a_reserved_handle_cannot_be_claimed(handle: int) -> None:
    ids = NexthopIds()
    with pytest.raises(KeyError):
        ids.claim(via(handle, 1))
    assert ids.claim(via(1, 1)).id == FIRST_ID


def test_a_huge_handle_costs_no_more_memory_than_another() -> None:
    ids, huge = NexthopIds(), FIRST_RESERVED - 1
    tracemalloc.start()
    try:
        one, two = ids.claim(via(huge, 1)).id, ids.claim(via(1, 2)).id
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    handles = np.array([huge, 1, huge - 1], np.uint32)
    assert ids.translate(handles).tolist() == [one, two, 0]
    assert ids.release(NexthopHandle(huge)) == one
    assert ids.translate(handles).tolist() == [0, two, 0]


def test_an_id_neither_desired_nor_programmed_is_not_claimed_again() -> None:
    ids = NexthopIds()
    first = ids.claim(via(1, 1)).id
    ids.keep(set(), set())
    ids.new_bridge()
    assert ids.claim(via(1, 1)).id != first
