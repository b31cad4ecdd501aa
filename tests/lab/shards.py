"""Divides test files among guests, each of which has one CPU.

It reads files to see how many scenarios they hold, and does no other I/O.
"""

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAB = "tests/lab"
SCENARIO = re.compile(r"^\s*(?:async )?def test_", re.MULTILINE)
GROUT = re.compile(r"\bmark\.grout\b|[\"']dpdk[\"']")  # how a file has scenarios marked `grout`


@dataclass(frozen=True, slots=True)
class Target:
    """What pytest takes as one: a test file, or one test in it."""

    argument: str  # relative to the checkout
    weight: int
    grout: bool = False  # some of its scenarios need grout

    def __str__(self) -> str:
        return self.argument


def targets(checkout: Path, arguments: Sequence[str]) -> tuple[list[Target], list[str]]:
    """Return the targets that pytest's `arguments` name, and the other arguments.

    Without one that names anything, every scenario of the lab is a target.
    """
    options: list[str] = []
    found: list[Target] = []
    for argument in arguments:
        path = checkout / argument.split("::")[0]
        if argument.startswith("-") or not path.exists():
            options.append(argument)
        elif path.is_dir():
            found += _of_directory(checkout, path)
        else:
            found.append(_target(argument, path))
    return found or _of_directory(checkout, checkout / LAB), options


def divide(wanted: Sequence[Target], shards: int) -> list[list[Target]]:
    """Return at most `shards` lists with about as many scenarios each."""
    divided: list[list[Target]] = [[] for _ in range(shards)]
    loads = [(0, index) for index in range(shards)]
    for target in sorted(wanted, key=lambda target: (-target.weight, target.argument)):
        load, index = heapq.heappop(loads)
        divided[index].append(target)
        heapq.heappush(loads, (load + target.weight, index))
    return [part for part in divided if part]


def _of_directory(checkout: Path, directory: Path) -> list[Target]:
    files = sorted(directory.glob("test_*.py"))
    return [_target(str(file.relative_to(checkout)), file) for file in files]


def _target(argument: str, file: Path) -> Target:
    text = file.read_text()
    weight = 1 if "::" in argument else 1 + len(SCENARIO.findall(text))
    return Target(argument, weight, bool(GROUT.search(text)))
