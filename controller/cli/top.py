"""The command that shows a daemon live: a page of text, drawn by curses.

curses writes only the differences from the last page, so nothing flickers, and it restores the
terminal however the command ends. It is part of Python. Rejected: rich and textual, because this
page needs nothing that curses lacks, and each would be one more dependency of every package.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from controller.cli.client import CALL_S, Stub, connected
from controller.cli.command import Option
from controller.cli.options import Target
from controller.cli.screen import Line, Sample, Style, page
from controller.cli.terminal import echo, fail, harmless
from dualpath.pb import inspect_pb2 as pb

if TYPE_CHECKING:
    import curses

    import grpc

LOOK_MS = 100  # for a key; a changed size counts as one
INTERVALS_S = (1, 2, 5, 10, 30)
SOME = 20  # refused routes: more would not fit
PLAIN_WIDTH, PLAIN_HEIGHT = 100, 60


def top(
    target: Target,
    interval: Annotated[
        int, Option("--interval", metavar="S", low=1, high=60, help="Seconds between two looks.")
    ] = 2,
    once: Annotated[bool, Option("--once", help="Print one page after one interval.")] = False,
) -> None:
    """Show sessions, rows, rates and failures live.

    Sessions that are down, ports that lose packets and rows that differ come first, in red. Keys:
    q quits, p pauses, + and - change the interval. It needs a terminal, unless --once is given.

    dualpath top
    dualpath top --once --interval 10
    """
    if not once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("top needs a terminal; use `dualpath top --once` or `dualpath status`")
    with connected(target) as stub:
        before = sample(stub)
        if once:
            time.sleep(interval)
            for line in page(sample(stub), before, PLAIN_WIDTH, PLAIN_HEIGHT)[:-1]:
                if line.text or line.style is not Style.PLAIN:
                    echo(line.text)
            return
        _draw(stub, before, interval)


def sample(stub: Stub) -> Sample:
    """Ask the daemon. Raises grpc.RpcError."""
    status = stub.Status(pb.StatusRequest(), timeout=CALL_S)
    ports = [p for m in stub.ListPorts(pb.ListRequest(), timeout=CALL_S) for p in m.ports]
    at, now = time.monotonic(), time.time()
    refused = any(count.kind == pb.KIND_ROUTE and count.failed for count in status.counts)
    failed: list[pb.Route] = []
    if refused:
        request = pb.ListRoutesRequest(states=[pb.ROW_STATE_FAILED], limit=SOME)
        failed = [r for m in stub.ListRoutes(request, timeout=CALL_S) for r in m.routes]
    return Sample(at, now, status, [p for p in ports if p.type != pb.Port.TYPE_LOOPBACK], failed)


def _draw(stub: Stub, first: Sample, interval: int) -> None:
    import curses

    try:
        with _ending_by_signals():
            curses.wrapper(lambda window: _Top(window, stub, first, interval).run())
    except curses.error as error:
        fail(f"cannot draw on this terminal: {error}; is TERM right?")


@contextmanager
def _ending_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command by an exception, so that the terminal is restored."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = [(number, signal.signal(number, end)) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class _Top:
    """The loop of keys, sizes and samples. A thread asks the daemon, so that no key waits."""

    def __init__(self, window: curses.window, stub: Stub, first: Sample, interval: int) -> None:
        self._window = window
        self._stub = stub
        self._shown = first
        self._before: Sample | None = None
        self._interval = interval
        self._paused = False
        self._note = ""
        self._asking = False
        self._answer: Sample | grpc.RpcError | None = None
        self._due = first.at + interval
        self._styles = _styles()

    def run(self) -> None:
        self._window.timeout(LOOK_MS)
        self._paint()
        while True:
            key = self._window.getch()
            if key in (ord("q"), ord("Q"), 3, 27):
                return
            if self._press(key) | self._sampled():
                self._paint()

    def _press(self, key: int) -> bool:
        """Handle a key; return whether the page changes."""
        import curses

        match key:
            case curses.KEY_RESIZE:
                pass
            case 112:  # p
                self._paused = not self._paused
            case 43 | 45:  # + and -
                at = [s for s in INTERVALS_S if (s > self._interval) == (key == 43)]
                near = [s for s in at if s != self._interval]
                if near:
                    self._interval = min(near) if key == 43 else max(near)
            case _:
                return False
        return True

    def _sampled(self) -> bool:
        """Ask if it is time; return whether an answer arrived."""
        if not self._asking:
            if not self._paused and time.monotonic() >= self._due:
                self._asking = True
                threading.Thread(target=self._ask, daemon=True).start()  # q waits for no answer
            return False
        if (answer := self._answer) is None:
            return False
        self._asking, self._answer = False, None
        self._due = time.monotonic() + self._interval
        if isinstance(answer, Sample):
            self._before, self._shown, self._note = self._shown, answer, ""
        else:
            self._note = f"no answer from the daemon: {_details(answer)}; this page is old"
        return True

    def _ask(self) -> None:
        import grpc

        try:
            self._answer = sample(self._stub)
        except grpc.RpcError as error:
            self._answer = error
        except ValueError:  # the command has ended and closed the channel
            pass

    def _paint(self) -> None:
        import curses

        height, width = self._window.getmaxyx()
        note = self._note or (self._paused and "paused; p continues") or ""
        lines = page(self._shown, self._before, width, height, note)
        self._window.erase()
        for row, line in enumerate(lines):
            self._put(row, line, width)
        self._window.noutrefresh()
        curses.doupdate()

    def _put(self, row: int, line: Line, width: int) -> None:
        import curses

        with suppress(curses.error):  # the last cell of the terminal, or it has just shrunk
            self._window.addnstr(row, 0, line.text, width, self._styles[line.style])


def _styles() -> dict[Style, int]:
    import curses

    with suppress(curses.error):  # not every terminal can hide it
        curses.curs_set(0)
    good = bad = curses.A_NORMAL
    if curses.has_colors():
        curses.use_default_colors()
        curses.init_pair(1, curses.COLOR_GREEN, -1)
        curses.init_pair(2, curses.COLOR_RED, -1)
        good, bad = curses.color_pair(1), curses.color_pair(2)
    return {
        Style.PLAIN: curses.A_NORMAL,
        Style.HEAD: curses.A_BOLD,
        Style.DIM: curses.A_DIM,
        Style.GOOD: good | curses.A_BOLD,
        Style.BAD: bad | curses.A_BOLD,
    }


def _details(error: Any) -> str:  # noqa: ANN401  grpc has no types
    return harmless(" ".join(str(error.details()).split()))[:60]
