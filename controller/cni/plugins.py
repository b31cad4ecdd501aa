"""Finds and runs CNI plugins: one program, one configuration, one answer. Blocks.

Plugins run as root in the host's network namespace. So a plugin runs only if root alone can have
written it: the file, its directory, and all directories above belong to root, and others may not
write to them. Its environment is that of the specification, and PATH.

A run is killed with its child processes if it exceeds its time limit or its output limit.
`Plugins.stop` also kills runs, so a stopping controller does not wait.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Protocol

from controller.cni import protocol
from controller.cni.protocol import Json, Place, PluginError
from datapaths.linux import netns

ADD_LIMIT_S, TIME_LIMIT_S = 60.0, 15.0
"""For one plugin. ADD of the plugin dhcp gives up after some 40 s without a server."""
MOST_BYTES = 1 << 20
_LOOK_S = 0.1
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Operator(Protocol):
    """Runs one plugin of a list."""

    def run(self, plugin: str, command: str, conf: Json, place: Place) -> bytes:
        """Return the plugin's output. Raises PluginError."""


class Plugins:
    """The plugins of some directories, run in a network namespace."""

    def __init__(
        self, directories: Sequence[Path], host: str = "", *, time_limit_s: float = 0.0
    ) -> None:
        self.directories = tuple(directories)
        self._host = host
        self._time_limit_s = time_limit_s
        self._stopping = threading.Event()
        self._versions: dict[tuple[str, int], list[str]] = {}

    @property
    def path(self) -> str:
        return ":".join(str(directory) for directory in self.directories)

    def stop(self) -> None:
        """Kill running plugins and start no more."""
        self._stopping.set()

    def find(self, plugin: str, command: str) -> Path:
        """Return a plugin's file. Raises PluginError if it is absent, or not root's alone."""
        for directory in self.directories:
            file = directory / plugin
            if "/" in plugin or not file.exists():
                continue
            if why := _unsafe(file):
                advice = "give it to root, and close it to others (`chmod go-w`)"
                raise PluginError(plugin, command, why, advice=advice)
            return file
        where = " and ".join(map(str, self.directories)) or "no directory"
        advice = "install it there (Debian: containernetworking-plugins), or give --cni-bin"
        raise PluginError(plugin, command, f"no such program in {where}", advice=advice)

    def check_version(self, plugin: str, wanted: str) -> None:
        """Raise PluginError unless a plugin supports a version of the specification."""
        file = self.find(plugin, protocol.VERSION)
        key = str(file), file.stat().st_mtime_ns
        if key not in self._versions:
            output = self.run(plugin, protocol.VERSION, {"cniVersion": wanted}, _NOWHERE)
            self._versions[key] = protocol.versions_of(output)
        if wanted not in (found := self._versions[key]):
            why = f"it does not support CNI {wanted}, only {', '.join(found) or 'unknown versions'}"
            raise PluginError(plugin, protocol.VERSION, why, code=protocol.INCOMPATIBLE)

    def run(self, plugin: str, command: str, conf: Json, place: Place) -> bytes:
        """Run a plugin; return its output. Raises PluginError."""
        file = self.find(plugin, command)
        if self._stopping.is_set():
            raise PluginError(plugin, command, "not run, because the controller stops")
        environment = {"PATH": _SEARCH, **place.environment(command, self.path)}
        try:
            process = self._start(file, environment, conf)
        except OSError as error:
            raise PluginError(plugin, command, f"it cannot be run: {error.strerror}") from error
        limit_s = ADD_LIMIT_S if command == protocol.ADD else TIME_LIMIT_S
        output, errors, why = self._read(process, self._time_limit_s or limit_s)
        status = process.returncode
        if why:
            raise PluginError(plugin, command, why)
        if status:
            raise protocol.error_of(plugin, command, output, errors, status)
        return output

    def _start(
        self, file: Path, environment: Mapping[str, str], conf: Json
    ) -> subprocess.Popen[bytes]:
        # A memory file: a plugin that does not read cannot block us, as it could with a pipe.
        with open(os.memfd_create("cni", os.MFD_CLOEXEC), "w+b") as given:
            given.write(protocol.encode(conf))
            given.seek(0)
            with netns.entered(self._host) if self._host else nullcontext():
                return subprocess.Popen(
                    [file],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=dict(environment),
                    cwd="/",
                    start_new_session=True,  # to kill what it started, too
                )

    def _read(self, process: subprocess.Popen[bytes], limit_s: float) -> tuple[bytes, bytes, str]:
        """Read until the plugin ends; return its output, its errors, and why it was killed."""
        assert process.stdout is not None
        assert process.stderr is not None
        deadline = time.monotonic() + limit_s
        found = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        why = ""
        with process, selectors.DefaultSelector() as selector:
            for descriptor in found:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map() and not why:
                for key, _ in selector.select(_LOOK_S):
                    read = os.read(key.fd, 65536)
                    found[key.fd] += read
                    if not read:
                        selector.unregister(key.fd)
                why = self._reason(deadline, found.values())
                if process.poll() is not None and not selector.select(0):
                    break  # a child process keeps its output open
            why = why or self._ended(process, deadline)
            if why:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output, errors = found.values()
        return bytes(output), bytes(errors), why

    def _ended(self, process: subprocess.Popen[bytes], deadline: float) -> str:
        """Wait for the end of a plugin that closed its output; return why it must be killed."""
        why = ""
        while process.poll() is None and not why:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
            why = self._reason(deadline, ())
        return why

    def _reason(self, deadline: float, outputs: Iterable[bytearray]) -> str:
        if self._stopping.is_set():
            return "interrupted, because the controller stops"
        if time.monotonic() > deadline:
            return "it did not end in time, and was killed"
        if any(len(output) > MOST_BYTES for output in outputs):
            return f"it wrote more than {MOST_BYTES} bytes"
        return ""


_NOWHERE = Place("", "", "")


def _unsafe(file: Path) -> str:
    """Return why a file may not be run as root; "" if it may."""
    real = Path(os.path.realpath(file))
    try:
        found = real.stat()
        if not stat.S_ISREG(found.st_mode) or not os.access(real, os.X_OK):
            return f"{file} is no program"
        for path in (real, file.absolute()):
            for depth, one in enumerate(path.parents):
                if why := _writable(one, sticky_is_fine=depth > 0):
                    return why
        return _writable(real)
    except OSError as error:
        return f"{file}: {os.strerror(error.errno or errno.EIO)}"


def _writable(one: Path, *, sticky_is_fine: bool = False) -> str:
    """Return why users other than root could replace a file or a directory's contents."""
    found = one.stat()
    if found.st_uid not in (0, os.geteuid()):
        return f"{one} does not belong to root"
    others = stat.S_IWOTH | (stat.S_IWGRP if found.st_gid else 0)
    if found.st_mode & others and not (sticky_is_fine and found.st_mode & stat.S_ISVTX):
        return f"users other than root may write to {one}"
    return ""
