"""What processes use, from /proc."""

from __future__ import annotations

import os
from pathlib import Path


def cpu_s(*pids: int, children: bool = False) -> float:
    """Return the CPU time of processes; `children` adds that of programs that they waited for."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11 : 15 if children else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(*pids: int) -> float:
    """Return the resident memory of processes together."""
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
