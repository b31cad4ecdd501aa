"""zebra's ids: which handle each names, and whether the kernel has it."""

from __future__ import annotations

from dualpath.model.nexthops import NexthopHandle
from frr_bridge.zebraids import ZebraIds

SEVEN, EIGHT = NexthopHandle(7), NexthopHandle(8)


def bound() -> ZebraIds:
    ids = ZebraIds()
    ids.bind(21, SEVEN)
    ids.bind(22, EIGHT)
    return ids


def test_id_names_its_handle_until_it_is_forgotten() -> None:
    ids = bound()
    assert ids.get(21) == SEVEN
    ids.forget(21)
    assert ids.get(21) is None
    assert dict(ids) == {22: EIGHT}


def test_id_that_only_fpm_named_may_be_in_use() -> None:
    ids = bound()
    assert not ids.in_kernel(21)
    assert ids.may_be_in_use(21)


def test_id_that_the_kernel_removed_is_not_in_use() -> None:
    ids = bound()
    ids.installed(21)
    assert ids.in_kernel(21)
    ids.removed([21])
    assert not ids.in_kernel(21)
    assert ids.was_in_kernel(21)
    assert not ids.may_be_in_use(21)


def test_forgotten_id_that_returns_was_never_in_the_kernel() -> None:
    ids = bound()
    ids.installed(21)
    ids.removed([21])
    ids.forget(21)
    ids.bind(21, NexthopHandle(9))
    assert ids.may_be_in_use(21)


def test_dump_marks_the_installed_ids_that_it_does_not_show() -> None:
    ids = bound()
    ids.installed(21)
    ids.installed(22)
    ids.bind(23, NexthopHandle(9))
    ids.begin_dump()
    ids.installed(22)
    ids.end_dump()
    assert [ids.may_be_in_use(identity) for identity in (21, 22, 23)] == [False, True, True]


def test_ids_of_dropped_handles_are_forgotten() -> None:
    ids = bound()
    ids.installed(21)
    ids.drop([SEVEN])
    assert dict(ids) == {22: EIGHT}
    assert not ids.was_in_kernel(21)
