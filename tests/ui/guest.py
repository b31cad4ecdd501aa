"""A guest of the lab beside the browser: a network namespace has both ends of their cable."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datapaths.linux.netns import entered

TAP = "lab0"
HERE, THERE, LENGTH = "198.51.100.1", "198.51.100.2", 30
PORT = 8470
STARTING_S, ANSWERING_S, ENDING_S = 420.0, 30.0, 60.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Guest:
    """A fabric in a guest, and the namespace from which its first node's page is reached."""

    namespace: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        """The page's address, as seen from the namespace."""
        _, _, rest = self.order("address").partition(f":{PORT}")
        return f"http://{THERE}:{PORT}{rest}"

    def order(self, word: str) -> str:
        """Give the guest a command, and return its answer. Raises OSError: it does not listen."""
        with entered(self.namespace):
            connection = socket.create_connection((THERE, PORT + 1), timeout=ANSWERING_S)
        with connection, connection.makefile("rw") as lines:
            lines.write(f"{word}\n")
            lines.flush()
            return lines.readline().strip()

    def wait(self) -> None:
        """Wait until the guest's fabric stands and its page is served."""
        deadline = time.monotonic() + STARTING_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.order("address")
            except OSError:
                time.sleep(1)
                continue
            return
        raise AssertionError(f"the guest shows no page: {self.log.read_text()[-4000:]}")


@contextmanager
def showing(directory: Path) -> Iterator[Guest]:
    """Start a guest with `tests.lab.shown`, and end it."""
    namespace = f"dualpath-ui-{os.getpid()}"
    _ip("netns", "add", namespace)
    try:
        _ip("-n", namespace, "tuntap", "add", TAP, "mode", "tap")
        _ip("-n", namespace, "address", "add", f"{HERE}/{LENGTH}", "dev", TAP)
        for device in ("lo", TAP):
            _ip("-n", namespace, "link", "set", device, "up")
        log = directory / "guest.log"
        process = _started(namespace, log)
        try:
            guest = Guest(namespace, process, log)
            guest.wait()
            yield guest
            guest.order("end")
            process.wait(ENDING_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    finally:
        _ip("netns", "delete", namespace)


def _started(namespace: str, log: Path) -> subprocess.Popen[bytes]:
    lab = [sys.executable, "-m", "tests.lab", "shell", "--mode", "uml"]
    shown = f"exec python -m tests.lab.shown {PORT} {THERE}/{LENGTH}"
    with log.open("wb") as output:
        return subprocess.Popen(
            ["ip", "netns", "exec", namespace, *lab, "-c", shown],
            cwd=ROOT,
            env={**os.environ, "DUALPATH_LAB_VM_ARGS": f"vec0:transport=tap,ifname={TAP}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=ANSWERING_S)
