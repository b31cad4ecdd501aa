"""Records of runs that were never measured."""

from __future__ import annotations

from dataclasses import replace

from tests.bench.figures import OURS, Figure
from tests.bench.record import Machine, Outcome, Record

MACHINE = Machine("6.12", "a CPU", 2, "3.11.2")
OTHER = replace(MACHINE, cpu="another CPU")


def record(
    *figures: Figure, date: str = "2026-12-01T10:00:00Z", on: Machine = MACHINE, load: float = 0.5
) -> Record:
    found = Record(date, "0123456789abcdef", False, on, "usual")
    found.benches.append(Outcome("kernel", ("1000",), "ok", "", 1.5, 1.25, load))
    found.figures += [("kernel", figure) for figure in figures]
    return found


def figure(work: str, *turns: float, variant: str = OURS, unit: str = "s", **size: int) -> Figure:
    return Figure(work, variant, unit, turns, size)


def ratio(work: str, *turns: float, **size: int) -> list[Figure]:
    """Return figures of ours and of C whose ratios, turn by turn, are these."""
    ours = Figure(work, OURS, "s", tuple(1.0 for _ in turns), size)
    return [ours, Figure(work, "c", "s", turns, size)]
