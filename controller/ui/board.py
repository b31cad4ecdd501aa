"""What every open page is told, kept once. Pure.

State, not deltas: the board has the latest text of each part, and short histories. A stream knows
the number up to which it has read, and takes what is newer. So no stream has a queue, a slow one
skips what has been replaced, and one that comes late starts with all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

HISTORIES = {"entry": 300, "sample": 150}
"""The parts of which earlier texts are kept, and how many."""


class Board:
    def __init__(self) -> None:
        self._number = 0
        self._parts: dict[str, tuple[int, str]] = {}
        self._histories = {
            name: deque[tuple[int, str]](maxlen=size) for name, size in HISTORIES.items()
        }

    @property
    def number(self) -> int:
        """Grows with each text that is new."""
        return self._number

    def put(self, part: str, text: str) -> None:
        """Replace a part; the same text again is nothing new."""
        if part not in self._parts or self._parts[part][1] != text:
            self._number += 1
            self._parts[part] = self._number, text

    def add(self, history: str, text: str) -> None:
        self._number += 1
        self._histories[history].append((self._number, text))

    def since(self, number: int) -> Iterator[tuple[str, str]]:
        """Yield (part, text) of all that is newer; a history as one JSON array."""
        for part, (at, text) in self._parts.items():
            if at > number:
                yield part, text
        for history, kept in self._histories.items():
            if texts := [text for at, text in kept if at > number]:
                yield history, f"[{','.join(texts)}]"
