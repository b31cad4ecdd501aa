"""A process that begins to end is known to, long before it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dualpath.process.ending import is_ending, says_so
from tests.fakes.waiting import until

# proc_pid_stat(5), from a kernel 6.18; the fields that matter are filled in.
STAT = (
    "71 (a) Z (b) {state} 1 71 71 0 -1 {flags} 9 0 0 0 0 0 0 0 20 0 1 0 7 2551808 213 "
    "18446744073709551615 1 1 0 0 0 {pending} 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


async def test_killed_process_is_ending_and_a_reaped_one_has_ended(
    child: subprocess.Popen[bytes],
) -> None:
    assert not is_ending(child.pid)
    assert not is_ending(os.getpid())
    child.send_signal(signal.SIGKILL)
    await until(lambda: is_ending(child.pid))
    child.wait()
    assert is_ending(child.pid)


def test_stopped_process_is_not_ending(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert not is_ending(child.pid)


@pytest.mark.parametrize(
    ("state", "flags", "pending", "ends"),
    [
        ("S", 4194304, 0, False),
        ("R", 4194304, 1 << 8, True),  # SIGKILL is on its way
        ("D", 4194304 | 4, 0, True),  # PF_EXITING: it frees its memory
        ("Z", 4194304, 0, True),  # other threads of it may live still
        ("S", 4194304, 1 << 14, False),  # SIGTERM, which a program may handle
    ],
)
def test_state_flags_and_signals_tell(state: str, flags: int, pending: int, ends: bool) -> None:
    assert says_so(STAT.format(state=state, flags=flags, pending=pending).encode()) is ends


@pytest.mark.parametrize("stat", [b"", b"71 (x) S 1", b"71 (x) R a b c d e f g" + b" x" * 30])
def test_text_that_is_no_stat_says_nothing(stat: bytes) -> None:
    assert not says_so(stat)
