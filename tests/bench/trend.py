"""Ratios over time: python -m tests.bench.trend DIRECTORY|FILE...

Prints a line for each work and reference, oldest run first, and marks what became worse by more
than the noise: the turns of both runs do not overlap, and the medians differ by more than a
twentieth. A single turn has no spread, so it must be worse by a half.

Times by the clock, and their ratios, are marked only among runs that began on an idle machine; CPU
time is marked always. Only ratios compare between machines. Values without a reference are listed
where all runs are from one machine, and there more noise is to be expected.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.bench.figures import OURS, Figure, ratios
from tests.bench.record import Record, UnknownSchema, read
from tests.bench.table import size

FLOOR = 0.05  # of the older median: less is never called worse
ALONE = 0.5  # the same for a single turn

Runs = Sequence[tuple[str, Record]]
"""Named records, the oldest first."""


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity over the runs; None where a run did not measure it."""

    title: str
    points: tuple[tuple[float, ...] | None, ...]  # the turns, more is better
    inverse: bool = False  # the turns are reciprocals of values, of which less is better
    busy: frozenset[int] = frozenset()  # runs that count for nothing, as others had the CPUs

    def worse(self) -> list[int]:
        """Return the runs that are worse than the last one before that measured it."""
        return [i for (_, before), (i, after) in pairwise(self._known()) if is_worse(before, after)]

    def is_worse_at_last(self) -> bool:
        """Whether the last run is worse than the first, or than the one before."""
        known = self._known()
        if len(known) < 2 or known[-1][0] != len(self.points) - 1:
            return False
        (_, first), (_, before), (_, last) = known[0], known[-2], known[-1]
        return is_worse(first, last) or is_worse(before, last)

    def _known(self) -> list[tuple[int, tuple[float, ...]]]:
        """Return the runs that count, and their turns."""
        known = ((i, turns) for i, turns in enumerate(self.points) if i not in self.busy)
        return [(i, turns) for i, turns in known if turns]


def is_worse(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether turns became less by more than their noise."""
    apart = max(after) < min(before)
    alone = len(before) == 1 or len(after) == 1
    least = statistics.median(before) * (1 - (ALONE if alone else FLOOR))
    return apart and statistics.median(after) < least


def series(runs: Runs) -> list[Series]:
    """Return the ratios of all runs, then the values that one machine measured."""
    records = [record for _, record in runs]
    found = _series(records, _ratios)
    if len({record.machine for record in records}) == 1:
        found += _series(records, _values, inverse=True)
    return found


def lines(runs: Runs) -> list[str]:
    """Return the trend, one line for each series, with a last line that sums it up."""
    every = series(runs)
    ratios_only = len({record.machine for _, record in runs}) > 1
    found = [
        f"{name}: {record.date} {record.commit[:12]}{'+' if record.modified else ''}, "
        f"{record.level}, {record.machine}"
        for name, record in runs
    ]
    found.append("ratios: more is better; values: less is better")
    found.append("- was not measured; ~ counts for nothing, as others had the CPUs; ! is worse")
    if ratios_only:
        found.append("the machines differ, so ratios alone are compared")
    width = max((len(one.title) for one in every), default=0)
    found += [f"{one.title:{width}}  {_points(one)}" for one in every]
    worse = [one.title for one in every if one.is_worse_at_last()]
    found.append(f"worse by more than the noise: {', '.join(worse) or 'nothing'}")
    return found


def ordered(records: Iterable[tuple[str, Record]]) -> list[tuple[str, Record]]:
    return sorted(records, key=lambda one: (one[1].date, one[0]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.trend", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIRECTORY|FILE")
    paths = parser.parse_args(arguments).paths
    files: list[Path] = []
    for path in paths:
        files += path.glob("*.json") if path.is_dir() else [path]
    try:
        runs = ordered((file.stem, read(file)) for file in files)
    except (OSError, UnknownSchema) as error:
        print(f"trend: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines(runs) if runs else ["trend: no JSON file there"]))
    return 0


Turns = Mapping[str, tuple[Figure, tuple[float, ...]]]
"""By title: our figure, and what is followed of it."""


def _ratios(record: Record) -> Turns:
    return {
        f"{_title(one.ours)} against {one.reference.variant}": (one.ours, one.turns)
        for one in ratios(record.all_figures)
    }


def _values(record: Record) -> Turns:
    figures = record.all_figures
    compared = {one.ours.key for one in ratios(figures)}
    return {
        f"{_title(figure)}, {figure.unit}": (figure, tuple(1 / turn for turn in figure.turns))
        for figure in figures
        if figure.variant == OURS and figure.key not in compared and figure.least > 0
    }


def _title(figure: Figure) -> str:
    return f"{figure.work} {size(figure)}".strip()


def _series(
    records: Sequence[Record], follow: Callable[[Record], Turns], *, inverse: bool = False
) -> list[Series]:
    found = [follow(record) for record in records]
    titles = dict.fromkeys(title for one in found for title in one)
    return [
        Series(
            title,
            tuple(one[title][1] if title in one else None for one in found),
            inverse,
            frozenset(
                i
                for i, one in enumerate(found)
                if title in one and records[i].disturbed(one[title][0])
            ),
        )
        for title in titles
    ]


def _points(one: Series) -> str:
    worse = set(one.worse())
    texts = []
    for index, turns in enumerate(one.points):
        if turns is None:
            texts.append("-")
            continue
        value = 1 / statistics.median(turns) if one.inverse else statistics.median(turns)
        mark = "!" if index in worse else "~" if index in one.busy else ""
        texts.append(f"{value:.3g}{mark}")
    return "  ".join(f"{text:>8}" for text in texts)


if __name__ == "__main__":
    sys.exit(main())
