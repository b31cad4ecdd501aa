"""The goals for speed, and whether a run met them.

A ratio is at least its limit, an absolute value at most. A goal counts at its own size or above:
a smaller run says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.bench.figures import OURS, Figure, ratios

ROUTES_1M = {"routes": 1_000_000}


@dataclass(frozen=True, slots=True)
class Bar:
    work: str
    limit: float
    against: str = ""  # the reference of a ratio; "" for an absolute value
    size: Mapping[str, int] = field(default_factory=dict)  # at least
    worst: bool = False  # of all turns, in place of their median

    def applies(self, figure: Figure) -> bool:
        large = all(figure.size.get(name, 0) >= count for name, count in self.size.items())
        return figure.work == self.work and large

    def __str__(self) -> str:
        return f">= {self.limit:g}" if self.against else f"<= {self.limit:g}"


BARS = (
    Bar("whole.replay", 1.0, "c", ROUTES_1M),
    Bar("whole.memory", 200, size=ROUTES_1M),
    Bar("whole.change.p50", 1.0, size=ROUTES_1M),
    Bar("whole.change.p99", 5.0, size=ROUTES_1M),
    Bar("whole.change-in-churn.p99", 20, size=ROUTES_1M),
    Bar("whole.restart", 2.0, size=ROUTES_1M),
    Bar("whole.restart.writes", 0, size=ROUTES_1M),
    Bar("grout.add", 1.0, "c", ROUTES_1M),
    Bar("grout.delete", 1.0, "c", ROUTES_1M),
    Bar("macs.cpu", 20, size={"macs": 100_000}),
    Bar("macpath.added", 20, size={"macs": 100_000}),
    Bar("uplink.all", 1.0, size={"groups": 10_000}),
    Bar("uplink.stall", 20, size={"groups": 10_000}, worst=True),
    Bar("vnis.added", 1.0, size={"vnis": 4_094}),
    Bar("vnis.removed", 1.0, size={"vnis": 4_094}),
)

UNMEASURED = (
    "1M IPv4 routes against C in its best order (>= 0.85)",
    "1M withdrawn from the whole product, then added again (>= 0.85)",
    "200k IPv6 routes, 64-way groups, 1,000 VRFs of 1,000 routes, in the whole product (>= 0.85)",
    "a lone change, hot (p50 <= 0.4 ms), and beside 100k MACs or 1,000 VRFs (p50 <= 1 ms)",
    "a lone change while a client lists 1M rows, or an audit runs (p99 <= 20 ms)",
    "memory linear to 4M routes",
    "idle at 1M routes and 1,000 VNIs (<= 0.5 % of a core)",
)
"""Goals that no bench measures yet."""


@dataclass(frozen=True, slots=True)
class Verdict:
    bar: Bar
    met: bool

    def __str__(self) -> str:
        return f"{self.bar} {'met' if self.met else 'MISSED'}"


def judge(figure: Figure, figures: Iterable[Figure], against: str = "") -> Verdict | None:
    """Hold one of our figures, or its ratio to a reference, to its bar; None without one."""
    bars = (bar for bar in BARS if bar.applies(figure) and bar.against == against)
    bar = next(bars, None)
    if bar is None or figure.variant != OURS:
        return None
    if not against:
        return Verdict(bar, (figure.most if bar.worst else figure.value) <= bar.limit)
    for one in ratios(figures):
        if one.ours == figure and one.reference.variant == against:
            return Verdict(bar, one.value >= bar.limit)
    return None
