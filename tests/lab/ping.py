"""Reachability: one ping now, or a flow of them while something happens."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.lab.waiting import SLOWNESS, wait_until

ECHO = Path(__file__).with_name("echo.py")
STOPPING_S = 15.0 * SLOWNESS
RATE_PER_S = 100.0 / SLOWNESS
APART_S = 0.5  # between two losses of different causes


class Source(Protocol):
    """Where pings come from."""

    @property
    def name(self) -> str: ...

    def inside(self, *argv: str) -> list[str]:
        """Return the command line that runs `argv` there."""
        ...


@dataclass(frozen=True, slots=True)
class FlowResult:
    """The result of a flow. `longest_gap_s` is the longest time without a reply."""

    transmitted: int
    received: int
    duplicates: int
    refused: int
    longest_gap_s: float
    began_s: float  # CLOCK_MONOTONIC
    lost_at_s: list[float]  # when the lost ones were sent, from the first on

    @property
    def lost(self) -> int:
        return self.transmitted - self.received

    def lost_spans(self) -> list[tuple[float, float]]:
        """Return the first and last moment of each time in which pings were lost, in seconds."""
        spans: list[tuple[float, float]] = []
        for at in self.lost_at_s:
            if spans and at - spans[-1][1] < APART_S:
                spans[-1] = (spans[-1][0], at)
            else:
                spans.append((at, at))
        return spans

    @property
    def lost_for_s(self) -> float:
        """Return the longest time in which pings were lost, by when they were sent.

        A sender that gets no CPU sends none: then `longest_gap_s` is longer, and nothing was lost.
        """
        return max((last - first for first, last in self.lost_spans()), default=0.0)

    def __str__(self) -> str:
        spans = ", ".join(f"{first:.2f}..{last:.2f}" for first, last in self.lost_spans())
        where = f" at {spans} s" if spans else ""
        return (
            f"{self.transmitted} sent, {self.received} answered, {self.lost} lost{where}, "
            f"longest gap {self.longest_gap_s * 1000:.0f} ms"
        )


class PingFlow:
    """Pings at a steady rate until it is stopped."""

    def __init__(self, source: Source, target: str, rate_per_s: float = RATE_PER_S) -> None:
        interval_s = str(1.0 / rate_per_s)
        # -I -S: nothing of the scenario's environment, so that it starts at once.
        command = [sys.executable, "-I", "-S", str(ECHO), target, interval_s]
        self._what = f"{source.name} to {target}"
        self._process = subprocess.Popen(
            source.inside(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def stop(self) -> FlowResult:
        """End the flow, wait for late replies, and return the result."""
        output, _ = self._process.communicate(timeout=STOPPING_S)
        assert output, f"the flow {self._what} failed; see the scenario's output"
        return FlowResult(**json.loads(output))

    def abandon(self) -> None:
        """End the flow of a scenario that is over. Does nothing after `stop`."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def ping(source: Source, target: str, timeout_s: float = 1.0) -> bool:
    """Return whether one echo request is answered."""
    command = ["ping", "-n", "-q", "-c", "1", "-W", str(timeout_s), target]
    done = subprocess.run(source.inside(*command), capture_output=True, check=False)
    return done.returncode == 0


def wait_for_ping(source: Source, target: str, timeout_s: float = 30.0) -> None:
    wait_until(lambda: ping(source, target), f"ping {source.name} to {target}", timeout_s)


@contextlib.contextmanager
def flows(*pairs: tuple[Source, str], rate_per_s: float = RATE_PER_S) -> Iterator[list[FlowResult]]:
    """Send pings during a block; the results are filled in after it."""
    results: list[FlowResult] = []
    running = [PingFlow(source, target, rate_per_s) for source, target in pairs]
    try:
        yield results
        results.extend(flow.stop() for flow in running)
    finally:
        for flow in running:
            flow.abandon()
