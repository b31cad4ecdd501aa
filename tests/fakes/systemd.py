"""systemd's end of sd_notify(3)."""

from __future__ import annotations

import socket
from contextlib import suppress


class Systemd:
    """Listens where systemd does."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": address, "HOME": "/root"}

    def heard(self) -> list[str]:
        """Return the messages since the last call."""
        messages = []
        with suppress(BlockingIOError):
            while True:
                messages.append(self.socket.recv(4096).decode())
        return messages
