"""Processes by pidfd: who listens on a socket, and when a process has ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dualpath.process import pidfd
from dualpath.process.pidfd import Process, listener, listening_pid

WAITS = "import signal; signal.pause()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", WAITS]) as process:
        yield process
        process.kill()


async def test_every_waiter_sees_the_end_of_a_child(child: subprocess.Popen[bytes]) -> None:
    process = Process(child.pid)
    assert not process.ended
    waiting = [asyncio.create_task(process.wait()) for _ in range(2)]
    process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
    assert process.ended
    assert child.wait() == -signal.SIGKILL


def test_a_process_that_has_ended_gets_no_signal(child: subprocess.Popen[bytes]) -> None:
    process = Process(child.pid)
    child.kill()
    child.wait()
    process.send_signal(signal.SIGTERM)
    assert process.ended


def test_unused_pid_raises(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    with pytest.raises(ProcessLookupError):
        Process(child.pid)


def test_a_socket_names_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert listener(path) is None  # bound, but not listening
        server.listen()
        found = listener(path)
        assert found is not None
        assert found.pid == listening_pid(path) == os.getpid()
    assert listener(path) is None  # the file is still there
    with pytest.raises(OSError, match="refused"):
        listening_pid(path)


def test_listener_replaced_meanwhile_is_not_returned(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have its pid by the time the pidfd is opened."""
    pids = iter([child.pid, child.pid + 1])
    monkeypatch.setattr(pidfd, "listening_pid", lambda _path: next(pids))
    assert listener(Path("/any")) is None


def test_listener_in_a_hidden_pid_namespace_is_not_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pidfd, "listening_pid", lambda _path: 0)
    assert listener(Path("/any")) is None


def test_descriptor_is_closed_with_its_object(child: subprocess.Popen[bytes]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    process = Process(child.pid)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del process
    assert len(os.listdir("/proc/self/fd")) == before
