"""Counts and errnos as text."""

from __future__ import annotations

from dualpath.model.words import counted, errno_name, errno_number


def test_a_count_has_its_noun() -> None:
    assert (counted(1, "route"), counted(2, "route")) == ("1 route", "2 routes")


def test_an_errno_is_shown_by_name() -> None:
    assert (errno_name(2), errno_name(99999)) == ("ENOENT", "errno 99999")


def test_an_errno_is_found_by_name() -> None:
    assert (errno_number("ENOENT"), errno_number("NO SUCH NAME")) == (2, 0)
