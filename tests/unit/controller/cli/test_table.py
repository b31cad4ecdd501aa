from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

from controller.cli.columns import (
    ROUTES,
    address_key,
    nexthop_text,
    span_text,
    standing_text,
    state_text,
)
from controller.cli.table import Column, print_table
from dualpath.model.words import counted
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import state_pb2

COLUMNS = [Column("A", lambda row: row[0]), Column("LONG", lambda row: row[1])]


def test_columns_are_aligned_without_trailing_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_table(COLUMNS, [("xyz", "1"), ("x", "")], key=lambda row: row[0]) == 2
    assert capsys.readouterr().out == "A    LONG\nx\nxyz  1\n"


def test_long_table_is_streamed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.cli.table.SORT_ROWS", 2)
    print_table(COLUMNS, [("b", "1"), ("a", "2"), ("longer", "3")], key=lambda row: row[0])
    assert capsys.readouterr().out == "A  LONG\nb  1\na  2\nlonger  3\n"


def test_empty_table_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_table(COLUMNS, []) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59, "59s"), (60, "1m"), (7300, "2h"), (200000, "2d")]
)
def test_ages_have_one_unit(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_states_are_short_and_failures_have_a_reason() -> None:
    assert standing_text(pb.Mac(state=pb.ROW_STATE_FAILED, error="ENOENT")) == "failed: ENOENT"
    assert state_text(99) == "99"


@pytest.mark.parametrize(
    ("nexthop", "text"),
    [
        (pb.Nexthop(), ""),
        (pb.Nexthop(id=7), "nexthop 7"),
        (pb.Nexthop(id=4294967169), "unsupported: MPLS encapsulation"),
        (pb.Nexthop(id=4294967043), "blackhole"),
        (pb.Nexthop(type=state_pb2.NEXTHOP_TYPE_DEVICE, device="eth1"), "dev eth1"),
        (pb.Nexthop(type=state_pb2.NEXTHOP_TYPE_BLACKHOLE), "blackhole"),
        (pb.Nexthop(type=state_pb2.NEXTHOP_TYPE_GROUP), "empty group"),
    ],
)
def test_nexthops_read_like_iproute(nexthop: pb.Nexthop, text: str) -> None:
    assert nexthop_text(nexthop) == text


def test_addresses_sort_by_number() -> None:
    mixed = ["2001:db8::/32", "10.0.0.0/16", "9.0.0.0/8", "", "10.0.0.0/8"]
    assert sorted(mixed, key=address_key) == [mixed[n] for n in (3, 2, 4, 1, 0)]


def test_route_without_a_nexthop_id_has_none_in_the_wide_table() -> None:
    [column] = [column for column in ROUTES if column.header == "ID"]
    assert column.cell(pb.Route(desired=pb.Nexthop(id=16777216))) == "16777216"
    assert column.cell(pb.Route(desired=pb.Nexthop(id=4294967169))) == "-"


@pytest.mark.parametrize(("number", "text"), [(0, "0 routes"), (1, "1 route"), (2, "2 routes")])
def test_counts_have_singular_and_plural(number: int, text: str) -> None:
    assert counted(number, "route") == text


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_states_are_coloured_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("10.0.0.0/8", "failed: ENOSPC"), ("10.1.0.0/16", "programmed")]
    print_table(COLUMNS, rows)
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    print_table(COLUMNS, rows)
    lines = terminal.getvalue().splitlines()
    assert lines[0] == "\x1b[1mA            LONG\x1b[0m"
    assert lines[1] == "10.0.0.0/8   \x1b[1;31mfailed: ENOSPC\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", plain := Terminal())
    print_table(COLUMNS, rows)
    assert "\x1b" not in plain.getvalue()


def test_rows_are_paged_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\nhead -1 > {tmp_path}/seen\n")  # quits after the first line
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", Terminal())
    print_table(COLUMNS, ((str(n), "x") for n in range(100_000)), page=True)
    assert (tmp_path / "seen").read_text() == "A      LONG\n"


@pytest.mark.parametrize("pager", ["", "cat", "/none/pager"])
def test_missing_pager_is_no_error(monkeypatch: pytest.MonkeyPatch, pager: str) -> None:
    monkeypatch.setenv("PAGER", pager)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    print_table(COLUMNS, [("x", "y")], page=True)
    assert terminal.getvalue() == "A  LONG\nx  y\n"
