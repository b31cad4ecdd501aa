"""Tables for people: aligned columns, streamed, in colour on a terminal and plain in a pipe.

A million routes must be printed in ten seconds, so a row costs few calls: lines come from templates
(`controller/cli/templates.py`), they are written in blocks, and work that only a terminal needs is
done only there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from controller.cli.templates import texts
from controller.cli.terminal import (
    BOLD,
    DIM,
    GREEN,
    MAGENTA,
    RED,
    YELLOW,
    coloured,
    has_colours,
    paged,
)

SORT_ROWS = 20_000
"""A table up to this size is sorted; what is longer starts at once, in the order it comes."""

BLOCK = 512  # lines written at once
GAP = "  "

COLOURS = {
    "programmed": GREEN,
    "pending": YELLOW,
    "failed": f"{BOLD};{RED}",
    "stale": MAGENTA,
    "leaving": YELLOW,
    "unmanaged": DIM,
}
_STATE = re.compile(rf"\b({'|'.join(COLOURS)})\b.*?(?=\s\s|$)")


@dataclass(frozen=True, slots=True)
class Column:
    header: str
    cell: Callable[[Any], str]
    wide: bool = False  # only with -o wide
    own: bool = False  # shows a field of `Rows.own`


def columns_of(columns: Sequence[Column], *, wide: bool) -> list[Column]:
    return [column for column in columns if wide or not column.wide]


def print_table(
    columns: Sequence[Column],
    rows: Iterable[Any],
    key: Callable[[Any], Any] | None = None,
    *,
    own: Sequence[str] = (),
    page: bool = False,
) -> int:
    """Print rows, sorted by `key` if they are not too many; return their number.

    `own` are the fields in which messages differ. With it, those fields of unsorted rows are
    cleared.
    """
    source = iter(rows)
    head = list(islice(source, SORT_ROWS))
    if key and len(head) < SORT_ROWS:
        head.sort(key=key)
    if not head:
        return 0
    cells = [column.cell for column in columns]
    table = [tuple([cell(row) for cell in cells]) for row in head]
    headers = tuple(column.header for column in columns)
    widths = [max(map(len, column)) for column in zip(headers, *table, strict=True)]
    line = GAP.join(f"%-{width}s" for width in widths)
    lines = (line % cells for cells in (headers, *table))
    return _print(chain(lines, _rest(columns, source, widths, own)), page=page) - 1


def _rest(
    columns: Sequence[Column], rows: Iterator[Any], widths: Sequence[int], own: Sequence[str]
) -> Iterator[str]:
    """Return the lines of the rows after the head."""
    padded = [f"%-{width}s" for width in widths]
    line = GAP.join(padded)
    if not own:
        return (line % tuple([column.cell(row) for column in columns]) for row in rows)

    def template(row: Any) -> str:  # noqa: ANN401 - any row
        return GAP.join(
            slot if column.own else (slot % column.cell(row)).replace("%", "%%")
            for column, slot in zip(columns, padded, strict=True)
        )

    return texts(rows, own, [column.cell for column in columns if column.own], template)


def _print(lines: Iterator[str], *, page: bool) -> int:
    number = 0
    with paged(wanted=page) as to:
        in_colour = has_colours(to.terminal)
        if in_colour:
            lines = chain([coloured(next(lines).rstrip(), BOLD)], lines)
        while block := [line.rstrip() for line in islice(lines, BLOCK)]:
            number += len(block)
            if in_colour:
                block = [_STATE.sub(_in_colour, text) for text in block]
            to.write("\n".join(block) + "\n")
    return number


def _in_colour(match: re.Match[str]) -> str:
    return coloured(match[0], COLOURS[match[1]])
