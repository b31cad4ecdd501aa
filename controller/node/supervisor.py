"""Keep the controller's child programs running, and stop them with the controller.

frr-bridge is different: it outlives a controller that was killed, and the next controller takes it
over, because a new frr-bridge would need a replay of all routes. The controller finds it by the bus
socket that it listens on (`dualpath.process.pidfd`). A bridge that does not listen yet is not
found. Then the second bridge exits, because the first has `bus.lock`, and the controller looks
again.
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
from typing import NoReturn

from controller.settings import Settings
from dualpath.process import options
from dualpath.process.backoff import Backoff
from dualpath.process.pidfd import Process, listener

log = logging.getLogger(__name__)

_RESTART_S = 0.5
_END_S = 3.0
_STEADY_S = 10.0  # after a run of this length, the next start does not wait longer
_MOST_PAUSE_S = 8.0
_PATIENCE_S = 5.0  # with a bridge that was taken over and does not answer


def as_options(values: Mapping[str, object]) -> list[str]:
    """Return values as command-line options; an empty value is left out."""
    return [f"--{name}={value}" for name, value in values.items() if str(value)]


def bridge_of(state_dir: Path) -> Process | None:
    """Return the frr-bridge that listens in a state directory: ours, or an earlier controller's."""
    return listener(state_dir / options.BUS)


async def end_bridge_of(state_dir: Path) -> None:
    """Stop the frr-bridge that listens in a state directory, and return once it has ended.

    Until then it may still write there: the configuration it last applied, for example.
    """
    if bridge := bridge_of(state_dir):
        await _end_adopted(bridge)


class Useless(Exception):
    """The program can never run here, and has logged the reason. Do not restart it."""


class BridgeSupervisor:
    """Runs frr-bridge in the control namespace as a child process."""

    def __init__(self, settings: Settings, netns: str, *, silent: Callable[[], bool]) -> None:
        self._settings = settings
        self._netns = netns
        self._silent = silent
        self._child: asyncio.subprocess.Process | None = None
        self._adopted: Process | None = None
        self._backoff = _backoff()

    async def run(self) -> None:
        """Keep a bridge running until cancelled, and end it then."""
        try:
            while True:
                pause_s = _RESTART_S
                if adopted := bridge_of(self._settings.state_dir):
                    await self._watch(adopted)
                else:
                    pause_s = await self._run_child()
                await asyncio.sleep(pause_s)
        finally:
            await self.end()

    async def end(self) -> None:
        """Stop the bridge, because the controller ends or the bridge's namespace was replaced."""
        if self._child:
            await _end(self._child)
        elif self._adopted:
            await _end_adopted(self._adopted)
        else:
            await end_bridge_of(self._settings.state_dir)

    async def _watch(self, bridge: Process) -> None:
        """Return when an earlier controller's bridge has ended; stop one that does not answer."""
        self._adopted = bridge
        log.info("taking over frr-bridge, pid %d", bridge.pid)
        silent_s = 0.0  # not subscribed yet
        while silent_s < _PATIENCE_S:
            if await _ends_within(bridge, _RESTART_S):
                break
            silent_s = silent_s + _RESTART_S if self._silent() else 0.0
        else:
            log.warning("frr-bridge, pid %d, does not answer; ending it", bridge.pid)
            await _end_adopted(bridge)
        self._adopted = None

    async def _run_child(self) -> float:
        """Start a bridge and wait for its end; return the pause before the next start."""
        began = time.monotonic()
        self._child = await self._start()
        code = await self._child.wait()
        self._child = None
        pause_s = self._backoff.after(time.monotonic() - began)
        log.warning("frr-bridge ended with %d; restarting it in %.1f s", code, pause_s)
        return pause_s

    async def _start(self) -> asyncio.subprocess.Process:
        settings = self._settings
        values = {
            "netns": self._netns,
            "fpm": settings.fpm,
            "state-dir": settings.state_dir,
            "frr-name": settings.frr_name,
            "hold": settings.hold_s,
            "record": settings.record or "",
            "log-level": settings.log_level,
            "log-format": settings.log_format,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # do not import modules from the current directory
            "-m",
            "frr_bridge",
            *as_options(values),
            start_new_session=True,  # a terminal sends ^C to this process only; we end the child
        )


class Child:
    """Keeps a program running that ends when its standard input does.

    `ready` returns when what the program needs at its start is available.
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

    async def run(self) -> NoReturn:
        """Keep it running until cancelled, and end it then.

        Raises Useless when it ends with EX_CONFIG.
        """
        backoff = _backoff()
        while True:
            if self._ready:
                await self._ready()
            began = time.monotonic()
            code = await self._run_once()
            if code == os.EX_CONFIG:
                raise Useless(self._name)
            pause_s = backoff.after(time.monotonic() - began)
            log.warning("%s ended with %d; restarting it in %.1f s", self._name, code, pause_s)
            await asyncio.sleep(pause_s)

    async def end(self) -> None:
        """Do nothing: the program ended with `run`."""

    async def _run_once(self) -> int:
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,  # a terminal sends ^C to this process only; we end the child
        )
        try:
            return await child.wait()
        finally:
            if child.returncode is None:
                await _end(child)


def _backoff() -> Backoff:
    return Backoff(_RESTART_S, _MOST_PAUSE_S, steady_s=_STEADY_S)


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
        try:
            async with asyncio.timeout(_END_S):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


async def _end_adopted(bridge: Process) -> None:
    bridge.send_signal(signal.SIGTERM)
    if not await _ends_within(bridge, _END_S):
        bridge.send_signal(signal.SIGKILL)
        await _ends_within(bridge, _END_S)


async def _ends_within(process: Process, time_limit_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(time_limit_s):
            await process.wait()
    return process.ended
