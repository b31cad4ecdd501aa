"""Keeps the state directory complete: it restores files that somebody removes.

Clients connect to its sockets, its lock keeps a second controller out, and the next start reads its
other files. A removed file is restored within a second. If that fails, `problem` has the reason,
and the controller is not ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from dualpath.rpc.listen import ListenError
from dualpath.rpc.socketname import make_directory

log = logging.getLogger(__name__)

LOOK_S = 0.5


class Listener(Protocol):
    """A server with a socket that may be removed."""

    async def renew(self) -> bool: ...


Note = Callable[[], bool]
"""Writes a file again if it is absent; tells whether it was. Raises OSError."""


class StateDirectory:
    """Maintains the files of one directory, and sockets anywhere."""

    def __init__(self, path: Path, notes: Sequence[Note] = ()) -> None:
        self._path = path
        self._linked = path.is_symlink()
        self.notes = list(notes)
        self.listeners: list[Listener] = []
        self.problem = ""

    async def run(self) -> NoReturn:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Restore removed files and sockets."""
        problem = ""
        again = 0
        try:
            make_directory(self._path, linked=self._linked)
            again += sum(note() for note in self.notes)
        except OSError as error:
            problem = f"the state directory: {error.filename or self._path}: {error.strerror}"
        for listener in self.listeners:
            try:
                again += await listener.renew()
            except ListenError as error:
                problem = problem or str(error)
        if again:
            log.warning("%s: %d files were removed; created them again", self._path, again)
        if problem != self.problem:
            level = logging.WARNING if problem else logging.INFO
            log.log(level, "%s", problem or f"the state directory {self._path} works again")
        self.problem = problem
