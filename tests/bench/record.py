"""The JSON of one run of benches: what was measured, where, and of which commit.

Schema 1, with every key present:

    schema    1; another number means that keys changed their meaning or are gone
    date      UTC, ISO 8601, when the run began
    commit    git's hash of the checkout, "" outside one; `modified` tells of changed files
    machine   kernel, cpu, cpus, python: absolute values compare within one machine only
    level     quick, usual or long: how much was run
    benches   name, arguments, outcome (ok, failed, skipped), why (of the last two), seconds;
              cpu_s of the bench and of what it started and waited for; load before it began
    figures   bench, work, variant, unit, median, least, most, turns in order of measurement, size

Keys that a reader does not know are to be ignored, so new ones do not change the number.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure

SCHEMA = 1
CLOCK = {"s", "ms", "us"}  # CPU time has units of its own, such as s-cpu
CHECKOUT = Path(__file__).parents[2]


class UnknownSchema(Exception):
    """A file of another schema, or of something else."""


@dataclass(frozen=True, slots=True)
class Machine:
    kernel: str
    cpu: str
    cpus: int
    python: str

    def __str__(self) -> str:
        return f"{self.cpus} x {self.cpu}, Linux {self.kernel}, Python {self.python}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a bench ended."""

    name: str
    arguments: tuple[str, ...]
    outcome: str  # ok, failed, skipped
    why: str = ""
    seconds: float = 0.0
    cpu_s: float = 0.0
    load: float = 0.0

    def __str__(self) -> str:
        return " ".join((self.name, *self.arguments))


@dataclass(slots=True)
class Record:
    date: str
    commit: str
    modified: bool
    machine: Machine
    level: str
    benches: list[Outcome] = field(default_factory=list)
    figures: list[tuple[str, Figure]] = field(default_factory=list)  # with the bench's name

    @property
    def all_figures(self) -> list[Figure]:
        return [figure for _, figure in self.figures]

    def disturbed(self, figure: Figure) -> bool:
        """Whether a figure is by the clock, and others had the CPUs when its bench began."""
        names = {name for name, one in self.figures if one == figure}
        loads = [one.load for one in self.benches if one.name in names]
        return figure.unit in CLOCK and max(loads, default=0.0) >= self.machine.cpus

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "date": self.date,
            "commit": self.commit,
            "modified": self.modified,
            "machine": asdict(self.machine),
            "level": self.level,
            "benches": [asdict(one) for one in self.benches],
            "figures": [_figure_json(bench, figure) for bench, figure in self.figures],
        }


def begin(level: str) -> Record:
    """Return an empty record of this machine and checkout."""
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return Record(date, _git("rev-parse", "HEAD"), bool(changes), this_machine(), level)


def this_machine() -> Machine:
    cpus = len(os.sched_getaffinity(0))
    return Machine(platform.release(), _cpu(), cpus, platform.python_version())


def read(path: Path) -> Record:
    """Read a record. Raises UnknownSchema on anything else."""
    try:
        found = json.loads(path.read_text())
        if found["schema"] != SCHEMA:
            raise UnknownSchema(f"{path}: schema {found['schema']}, known is {SCHEMA}")
        return Record(
            found["date"],
            found["commit"],
            found["modified"],
            Machine(**_known(Machine, found["machine"])),
            found["level"],
            [_outcome(one) for one in found["benches"]],
            [(one["bench"], _figure(one)) for one in found["figures"]],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnknownSchema(f"{path} is no record of benches: {error!r}") from error


def _figure_json(bench: str, figure: Figure) -> dict[str, Any]:
    return {
        "bench": bench,
        "work": figure.work,
        "variant": figure.variant,
        "unit": figure.unit,
        "median": figure.value,
        "least": figure.least,
        "most": figure.most,
        "turns": list(figure.turns),
        "size": dict(figure.size),
    }


def _figure(one: Mapping[str, Any]) -> Figure:
    return Figure(one["work"], one["variant"], one["unit"], tuple(one["turns"]), one["size"])


def _outcome(one: Mapping[str, Any]) -> Outcome:
    return Outcome(**{**_known(Outcome, one), "arguments": tuple(one["arguments"])})


def _known(kind: type, found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in kind.__dataclass_fields__}  # type: ignore[attr-defined]


def _git(*words: str) -> str:
    command = ["git", "-C", str(CHECKOUT), "-c", f"safe.directory={CHECKOUT}", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
