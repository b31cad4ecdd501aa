"""What a demo prints: numbered steps with the time, commands with their output, and checks.

It decides nothing but the exit code: 0 when every check held.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

BOLD, DIM, GREEN, RED, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"
INDENT = "     "
REPORT_S = 5.0


class Screen:
    """Writes to standard output, line by line as things happen."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._steps = 0
        self._checks: list[tuple[str, bool]] = []
        wanted = sys.stdout.isatty() or "FORCE_COLOR" in os.environ
        self._colours = wanted and "NO_COLOR" not in os.environ

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def step(self, title: str) -> None:
        self._steps += 1
        print(f"\n{self._in(BOLD, f'{self._steps:>2}   {title}')}   {self._clock()}", flush=True)

    def text(self, text: str) -> None:
        print("\n".join(INDENT + line for line in text.rstrip().splitlines()), flush=True)

    def done(self, what: str) -> None:
        """Say that something has happened, and when."""
        print(f"{INDENT}{what}   {self._clock()}", flush=True)

    @contextmanager
    def waiting(self, what: str, done: str) -> Iterator[None]:
        """Say every few seconds that a step still waits, and in the end that it is done."""
        ended = threading.Event()

        def report() -> None:
            while not ended.wait(REPORT_S):
                print(f"{INDENT}... waiting for {what}   {self._clock()}", flush=True)

        reporter = threading.Thread(target=report, daemon=True)
        reporter.start()
        try:
            yield
        finally:
            ended.set()
            reporter.join()
        self.done(done)

    def command(self, command: str, output: str) -> None:
        print(f"\n{INDENT}{self._in(BOLD, f'$ {command}')}", flush=True)
        self.text(output)

    def check(self, what: str, holds: bool, detail: str = "") -> None:
        """Show whether something holds, and remember it for the summary and the exit code."""
        self._checks.append((what, holds))
        self.text(self._verdict(what, holds) + (f"   {detail}" if detail else ""))

    def close(self, *, empty: bool = False) -> int:
        """Print the summary and return the exit code; `empty` says that no check is needed."""
        failed = sum(not holds for _, holds in self._checks)
        if empty and not self._checks:
            return 0
        self.step("Summary")
        for what, holds in self._checks:
            self.text(self._verdict(what, holds))
        print()
        self.text(f"{len(self._checks) - failed} of {len(self._checks)} hold, {self._clock()}")
        return 1 if failed or not self._checks else 0

    def _verdict(self, what: str, holds: bool) -> str:
        return f"{self._in(GREEN, 'ok  ') if holds else self._in(RED, 'FAIL')}  {what}"

    def _clock(self) -> str:
        return self._in(DIM, f"[{self.seconds:.1f} s]")

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self._colours else text
