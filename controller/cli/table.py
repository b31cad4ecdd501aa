"""Tables for people: aligned columns, streamed, in colour on a terminal and plain in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from rich.console import Console
from rich.text import Text

SORT_ROWS = 20_000
"""A table up to this size is sorted; what is longer starts at once, in the order it comes."""

GAP = "  "

COLOURS = {
    "programmed": "green",
    "pending": "yellow",
    "failed": "bold red",
    "stale": "magenta",
    "leaving": "yellow",
    "unmanaged": "dim",
}


@dataclass(frozen=True, slots=True)
class Column:
    header: str
    cell: Callable[[Any], str]
    wide: bool = False  # only with -o wide


def columns_of(columns: Sequence[Column], *, wide: bool) -> list[Column]:
    return [column for column in columns if wide or not column.wide]


def print_table(
    columns: Sequence[Column], rows: Iterable[Any], key: Callable[[Any], Any] | None = None
) -> int:
    """Print rows, sorted by `key` if they are not too many; return how many they were."""
    source = iter(rows)
    head = list(islice(source, SORT_ROWS))
    if key and len(head) < SORT_ROWS:
        head.sort(key=key)
    if not head:
        return 0
    cells = [[column.cell(row) for column in columns] for row in head]
    headers = [column.header for column in columns]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    rest = ([column.cell(row) for column in columns] for row in source)
    return _print(headers, chain(cells, rest), widths)


def _print(headers: list[str], lines: Iterator[list[str]], widths: list[int]) -> int:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    number = -1
    for number, cells in enumerate(chain([headers], lines)):
        line = _line(cells, widths)
        if console.is_terminal:
            console.print(_coloured(line, header=number == 0))
        else:
            sys.stdout.write(line + "\n")
    return number


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return GAP.join(padded).rstrip()


def _coloured(line: str, *, header: bool) -> Text:
    text = Text(line, style="bold" if header else "")
    for state, style in COLOURS.items():
        text.highlight_regex(rf"\b{state}\b.*?(?=\s\s|$)", style)
    return text
