"""How much work a call is, as counts: they show a law of growth where a clock shows the weather."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType


def steps(call: Callable[[], object]) -> int:
    """Return how many instructions of Python a call executes: a loop counts at every turn.

    Loops inside C (`any(map(...))`, numpy) are one instruction; see `allocated` for their copies.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # a collection calls finalizers, and whoever listens to it
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def allocated(call: Callable[[], object]) -> int:
    """Return how many bytes a call allocates at most at once, numpy's arrays included."""
    gc.collect()
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before
