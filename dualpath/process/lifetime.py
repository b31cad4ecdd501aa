"""The lifetime of a daemon: it runs until a signal stops it, or until anything in it fails.

asyncio logs an exception of a callback or a background task, and continues. A daemon that runs on
with half of its tasks is worse than a restarted one, because routes outlive the process. So here
such an exception ends the daemon.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from dualpath.process import logs
from dualpath.process.garbage import Garbage
from dualpath.process.notify import Notifier

log = logging.getLogger(__name__)


SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of accept(2) that pass. Existing connections are still served."""
_SUMMARIES_S = 1.0


class Broken(Exception):
    """A callback or a background task failed; its traceback is in the log."""


async def live(work: Coroutine[Any, Any, None], notifier: Notifier | None = None) -> None:
    """Run `work` until it ends, or until SIGTERM or SIGINT. Notify systemd's watchdog meanwhile.

    Raises the exception of `work` (of a group, the first), or Broken if a callback or another task
    failed.
    """
    notifier = notifier or Notifier({})
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    broken = False

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal broken
        error = context.get("exception")
        if _is_accept(context):
            cannot_accept(error)
        elif error is None or _is_of_grpc(error):
            loop.default_exception_handler(context)
        elif not broken:
            broken = True
            log.critical("%s; exiting", context["message"], exc_info=error)
            task.cancel()

    loop.set_exception_handler(fail)
    for stop in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stop, task.cancel)
    regular = loop.create_task(_do_regularly(notifier))
    try:
        await task
    except (asyncio.CancelledError, Exception) as error:
        if broken:
            raise Broken from None
        if not isinstance(error, asyncio.CancelledError):
            raise _first(error) from None
        log.info("stopped")
    finally:
        regular.cancel()
        notifier.stopping()


async def _do_regularly(notifier: Notifier) -> NoReturn:
    """Notify the watchdog twice per period; log how many lines were suppressed; free memory."""
    pause_s = min(_SUMMARIES_S, notifier.watchdog_s / 2 or _SUMMARIES_S)
    garbage = Garbage()
    while True:
        notifier.alive()
        await asyncio.sleep(pause_s)
        garbage.look()
        logs.summarize()


def at_eof(call: Callable[[], object]) -> None:
    """Call a function when standard input ends, which a supervisor holds open."""
    loop, fd = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        if not os.read(fd, 4096):
            loop.remove_reader(fd)
            call()

    loop.add_reader(fd, read)


def cannot_accept(error: BaseException | None) -> None:
    """Log that a listener failed to accept a connection."""
    log.warning("cannot accept a connection (%s); retrying every second", error)


def raise_descriptors() -> None:
    """Raise this process's limit of descriptors to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_accept(context: dict[str, Any]) -> bool:
    """Return whether accept(2) failed; asyncio then stops listening for a second."""
    error = context.get("exception")
    return "socket" in context and isinstance(error, OSError) and error.errno in SHORTAGES


def _is_of_grpc(error: BaseException) -> bool:
    """Return whether gRPC raised it in its own task: a client can cause that."""
    return isinstance(error, BlockingIOError) or type(error).__module__.startswith("grpc")


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def end_with(task: asyncio.Task[Any]) -> None:
    """End the daemon if `task` failed. Pass it to `add_done_callback`."""
    if not task.cancelled():
        task.result()
