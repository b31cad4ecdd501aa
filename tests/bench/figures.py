"""Figures of benches: how a bench reports one, and how a line of its output is read again.

A bench prints what a person reads, and besides one line for each figure:

    figure WORK VARIANT MEDIAN UNIT turns=3.21,3.35,3.4 routes=1000000

WORK names what is measured, and VARIANT who did it: `ours`, or a reference such as `c`. The turns
are the values in the order of measurement, so that turn i of both variants stood side by side; all
other words tell the size of the work. Less is better in every unit.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

OURS = "ours"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_UNIT = re.compile(r"[^\s=]+")
_WORD = "figure"


@dataclass(frozen=True, slots=True)
class Figure:
    """One work of one variant, measured in one run of a bench."""

    work: str
    variant: str
    unit: str
    turns: tuple[float, ...]  # at least one
    size: Mapping[str, int] = field(default_factory=dict)  # such as {"routes": 1000000}

    def __post_init__(self) -> None:
        for name in (self.work, self.variant, *self.size):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name: only a-z, 0-9, dot, underscore, hyphen")
        if not _UNIT.fullmatch(self.unit):
            raise ValueError(f"{self.unit!r} is no unit: no spaces and no =")
        if not self.turns:
            raise ValueError(f"{self.work}: no turn was measured")

    @property
    def value(self) -> float:
        return statistics.median(self.turns)

    @property
    def least(self) -> float:
        return min(self.turns)

    @property
    def most(self) -> float:
        return max(self.turns)

    @property
    def key(self) -> tuple[str, tuple[tuple[str, int], ...]]:
        """What two figures of the same work at the same size have in common."""
        return self.work, tuple(sorted(self.size.items()))

    def __str__(self) -> str:
        turns = ",".join(_number(turn) for turn in self.turns)
        words = [f"turns={turns}", *(f"{name}={count}" for name, count in self.size.items())]
        head = f"{_WORD} {self.work} {self.variant} {_number(self.value)} {self.unit}"
        return f"{head} {' '.join(words)}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times faster or smaller than a reference we are: more is better."""

    ours: Figure
    reference: Figure
    turns: tuple[float, ...]

    @property
    def value(self) -> float:
        return statistics.median(self.turns)


def report(
    work: str, turns: float | Sequence[float], unit: str, variant: str = OURS, **size: int
) -> None:
    """Print a figure for the runner."""
    every = (turns,) if isinstance(turns, int | float) else tuple(turns)
    print(Figure(work, variant, unit, tuple(float(turn) for turn in every), size), flush=True)


def parse(line: str) -> Figure | None:
    """Read one line of a bench's output. Raises ValueError on a figure that is damaged."""
    words = line.split()
    if len(words) < 6 or words[0] != _WORD or not words[5].startswith("turns="):
        return None
    _, work, variant, _, unit, turns, *size = words
    values = tuple(float(turn) for turn in turns.removeprefix("turns=").split(","))
    sizes = (word.partition("=") for word in size)
    return Figure(work, variant, unit, values, {name: int(count) for name, _, count in sizes})


def ratio(ours: Figure, reference: Figure) -> Ratio | None:
    """Compare turn by turn where both have as many, else the medians; None without a number."""
    pairs = list(zip(ours.turns, reference.turns, strict=False))
    if len(ours.turns) != len(reference.turns):
        pairs = [(ours.value, reference.value)]
    if ours.unit != reference.unit or any(mine <= 0 for mine, _ in pairs):
        return None
    return Ratio(ours, reference, tuple(theirs / mine for mine, theirs in pairs))


def ratios(figures: Iterable[Figure]) -> list[Ratio]:
    """Return the ratio of ours to each reference of the same work at the same size."""
    every = list(figures)
    ours = {figure.key: figure for figure in every if figure.variant == OURS}
    found = (ratio(ours[f.key], f) for f in every if f.variant != OURS and f.key in ours)
    return [one for one in found if one is not None]


def _number(value: float) -> str:
    return f"{value:.6g}"
