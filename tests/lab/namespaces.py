"""Network namespaces by name, some inside a user namespace of their own."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datapaths.linux import netns
from tests.lab.processes import CommandFailed, run
from tests.lab.waiting import wait_until

NETNS_DIRECTORY = Path("/run/netns")
USERNS_DIRECTORY = Path("/run/dualpath/userns")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace pinned at /run/netns/NAME.

    `userns` is the file of the user namespace that owns it; None when that is the lab's own.
    """

    name: str
    userns: Path | None = None

    @property
    def path(self) -> Path:
        return NETNS_DIRECTORY / self.name

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def inside(self, *argv: str) -> list[str]:
        """Return the command line that runs `argv` in here, with no power anywhere else."""
        user = [] if self.userns is None else [f"--user={self.userns}"]
        return ["nsenter", *user, f"--net={self.path}", "--", *argv]

    def run(self, *argv: str, timeout_s: float = 60.0) -> str:
        return run(self.inside(*argv), timeout_s=timeout_s)

    def ip(self, *words: str) -> str:
        return run(["ip", "-n", self.name, *words])

    def ip_batch(self, *lines: str) -> None:
        """Run several `ip` commands in one process; the first that fails ends it."""
        run(["ip", "-n", self.name, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def ip_json(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ip("-json", "-details", *words) or "[]")
        return found

    def sysctl(self, **settings: str | int) -> None:
        """Set sysctls under net; double underscores stand for dots: ipv4__ip_forward=1."""
        words = [f"net.{key.replace('__', '.')}={value}" for key, value in settings.items()]
        self.run("sysctl", "-qw", *words)

    def has_link(self, name: str) -> bool:
        try:
            self.ip("link", "show", "dev", name)
        except CommandFailed:
            return False
        return True


def create(name: str) -> Namespace:
    run(["ip", "netns", "add", name])
    namespace = Namespace(name)
    namespace.ip("link", "set", "lo", "up")
    return namespace


def create_isolated(name: str) -> Namespace:
    """Make a network namespace owned by a user namespace of its own, and pin both.

    Whoever enters by `inside` is root there and nobody elsewhere.
    """
    netns.create_isolated(name)
    return Namespace(name, USERNS_DIRECTORY / name)


def existing(name: str) -> Namespace:
    """Return a namespace that somebody else made, with its user namespace where it has one."""
    userns = USERNS_DIRECTORY / name
    return Namespace(name, userns if userns.exists() else None)


def delete(namespace: Namespace) -> None:
    """Remove the names. The namespace itself ends with its last process."""
    for path in (namespace.path, USERNS_DIRECTORY / namespace.name):
        if path.exists():
            # Twice, where somebody has made the directory a shared mount in the meantime.
            command = ["umount", "--lazy", str(path)]
            while subprocess.run(command, capture_output=True, check=False).returncode == 0:
                pass
            path.unlink(missing_ok=True)


def kill_inside(namespace: Namespace) -> None:
    """End every process whose network namespace this is."""
    if not namespace.exists:
        return
    for word in run(["ip", "netns", "pids", namespace.name]).split():
        try:
            os.kill(int(word), signal.SIGKILL)
        except ProcessLookupError:
            continue


def is_live(namespace: Namespace) -> bool:
    """Tell a namespace's file from the empty one that is left when it is not pinned (any more)."""
    return namespace.path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev


@contextlib.contextmanager
def monitored(namespace: Namespace, *objects: str) -> Iterator[Callable[[], list[str]]]:
    """Watch a namespace with `ip monitor OBJECT ...`; what is yielded returns the lines so far."""
    with said_by(["ip", "-n", namespace.name, "-ts", "-d", "monitor", *objects]) as lines:
        yield lines


@contextlib.contextmanager
def heard(namespace: Namespace, what: str) -> Iterator[Callable[[], list[str]]]:
    """Listen to eth0 with tcpdump; what is yielded returns the packets so far, a line each."""
    command = ["tcpdump", "-n", "-l", "-i", "eth0", "--immediate-mode", "-Q", "in", what]
    with said_by(namespace.inside(*command), ready="listening on") as lines:
        yield lambda: [line for line in lines() if " > " in line or " who-has " in line]


@contextlib.contextmanager
def said_by(command: list[str], ready: str = "") -> Iterator[Callable[[], list[str]]]:
    """Run a command for the length of a block; what is yielded returns its output so far."""
    with tempfile.TemporaryFile("w+") as output:
        watcher = subprocess.Popen(command, stdout=output, stderr=output, text=True)

        def lines() -> list[str]:
            output.seek(0)
            return [line.rstrip() for line in output if line.strip()]

        try:
            if ready:
                wait_until(lambda: any(ready in line for line in lines()), command[0], 10)
            yield lines
        finally:
            watcher.kill()
            watcher.wait()
