"""Keeps processes running: starts them, starts them again, and ends them with us.

A bridge that an earlier controller left behind is taken over as it is: it knows everything, and
starting another would only make zebra repeat itself. Other children end when we do, however we do.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from controller.settings import Settings
from dualpath.process.backoff import Backoff

log = logging.getLogger(__name__)

PID_FILE = "bridge.pid"  # in the state directory

_AGAIN_S = 0.5
_END_S = 3.0
_MOST_PAUSE_S = 8.0
_STEADY_S = 10.0  # a program that ran for so long restarts after _AGAIN_S
_PATIENCE_S = 5.0  # with a bridge that is not our child and says nothing


def written(options: Mapping[str, object]) -> list[str]:
    """Return options as words of a command line; one with an empty value is left out."""
    return [f"--{name}={value}" for name, value in options.items() if str(value)]


class Useless(Exception):
    """A child can never work here; it said itself why, so that there is no more to say."""


class BridgeSupervisor:
    """Runs frr-bridge in the control namespace as a child process."""

    def __init__(self, settings: Settings, netns: str, *, silent: Callable[[], bool]) -> None:
        self._settings = settings
        self._netns = netns
        self._silent = silent
        self._child: asyncio.subprocess.Process | None = None
        self._pid_file = settings.state_dir / PID_FILE
        self._noted = True
        self._backoff = _backoff()

    async def run(self) -> None:
        """Keep a bridge running until cancelled, and end it then."""
        try:
            while True:
                pause_s = _AGAIN_S
                if not await self._taken_over():
                    pause_s = await self._run_child()
                await asyncio.sleep(pause_s)
        finally:
            await self.end()

    def note_again(self) -> bool:
        """Write down our bridge's pid where somebody removed it; tell whether it was."""
        if not self._child or self._pid_file.exists():
            return False
        self._note(self._child.pid)
        return self._pid_file.exists()

    async def end(self) -> None:
        """End the bridge: with us, or because its namespace was made anew."""
        pid = self._child.pid if self._child else running(self._settings.state_dir)
        if not pid:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            for _ in range(int(_END_S / 0.05)):
                await asyncio.sleep(0.05)
                if not _alive(pid):
                    return
            os.kill(pid, signal.SIGKILL)

    async def _taken_over(self) -> bool:
        """Wait while a bridge that is not our child lives; False when there is none."""
        pid = running(self._settings.state_dir)
        if not pid or self._child:
            return False
        log.info("taking over frr-bridge, pid %d", pid)
        silent_s = 0.0  # at first we have not even asked it
        while _alive(pid) and silent_s < _PATIENCE_S:
            await asyncio.sleep(_AGAIN_S)
            silent_s = silent_s + _AGAIN_S if self._silent() else 0.0
        if _alive(pid):
            log.warning("frr-bridge, pid %d, does not answer; ending it", pid)
            await self.end()
        return True

    async def _run_child(self) -> float:
        """Start a bridge and outlive it; return the pause before the next."""
        began = time.monotonic()
        self._child = await self._start()
        self._note(self._child.pid)
        code = await self._child.wait()
        self._child = None
        self._note(0)
        pause_s = self._backoff.after(time.monotonic() - began)
        log.warning("frr-bridge ended with %d; starting it again in %.1f s", code, pause_s)
        return pause_s

    async def _start(self) -> asyncio.subprocess.Process:
        settings = self._settings
        options = {
            "netns": self._netns,
            "fpm": settings.fpm,
            "state-dir": settings.state_dir,
            "frr-name": settings.frr_name,
            "hold": settings.hold_s,
            "log-level": settings.log_level,
            "log-format": settings.log_format,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # what lies in the current directory is not ours
            "-m",
            "frr_bridge",
            *written(options),
            start_new_session=True,  # a terminal's ^C is for us to pass on
        )

    def _note(self, pid: int) -> None:
        """Tell a controller after us of the bridge, 0 is none; a full directory costs only that."""
        try:
            if pid:
                self._pid_file.write_text(f"{pid}\n")
            else:
                self._pid_file.unlink(missing_ok=True)
        except OSError as error:
            if self._noted:
                log.warning(
                    "%s: %s; make it writable: what is restarted here needs it",
                    self._pid_file,
                    error.strerror,
                )
            self._noted = False
        else:
            self._noted = True


class Child:
    """Keeps a program running that ends when its standard input does.

    `ready` returns when there is what the program needs at its start.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        ready: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._name = name
        self._command = command
        self._ready = ready

    async def run(self) -> None:
        """Go on until cancelled, and end it then.

        Raises Useless when it ends with EX_CONFIG.
        """
        backoff = _backoff()
        while True:
            if self._ready:
                await self._ready()
            began = time.monotonic()
            code = await self._life()
            if code == os.EX_CONFIG:
                raise Useless(self._name)
            pause_s = backoff.after(time.monotonic() - began)
            log.warning("%s ended with %d; starting it again in %.1f s", self._name, code, pause_s)
            await asyncio.sleep(pause_s)

    async def _life(self) -> int:
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,  # a terminal's ^C is for us to pass on
        )
        try:
            return await child.wait()
        finally:
            if child.returncode is None:
                await _end(child)


def _backoff() -> Backoff:
    return Backoff(_AGAIN_S, _MOST_PAUSE_S, steady_s=_STEADY_S)


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
        try:
            async with asyncio.timeout(_END_S):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


def running(state_dir: Path) -> int:
    """Return the pid of a bridge that still runs, or 0."""
    try:
        pid = int((state_dir / PID_FILE).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return 0
    return pid if b"frr_bridge" in command else 0


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
