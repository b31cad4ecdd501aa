"""Draw how cost grows: python -m tests.bench.plots JSON... [--to DIRECTORY]

One PNG for each direction of growth that was measured at two sizes or more. Several files are
drawn as one run, of which a later one replaces what it measured again. Needs matplotlib, which
`make bench-plots` installs into a venv of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import OURS, Figure
from tests.bench.record import CHECKOUT, Record, read
from tests.bench.trend import ordered

PICTURES = CHECKOUT / "docs" / "pictures"


@dataclass(frozen=True, slots=True)
class Line:
    work: str
    label: str
    variant: str = OURS


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    lines: tuple[Line, ...]
    unit: str
    factor: float = 1.0  # from the figure's unit
    each: bool = False  # divide by the size


@dataclass(frozen=True, slots=True)
class Point:
    size: int
    value: float
    least: float
    most: float


def beside_c(work: str, label: str) -> tuple[Line, Line]:
    return Line(work, f"{label}, ours"), Line(work, f"{label}, C", "c")


DIRECTIONS = {
    "routes": (
        Panel(
            "IPv4 routes, kernel datapath alone: CPU of a route",
            (
                *beside_c("kernel.inet.add.cpu", "add"),
                *beside_c("kernel.inet.delete.cpu", "delete"),
            ),
            "us",
            1e6,
            each=True,
        ),
        Panel(
            "IPv4 routes, whole product: replay, CPU of a route",
            beside_c("whole.replay.cpu", "replay"),
            "us",
            1e6,
            each=True,
        ),
    ),
    "macs": (
        Panel(
            "MACs in a burst, both processes' code: CPU of a MAC",
            (Line("macpath.added", "added"), Line("macpath.withdrawn", "withdrawn")),
            "us",
        ),
    ),
    "vnis": (
        Panel(
            "one L2VNI beside others: CPU of the controller",
            (
                Line("vnis.added.controller", "added"),
                Line("vnis.removed.controller", "removed"),
            ),
            "s",
        ),
        Panel(
            "one L2VNI beside others, by the clock",
            (Line("vnis.added", "added"), Line("vnis.removed", "removed")),
            "s",
        ),
    ),
    "groups": (
        Panel(
            "groups of 64 lose an uplink: CPU of a group",
            (Line("uplink.bridge", "frr-bridge"), Line("uplink.controller", "controller")),
            "us",
            1e6,
            each=True,
        ),
        Panel(
            "groups of 64 lose an uplink: longest stall",
            (
                Line("uplink.bridge.stall", "frr-bridge"),
                Line("uplink.controller.stall", "controller"),
            ),
            "ms",
        ),
    ),
}
"""What is drawn for each direction; its name is the size's in the figures."""

SPELLED = {"macs": "MACs", "vnis": "L2VNIs", "groups": "groups of 64"}


def latest(records: Sequence[Record]) -> list[Figure]:
    """Return the figures of all records, the newest of each work, variant and size."""
    found = {(one.key, one.variant): one for record in records for one in record.all_figures}
    return list(found.values())


def points(figures: Iterable[Figure], direction: str, panel: Panel, line: Line) -> list[Point]:
    """Return what was measured for one line, by size."""
    found = []
    for figure in figures:
        if figure.work != line.work or figure.variant != line.variant:
            continue
        size = figure.size.get(direction, 0)
        if size < 1:
            continue
        factor = panel.factor / size if panel.each else panel.factor
        values = (figure.value, figure.least, figure.most)
        found.append(Point(size, *(value * factor for value in values)))
    return sorted(found, key=lambda point: point.size)


def drawable(figures: Sequence[Figure], direction: str) -> list[Panel]:
    """Return the panels of a direction that have a line of two points or more."""
    return [
        panel
        for panel in DIRECTIONS[direction]
        if any(len(points(figures, direction, panel, line)) > 1 for line in panel.lines)
    ]


def draw(figures: Sequence[Figure], direction: str, footer: str, path: Path) -> None:
    from matplotlib.figure import Figure as Canvas  # type: ignore[import-not-found]

    panels = drawable(figures, direction)
    canvas = Canvas(figsize=(6.4 * len(panels), 4.4), layout="constrained")
    for at, panel in enumerate(panels, 1):
        _draw_panel(canvas.add_subplot(1, len(panels), at), figures, direction, panel)
    canvas.supxlabel(footer, fontsize=7, color="0.4")
    canvas.savefig(path, dpi=100, metadata={"Software": None})


def _draw_panel(axes: Any, figures: Sequence[Figure], direction: str, panel: Panel) -> None:  # noqa: ANN401
    for line in panel.lines:
        found = points(figures, direction, panel, line)
        below = [point.value - point.least for point in found]
        above = [point.most - point.value for point in found]
        axes.errorbar(
            [point.size for point in found],
            [point.value for point in found],
            yerr=[below, above],
            marker="o" if line.variant == OURS else "s",
            linestyle="-" if line.variant == OURS else "--",
            capsize=3,
            label=line.label,
        )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(SPELLED.get(direction, direction))
    axes.set_ylabel(panel.unit)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)


def footer_of(records: Sequence[Record]) -> str:
    """Say where this is from."""
    loads = [one.load for record in records for one in record.benches if one.seconds]
    load = f", load before {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    dates = sorted({record.date[:10] for record in records})
    machines = sorted({str(record.machine) for record in records})
    return f"medians; bars from least to most; {', '.join(dates)}\n{'; '.join(machines)}{load}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.plots", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="JSON")
    parser.add_argument("--to", type=Path, default=PICTURES, metavar="DIRECTORY")
    given = parser.parse_args(arguments)
    records = [record for _, record in ordered((file.stem, read(file)) for file in given.files)]
    figures = latest(records)
    for direction in DIRECTIONS:
        if not drawable(figures, direction):
            print(f"{direction}: not measured at two sizes, so not drawn")
            continue
        path = given.to / f"growth-{direction}.png"
        draw(figures, direction, footer_of(records), path)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
