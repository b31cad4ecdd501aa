"""Send frames out of grout's interfaces: grout sends what it reads from an interface's TAP."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Self

from datapaths.linux.netns import entered


class Taps:
    """A socket in grout's namespace. Raises OSError if that is gone, or may not be entered."""

    def __init__(self, home: str) -> None:
        with entered(home):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: receive nothing
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, name: str, frame: bytes) -> None:
        """Send a frame; it is lost when the interface is down or gone."""
        with suppress(OSError):
            self._socket.sendto(frame, (name, 0))

    def close(self) -> None:
        self._socket.close()
