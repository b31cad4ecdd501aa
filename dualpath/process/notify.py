"""sd_notify(3): report to systemd that a daemon is ready, its status, and that it is alive.

Does nothing in a daemon that systemd did not start with Type=notify. The variables are removed from
the environment, because a child process must not notify for its parent. Rejected: python-systemd, a
library in C for one datagram.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

_SOCKET, _WATCHDOG_US, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Notifier:
    """Sends one daemon's notifications to systemd."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        name = environment.pop(_SOCKET, "")
        period_us = environment.pop(_WATCHDOG_US, "")
        ours = environment.pop(_WATCHDOG_PID, "") in ("", str(os.getpid()))
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._status = ""
        self.watchdog_s = int(period_us) / 1e6 if ours and period_us.isdecimal() else 0.0
        """systemd kills the daemon after this time without `alive`; 0: no watchdog."""

    @property
    def listened_to(self) -> bool:
        """Return whether systemd started the daemon with Type=notify."""
        return bool(self._address)

    def ready(self) -> None:
        """Report that the daemon serves: systemd may start units that are ordered after it."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows; the same text again is not sent."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={' '.join(text.split())}")

    def alive(self) -> None:
        """Notify the watchdog. Call it from the event loop, to prove that the loop runs."""
        if self.watchdog_s:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self.listened_to:
            return
        # A full queue, or a systemd that restarts itself, is no failure of this daemon.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), self._address)
