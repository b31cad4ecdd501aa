"""The TAPs that grout makes: what is sent on one goes out of the interface of that name."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Self

from datapaths.linux.netns import entered


class Taps:
    """A socket in grout's namespace. Raises OSError when that is gone, or is not ours to enter."""

    def __init__(self, home: str) -> None:
        with entered(home):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: hears nothing
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, name: str, frame: bytes) -> None:
        """Send a frame; an interface that is down, or gone, takes none."""
        with suppress(OSError):
            self._socket.sendto(frame, (name, 0))

    def close(self) -> None:
        self._socket.close()
