"""Where a test hangs: what each thread and task waits for, in one line.

A thread that nobody can end blocks the event loop's end as well, so the whole run ends.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from types import FrameType

DEPTH = 3  # innermost calls of each stack, of those that are no library's


class Watch:
    """Calls `hung` with a test and a place if a test takes longer than `limit_s`."""

    def __init__(self, limit_s: float, hung: Callable[[str, str], None]) -> None:
        self._limit_s = limit_s
        self._hung = hung
        self._running = ""
        self._turn = count()
        self._at = 0
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def begins(self, name: str) -> None:
        self._running, self._at = name, next(self._turn)
        self._changed.set()

    def ends(self) -> None:
        self.begins("")

    def _watch(self) -> None:
        while True:
            self._changed.clear()
            running, at = self._running, self._at
            changed = self._changed.wait(self._limit_s if running else None)
            if not changed and self._at == at:
                self._hung(running, " | ".join(places()))
                return


def places() -> Iterator[str]:
    """Yield the innermost calls of each other thread, and of each task of their event loops."""
    here = threading.get_ident()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in list(sys._current_frames().items()):
        if ident == here:
            continue
        yield f"{names.get(ident, ident)}: {_innermost(frame)}"
        for loop in _loops(frame):
            for task in asyncio.all_tasks(loop):
                stack = task.get_stack(limit=1)
                where = f"{_short(stack[-1])}" if stack else "no frame"
                name = getattr(task.get_coro(), "__qualname__", task.get_name())
                yield f"{name}: {where}"


def _innermost(frame: FrameType) -> str:
    stack = [one for one, _ in traceback.walk_stack(frame)]
    own = [one for one in stack if "/lib/python" not in _file(one) and _file(one)[0] != "<"]
    return " < ".join(map(_short, own[:DEPTH] or [frame]))


def _loops(frame: FrameType) -> set[asyncio.AbstractEventLoop]:
    found = (one.f_locals.get("self") for one, _ in traceback.walk_stack(frame))
    return {it for it in found if isinstance(it, asyncio.AbstractEventLoop)}


def _short(frame: FrameType) -> str:
    return f"{'/'.join(_file(frame).split('/')[-2:])}:{frame.f_lineno} {frame.f_code.co_name}"


def _file(frame: FrameType) -> str:
    return frame.f_code.co_filename
