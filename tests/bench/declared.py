"""What a bench declares about itself, as `BENCH` in its module: the runner knows no more of it."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent
NAME = "BENCH"

Runs = tuple[tuple[str, ...], ...]
"""The arguments of each run of a bench: () is one run without arguments, as `((),)`."""


class Level(StrEnum):
    """How long a run of all benches may take."""

    QUICK = "quick"  # under a minute: CI
    USUAL = "usual"  # under 15 minutes: `make bench`
    LONG = "long"  # `make bench-all`


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """How a bench is started; a level without runs leaves it out."""

    usual: Runs = ()
    long: Runs
    quick: Runs = ()
    guest: bool = False  # runs in the lab's tree, which has real FRR
    root: bool = True
    programs: tuple[str, ...] = ()  # what it starts and this machine may lack
    limit_s: float = 600.0  # of one run; a usual one is done in a fifth of it

    def runs(self, level: Level) -> Runs:
        match level:
            case Level.QUICK:
                return self.quick
            case Level.USUAL:
                return self.usual
            case Level.LONG:
                return self.long


def names(directory: Path = HERE) -> list[str]:
    """Return the benches of a directory: its modules that assign `BENCH`."""
    return [path.stem for path in sorted(directory.glob("*.py")) if _declares(path)]


def load(name: str) -> Bench:
    """Import a bench, and return what it declares."""
    found = getattr(importlib.import_module(f"tests.bench.{name}"), NAME)
    assert isinstance(found, Bench)
    return found


def _declares(path: Path) -> bool:
    targets = [
        target
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    return any(isinstance(target, ast.Name) and target.id == NAME for target in targets)
