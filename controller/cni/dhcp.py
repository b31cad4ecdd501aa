"""The DHCP client daemon of the plugin `dhcp`: one for all leases, started on demand.

The plugin asks a daemon for a lease, and the daemon renews it (https://www.cni.dev/plugins/current/
ipam/dhcp/). It keeps leases only in memory. So it outlives the controller, and the next controller
finds it by its socket. The controller restarts a dead daemon; CHECK then requests the leases again.
A list with `daemonSocketPath` uses that daemon instead. Blocks.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from controller.cni.plugins import Plugins
from controller.cni.protocol import PluginError
from datapaths.linux import netns
from dualpath.process.pidfd import Process, listener

log = logging.getLogger(__name__)

PLUGIN = "dhcp"
SOCKET = "cni-dhcp.sock"
_START_S = 5.0
_END_S = 1.0
_LOOK_S = 0.02
_RESEND_S = 10  # the longest pause between two requests; ADD fails once it is exceeded


class DhcpDaemon:
    """A daemon that listens on a socket of ours."""

    def __init__(self, plugins: Plugins, socket: Path, host: str = "") -> None:
        self.socket = socket
        self._plugins = plugins
        self._host = host
        self._found: Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # interfaces are made in threads

    def ensure(self) -> bool:
        """Start the daemon unless it listens; return whether it was started.

        Raises PluginError.
        """
        with self._lock:
            if self._found and not self._found.ended:
                return False
            if found := listener(self.socket):
                self._found = found
                return False
            self._start()
            return True

    def end(self) -> None:
        """End the daemon that listens on our socket, even if an earlier controller started it."""
        with self._lock:
            if found := listener(self.socket):
                found.send_signal(signal.SIGTERM)
                deadline = time.monotonic() + _END_S
                while not found.ended and time.monotonic() < deadline:
                    time.sleep(_LOOK_S)
                if not found.ended:  # as a rule: it waits for its calls to end
                    found.send_signal(signal.SIGKILL)
            self._reap()
            self._found = None
            self.socket.unlink(missing_ok=True)

    def release(self, delete: Callable[[], None]) -> None:
        """Call DEL for an interface with a lease. Raises what that raises.

        The daemon does not answer while it tries to renew a lease with a dead server. A new daemon
        has no leases, so DEL succeeds; CHECK then requests the other leases again.
        """
        self.ensure()
        try:
            delete()
        except PluginError as error:
            log.warning("%s; retrying with a new DHCP daemon", error)
            self.end()
            self.ensure()
            delete()

    def _start(self) -> None:
        file = self._plugins.find(PLUGIN, "daemon")
        self._reap()
        self.socket.unlink(missing_ok=True)  # of a daemon that was killed
        options = "-socketpath", str(self.socket), "-resendmax", f"{_RESEND_S}s"
        command = [str(file), "daemon", *options]
        try:
            with netns.entered(self._host) if self._host else nullcontext():
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # it outlives the reader of our standard error
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            raise PluginError(PLUGIN, "daemon", f"it cannot be run: {error.strerror}") from error
        deadline = time.monotonic() + _START_S
        while not (found := listener(self.socket)):
            code = self._child.poll()
            if code is not None or time.monotonic() > deadline:
                self._child.kill()
                self._reap()
                why = f"it does not listen on {self.socket}"
                why += f": it ended with {code}" if code is not None else f" after {_START_S:g} s"
                raise PluginError(PLUGIN, "daemon", why)
            time.sleep(_LOOK_S)
        self._found = found
        log.info("started the DHCP daemon of CNI, pid %d", found.pid)

    def _reap(self) -> None:
        if self._child:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(_START_S)
            self._child = None
