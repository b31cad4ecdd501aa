"""The command against a daemon that runs in another thread: gRPC's client blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from controller.cli.__main__ import main
from controller.inspect.server import serve
from dualpath.rpc.server import RpcServer
from tests.fakes.view import MemoryView, fabric


@dataclass
class Result:
    code: int
    out: str
    err: str


@dataclass
class Daemon:
    view: MemoryView
    listen: str
    loop: asyncio.AbstractEventLoop

    def run(self, *arguments: str) -> Result:
        return run("--connect", self.listen, *arguments)

    def soon(self, action: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(action)


def run(*arguments: str) -> Result:
    """Run `dualpath` in this process."""
    out, err, code = StringIO(), StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


@contextmanager
def serving(start: Callable[[], Awaitable[RpcServer]]) -> Iterator[asyncio.AbstractEventLoop]:
    """Serve in another thread during a block; yield its event loop."""
    started, done = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = await start()
        started.set()
        await done.wait()
        await server.stop()

    def body() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=body)
    thread.start()
    assert started.wait(10)
    yield loop
    loop.call_soon_threadsafe(done.set)
    thread.join()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    view, listen = fabric(), f"unix:{tmp_path}/inspect.sock"
    with serving(lambda: serve(view, view.datapath, listen=listen)) as loop:
        yield Daemon(view, listen, loop)
