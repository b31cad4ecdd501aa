"""Cuts a guest's console into what the command wrote and what the kernel said around it.

Pure: bytes in, bytes out.
"""

from collections.abc import Callable

BEGIN = b"--- lab: begin ---\n"
END = b"--- lab: end ---\n"
KEPT_BYTES = 4000


class Console:
    """Passes on everything between the lines BEGIN and END, as it comes."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._inside = False
        self._pending = b""  # undecided: the start of a line that may be a marker
        self._seen = b""

    def feed(self, data: bytes) -> None:
        self._seen = (self._seen + data)[-KEPT_BYTES:]
        self._pending += data
        while self._step():
            pass

    def tail(self) -> str:
        """Return the last of the raw console, for a person who wonders what happened."""
        return self._seen.decode(errors="replace").strip()

    def _step(self) -> bool:
        """Decide about some of the pending bytes; return whether there may be more to decide."""
        marker = END if self._inside else BEGIN
        before, found, after = self._pending.partition(marker)
        if found:
            self._emit(before)
            self._inside = not self._inside
            self._pending = after
            return True
        keep = _undecided(self._pending, marker)
        cut = len(self._pending) - keep
        self._emit(self._pending[:cut])
        self._pending = self._pending[cut:]
        return False

    def _emit(self, data: bytes) -> None:
        if self._inside and data:
            self._write(data)


def _undecided(data: bytes, marker: bytes) -> int:
    """Return how many bytes at the end of `data` may be the start of `marker`."""
    for length in range(min(len(marker) - 1, len(data)), 0, -1):
        if marker.startswith(data[-length:]):
            return length
    return 0
