"""The table of a run: work, ours, reference, ratio, bar."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.bars import UNMEASURED, judge
from tests.bench.figures import OURS, Figure, ratios
from tests.bench.record import Outcome, Record

HEAD = ("work", "at", "ours", "reference", "ratio", "bar")
RIGHT = {2, 4}  # columns with numbers


def lines(record: Record, *, whole: bool) -> list[str]:
    """Return the table, what did not run, and where; of a whole run also what no bench measures."""
    rows = [HEAD, *rows_of(record.all_figures)]
    found = [*_aligned(rows), ""]
    found += [f"{one}: {one.outcome}: {one.why}" for one in record.benches if one.outcome != "ok"]
    if whole:
        found += [f"no bench measures: {goal}" for goal in UNMEASURED]
    loads = [one.load for one in record.benches if one.seconds]
    spread = f"{min(loads):.1f} to {max(loads):.1f}" if loads else "unknown"
    total_s = sum(one.seconds for one in record.benches)
    found.append(f"{record.machine}; load before each bench {spread}; {total_s:.0f} s in all")
    return found


def rows_of(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """Return a row for each of our figures and reference, in the order of measurement."""
    rows: list[tuple[str, ...]] = []
    for figure in figures:
        if figure.variant != OURS:
            continue
        head = figure.work, size(figure), amount(figure)
        verdict = judge(figure, figures)
        found = [one for one in ratios(figures) if one.ours == figure]
        if verdict or not found:
            rows.append((*head, "", "", str(verdict or "")))
        for one in found:
            bar = judge(figure, figures, one.reference.variant)
            reference = f"{one.reference.variant} {amount(one.reference)}"
            rows.append((*head, reference, _with_spread(one.value, one.turns), str(bar or "")))
    return rows


def size(figure: Figure) -> str:
    return " ".join(f"{count:,} {name}" for name, count in figure.size.items())


def amount(figure: Figure) -> str:
    return f"{_number(figure.value)} {figure.unit}"


def failures(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one.outcome == "failed"]


def _with_spread(value: float, turns: Sequence[float]) -> str:
    if len(turns) == 1:
        return f"{value:.2f}"
    return f"{value:.2f} ({min(turns):.2f}-{max(turns):.2f})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return [
        "  ".join(
            cell.rjust(width) if column in RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
