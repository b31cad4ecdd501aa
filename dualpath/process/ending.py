"""Find out whether a process has begun to end. Its pidfd reports only the complete end."""

from __future__ import annotations

import signal
from pathlib import Path

PF_EXITING = 0x4  # linux/sched.h
_DEAD = (b"Z", b"X")
_KILLED = 1 << (signal.SIGKILL - 1)
# Fields of proc_pid_stat(5), counted from the one after the name: state, flags, signal.
_STATE, _FLAGS, _PENDING = 0, 6, 28


def is_ending(pid: int) -> bool:
    """Return whether a process has ended, is ending, or has a SIGKILL on its way.

    A fatal signal puts SIGKILL into every thread's pending signals first, also before a core dump.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True
    except OSError:
        return False
    return says_so(stat)


def says_so(stat: bytes) -> bool:
    """Return whether the text of proc_pid_stat(5) belongs to a process that is ending."""
    fields = stat.rpartition(b")")[2].split()  # a name may have blanks and parentheses
    if len(fields) <= _PENDING or not (fields[_FLAGS].isdigit() and fields[_PENDING].isdigit()):
        return False
    exiting, killed = int(fields[_FLAGS]) & PF_EXITING, int(fields[_PENDING]) & _KILLED
    return fields[_STATE] in _DEAD or bool(exiting or killed)
