"""What there is to run, and which of it needs grout or a Kubernetes API server.

It reads files to see what their scenarios need, and does no other I/O.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAB = "tests/lab"
GROUT = re.compile(r"\bmark\.grout\b|[\"']dpdk[\"']")  # how a file has scenarios marked `grout`

KUBE = re.compile(r"\btests\.kube\.server\b")  # how a file gets an API server
PROMTOOL = re.compile(r"\btests\.lab\.alerting\b")  # how a file evaluates alert rules


@dataclass(frozen=True, slots=True)
class Target:
    """What pytest takes as one: a test file, or one test in it."""

    argument: str  # relative to the checkout
    grout: bool = False  # some of its scenarios need grout
    kube: bool = False  # and some an API server
    promtool: bool = False

    def __str__(self) -> str:
        return self.argument


def find(checkout: Path, arguments: Sequence[str]) -> tuple[list[Target], list[str]]:
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


def _of_directory(checkout: Path, directory: Path) -> list[Target]:
    files = sorted(directory.glob("test_*.py"))
    return [_target(str(file.relative_to(checkout)), file) for file in files]


def _target(argument: str, file: Path) -> Target:
    text = file.read_text()
    needs = (bool(it.search(text)) for it in (GROUT, KUBE, PROMTOOL))
    return Target(argument, *needs)
