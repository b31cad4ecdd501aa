"""The findings of a dry run, as text and as JSON. Pure.

The exit code summarizes them for scripts: see `Report.code`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

NOTHING, REFUSED, WOULD_CHANGE = 0, 1, 3  # exit codes; 2 is a bad command line
OURS = "the controller's namespace"


@dataclass(frozen=True, slots=True)
class Change:
    """One change that a start would make."""

    action: str  # "make", "change", "remove", "move", "give back", "start"
    what: str  # "namespace", "nic", "vrf", "vni", "port", "shadow", "twin", "setting", "file", ...
    name: str
    where: str = ""  # the namespace it is in, or would be
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f" in {self.where}" if self.where else ""
        return f"{self.action:<9} {self.what:<9} {self.name}{place}"


@dataclass(slots=True)
class Report:
    """All findings. A problem prevents the start, or a part of it."""

    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    frr_conf: list[str] = field(default_factory=list)  # the lines of a unified diff

    @property
    def code(self) -> int:
        if self.problems:
            return REFUSED
        return WOULD_CHANGE if self.changes else NOTHING

    def add(self, changes: Iterable[Change]) -> None:
        self.changes += changes

    def as_json(self) -> str:
        return json.dumps({"would_change": bool(self.changes), **asdict(self)}, indent=2)

    def as_text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        if self.changes:
            yield "Nothing was changed. A start with these options would:"
            yield ""
        elif not self.problems:
            yield "A start with these options would change nothing."
        for change in self.changes:
            yield f"  {change}"
            yield from (f"{'':<22}{detail}" for detail in change.details)
        yield from _section("frr.conf would change by:", self.frr_conf)
        yield from _section("", [f"WARNING: {text}" for text in self.warnings], "")
        yield from _section("", [f"PROBLEM: {text}" for text in self.problems], "")


def _section(heading: str, lines: Sequence[str], indent: str = "  ") -> Iterator[str]:
    if lines:
        yield ""
    if lines and heading:
        yield heading
    yield from (f"{indent}{line}" for line in lines)


def called(netns: str) -> str:
    return f"namespace {netns}" if netns else OURS
