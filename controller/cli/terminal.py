"""The command's output: lines, colours, and a pager on a terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import subprocess

FAILED = 1
USAGE = 2

CONTROL = re.compile(r"[^\n\t -~\u00a0-\U0010ffff]")

BOLD, DIM, RED, GREEN, YELLOW, MAGENTA, CYAN = "1", "2", "31", "32", "33", "35", "36"

PAGER = "less"
PAGER_OPTIONS = {"LESS": "FRSX"}  # like git: quit if it fits, keep colours, neither wrap nor clear


def echo(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def warn(text: str) -> None:
    """Write one sentence on stderr."""
    sys.stderr.write(f"dualpath: {' '.join(text.split())}\n")


def fail(text: str, code: int = FAILED) -> NoReturn:
    """End the command with one sentence on stderr."""
    warn(text)
    raise SystemExit(code)


def harmless(text: str) -> str:
    """Return text from others without terminal control sequences."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def has_colours(stream: IO[str]) -> bool:
    """Return whether to write colours: on a terminal that has them, unless NO_COLOR is set."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


@dataclass(frozen=True, slots=True)
class Paper:
    """The target of rows, and the stream whose end shows that they were written."""

    write: Callable[[str], object]
    terminal: IO[str]


@contextmanager
def paged(*, wanted: bool = True) -> Iterator[Paper]:
    """Yield the target for rows: a pager on a terminal, standard output elsewhere.

    PAGER names another pager; `cat` or an empty value disables it.
    """
    command = os.environ.get("PAGER", PAGER).split()
    wanted = wanted and sys.stdout.isatty() and bool(command) and command != ["cat"]
    if not (wanted and shutil.which(command[0])):
        yield Paper(sys.stdout.write, sys.stdout)
        return
    import subprocess  # most commands have no pager, and start without it in less time

    environment = {**PAGER_OPTIONS, **os.environ}
    sys.stdout.flush()
    with (
        suppress(BrokenPipeError),  # the user quit the pager before the end
        subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment) as pager,
    ):
        assert pager.stdin
        try:
            yield Paper(pager.stdin.write, sys.stdout)
            pager.stdin.close()
        finally:
            _wait(pager)


def _wait(pager: subprocess.Popen[str]) -> None:
    """Wait until the reader quits. Ctrl-C belongs to the pager, which continues."""
    while pager.poll() is None:
        with suppress(KeyboardInterrupt):
            pager.wait()
