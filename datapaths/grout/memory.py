"""What memory a grout was given: only its command line says so."""

from __future__ import annotations

from pathlib import Path

from datapaths.base import DatapathError
from datapaths.grout.process import peer_of

TEST_MODE = ("-t", "--test-mode")


def memory(sock: Path) -> str:
    """Return words for people; "unknown" when grout's process is hidden from us."""
    try:
        command = Path(f"/proc/{peer_of(sock)}/cmdline").read_bytes()
    except (DatapathError, OSError):
        return "unknown"
    return memory_of([word.decode(errors="replace") for word in command.split(b"\0")])


def memory_of(command: list[str]) -> str:
    return "no hugepages (test mode)" if set(TEST_MODE) & set(command) else "hugepages"
