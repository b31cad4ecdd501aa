"""A machine for containers: a mount namespace with a /run of its own, a network namespace, podman.

A network namespace made in a container is then seen by the next one as on a node, and by nothing of
the real machine.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = """
set -e
umount /sys/fs/cgroup/unified 2>/dev/null || true  # crun refuses cgroups of both versions
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/dualpath /run/lock /run/config
mount --make-rshared /run
ip link set lo up
echo ready
exec sleep infinity
"""
PATIENCE_S = 120.0
MOST = 8192  # descriptors, and processes: more than enough here


class Machine:
    """Runs commands in the namespaces of a process."""

    def __init__(self, pid: int, prefix: str) -> None:
        self._enter = ["nsenter", f"--target={pid}", "--mount", "--net", "--wd=/", "--"]
        self._prefix = prefix

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._enter, *command],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done

    def inside(self, *command: str) -> list[str]:
        """Return the command line that runs `command` there."""
        return [*self._enter, *command]

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*self._enter, *command], stdout=subprocess.PIPE, text=True)

    def container(self, name: str, *arguments: str, detached: bool = True) -> str:
        """Run `podman run` with arguments; return what it prints."""
        how = ["--detach"] if detached else ["--rm"]
        return self.run(
            "podman", "run", *how, f"--name={self.name(name)}", *LIMITS, *arguments
        ).stdout

    def exec(
        self, name: str, *command: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return self.run("podman", "exec", self.name(name), *command, check=check)

    def podman(self, verb: str, name: str) -> str:
        return self.run("podman", verb, self.name(name)).stdout

    def logs(self, name: str) -> str:
        """Return what a container printed to stdout and stderr."""
        done = self.run("podman", "logs", self.name(name))
        return done.stdout + done.stderr

    def containers(self) -> list[str]:
        """Return the names of all containers, as `container` got them."""
        found = self._named(f"^{re.escape(self._prefix)}-")
        return [name.removeprefix(f"{self._prefix}-") for name in found]

    def remove_containers(self) -> None:
        self._remove([self.name(name) for name in self.containers()])

    def remove_leftovers(self, name: str) -> None:
        """Remove the containers of machines called `name` whose process is gone."""
        found = self._named(f"^{re.escape(name)}-[0-9]+-")
        owners = {each: each.removeprefix(f"{name}-").partition("-")[0] for each in found}
        self._remove([each for each, pid in owners.items() if not Path(f"/proc/{pid}").exists()])

    def _named(self, pattern: str) -> list[str]:
        listed = self.run("podman", "ps", "-a", "--format={{.Names}}", f"--filter=name={pattern}")
        return listed.stdout.split()

    def _remove(self, names: list[str]) -> None:
        if names:
            self.run("podman", "rm", "--force", "--time=0", *names)

    def name(self, name: str) -> str:
        return f"{self._prefix}-{name}"


def _limits() -> list[str]:
    """Limits within this process's: podman would raise them, which not every root may."""
    names = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    hard = {name: resource.getrlimit(which)[1] for name, which in names.items()}
    most = {name: min(limit, MOST) for name, limit in hard.items() if limit > 0}
    return [f"--ulimit={name}={limit}:{limit}" for name, limit in most.items()]


LIMITS = _limits()


@contextmanager
def machine(name: str) -> Iterator[Machine]:
    """Make a machine for the length of a block, and remove its containers when that is left.

    SIGTERM leaves it as SIGINT does. The next run removes what a run left that was killed.
    """
    prefix = f"{name}-{os.getpid()}"
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _namespaces(prefix) as found:
            found.remove_leftovers(name)
            try:
                yield found
            finally:
                found.remove_containers()
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _namespaces(prefix: str) -> Iterator[Machine]:
    command = ["setpriv", "--pdeathsig=KILL", "--", "unshare", "--mount", "--net"]
    with subprocess.Popen(
        [*command, "--propagation=private", "sh", "-c", HERE], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "ready\n"
            yield Machine(holder.pid, prefix)
        finally:
            holder.kill()
