"""Handles with equal contents: one original, and its aliases."""

from __future__ import annotations

import numpy as np

from dualpath.model.nexthops import NexthopHandle, NexthopType
from frr_bridge.aliases import Aliases
from frr_bridge.contents import Contents
from frr_bridge.wire.inline import InlineNexthop

A, B, C, D = (NexthopHandle(number) for number in range(1, 5))
ONE = InlineNexthop(NexthopType.GATEWAY, bytes([10, 0, 0, 1]), 2)
TWO = InlineNexthop(NexthopType.GATEWAY, bytes([10, 0, 0, 2]), 3)


def joined() -> Aliases:
    """Return aliases in which B and C stand behind A."""
    aliases = Aliases(16)
    for handle in (A, B, C):
        original = aliases.claim(handle, ONE)
        if original != handle:
            aliases.join(handle, original)
    return aliases


def test_first_handle_with_its_contents_is_the_original() -> None:
    aliases = joined()
    assert aliases.originals(np.array([A, B, C, D], np.uint32)).tolist() == [A, A, A, D]
    assert aliases.same(A) == {A, B, C}
    assert aliases.claim(D, TWO) == D


def test_joining_original_brings_its_aliases() -> None:
    aliases = joined()
    aliases.claim(D, TWO)
    aliases.join(A, D)
    assert [aliases.original(handle) for handle in (A, B, C)] == [D, D, D]


def test_alias_with_new_contents_parts_alone() -> None:
    aliases = joined()
    assert aliases.part(B) == {B}
    assert [aliases.original(handle) for handle in (A, B, C)] == [A, B, A]


def test_original_with_new_contents_parts_from_all_its_aliases() -> None:
    aliases = joined()
    assert aliases.part(A) == {B, C}
    assert [aliases.original(handle) for handle in (A, B, C)] == [A, B, C]
    assert aliases.claim(D, ONE) == D


def test_dropped_handles_leave_no_memory() -> None:
    aliases = joined()
    for handle in (B, C, A):
        aliases.drop(handle)
    assert len(aliases) == 0


def test_grown_handles_stand_for_themselves() -> None:
    aliases = joined()
    aliases.grow(64)
    assert aliases.original(NexthopHandle(63)) == 63
    assert aliases.original(B) == A


def test_contents_answer_for_groups_and_devices() -> None:
    contents = Contents()
    contents[A], contents[B] = ONE, TWO
    contents[C], contents[D] = ((A, 1), (B, 2)), ((A, 1),)
    assert contents.members(C) == [A, B]
    assert contents.members(A) == []
    assert contents.groups_of({B}) == [C]
    assert contents.groups_of({A}) == [C, D]
    assert [contents.is_group(handle) for handle in (A, C)] == [False, True]
    assert contents.only_over(2) == [A, D]
    contents[D] = ((B, 1),)
    del contents[C]
    assert contents.groups_of({A, B}) == [D]
    assert contents.only_over(2) == [A]
