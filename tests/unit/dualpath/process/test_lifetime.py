"""A failure anywhere in a daemon ends it, with one traceback; a signal ends it without an error."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dualpath.process.lifetime import Broken, end_with, live, raise_descriptors
from frr_bridge import __main__ as bridge
from tests.fakes.descriptors import no_descriptors
from tests.fakes.waiting import until

TASKS = set[asyncio.Task[None]]()


def fail() -> None:
    raise ZeroDivisionError


async def fail_soon() -> None:
    fail()


def from_a_callback() -> None:
    asyncio.get_running_loop().call_soon(fail)


def from_a_reader() -> None:
    near, far = PAIRS[0]
    asyncio.get_running_loop().add_reader(near.fileno(), fail)
    far.send(b"x")


def from_a_task_that_nobody_keeps() -> None:
    asyncio.get_running_loop().create_task(fail_soon())


def from_a_task_that_somebody_keeps() -> None:
    task = asyncio.get_running_loop().create_task(fail_soon())
    TASKS.add(task)
    task.add_done_callback(end_with)


def from_a_thread() -> None:
    asyncio.get_running_loop().run_in_executor(None, fail)


PAIRS: list[tuple[socket.socket, socket.socket]] = []
SOURCES = (
    from_a_callback,
    from_a_reader,
    from_a_task_that_nobody_keeps,
    from_a_task_that_somebody_keeps,
    from_a_thread,
)


@pytest.fixture(autouse=True)
def _pair() -> Iterator[None]:
    PAIRS[:] = [socket.socketpair()]
    yield
    for end in PAIRS[0]:
        end.close()
    TASKS.clear()


@pytest.mark.parametrize("source", SOURCES)
def test_failure_in_another_task_ends_the_work(
    source: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    cleaned = []

    async def work() -> None:
        source()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(Broken):
        asyncio.run(live(work()))
    assert cleaned
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        ZeroDivisionError
    ]


def test_first_of_several_failures_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        for _ in range(3):
            from_a_callback()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("and its cleaning up fails too")

    with pytest.raises(Broken):
        asyncio.run(live(work()))
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_exception_of_the_work_is_raised_outside_its_groups() -> None:
    async def work() -> None:
        async with asyncio.TaskGroup() as outer:
            outer.create_task(inner())

    async def inner() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail_soon())

    with pytest.raises(ZeroDivisionError):
        asyncio.run(live(work()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_work_without_an_error(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    caplog.set_level(logging.INFO)
    asyncio.run(live(work()))
    assert caplog.messages == ["stopped"]


def test_error_caused_by_a_grpc_client_does_not_end_the_work() -> None:
    class Reset(Exception):
        __module__ = "grpc._cython.cygrpc"

    def reset() -> None:
        raise Reset

    async def work() -> None:
        asyncio.get_running_loop().call_soon(reset)
        for _ in range(3):  # the callback, then the cancellation that it must not cause
            await asyncio.sleep(0)

    asyncio.run(live(work()))


class FailingRuntime:
    """Stands in for frr_bridge's runtime; it fails at once."""

    def __init__(self, *_: object) -> None: ...

    async def run(self) -> None:
        from_a_callback()
        await asyncio.Event().wait()


def test_frr_bridge_ends_with_1_and_one_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bridge, "Runtime", FailingRuntime)
    monkeypatch.setattr(sys, "argv", ["frr-bridge", "--state-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        bridge.main()
    assert ended.value.code == 1
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_daemon_keeps_serving_when_descriptors_run_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connected: list[asyncio.StreamWriter] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        while data := await reader.read(64):
            writer.write(data)

    async def work() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            await until(lambda: len(connected) == 1)
            with socket.socket() as waiting:
                waiting.setblocking(False)
                with no_descriptors():
                    with suppress(BlockingIOError):
                        waiting.connect(address)
                    await until(lambda: "cannot accept" in caplog.text)
                    writer.write(b"still here")
                    assert await reader.read(64) == b"still here"
                await until(lambda: len(connected) == 2)
            for one in (writer, *connected):
                one.close()
                with suppress(ConnectionError):
                    await one.wait_closed()

    await live(work())


def test_soft_limit_of_descriptors_is_raised_to_the_hard_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        raise_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
