"""How grout is started, and how a failed start is reported."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from datapaths.base import Unavailable, Unsupported
from datapaths.grout import process as process_module
from datapaths.grout.process import (
    Grout,
    GroutProcess,
    Life,
    command_line,
    died,
    free_hugepages,
    locate,
    peer_of,
)
from tests.fakes.waiting import until


def grout(path: Path, **changes: object) -> Grout:
    settings = {"sock": path / "g.sock", "netns": "", "state_dir": path, **changes}
    return Grout(**settings)  # type: ignore[arg-type]  # tests say which


def test_grout_listens_on_its_sockets_only(tmp_path: Path) -> None:
    line = command_line(grout(tmp_path, netns="fwd", cpus="2,3"), hugepages=False)
    assert line == [
        "nsenter",
        "--net=/run/netns/fwd",
        "taskset",
        "--cpu-list",
        "2,3",
        "grout",
        f"--socket={tmp_path}/g.sock",
        f"--metrics=unix:{tmp_path}/grout-metrics.sock",
        "--max-mtu=1800",
        "--test-mode",
    ]
    assert "--test-mode" not in command_line(grout(tmp_path), hugepages=True)


def test_free_hugepages_are_read(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\nHugePages_Total: 9\nHugePages_Free:     7\n")
    assert free_hugepages(tmp_path / "meminfo") == 7


async def test_missing_program_is_an_error_at_once(tmp_path: Path) -> None:
    process = GroutProcess(grout(tmp_path, command=("no-such-grout",)))
    with pytest.raises(Unsupported, match="install grout"):
        await process.run()


async def test_slow_start_of_grout_is_awaited_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if os.geteuid() != 0:
        pytest.skip("nsenter needs root")
    monkeypatch.setattr(process_module, "START_S", 0.01)
    slow = grout(tmp_path, netns="/proc/self/ns/net", command=("sh", "-c", "sleep 0.5", "sh"))
    process = GroutProcess(slow)
    task = asyncio.ensure_future(process.run())
    await until(lambda: "does not answer yet" in caplog.text)
    await until(lambda: "grout does not start" in caplog.text)
    assert process.starts == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_unwritable_log_is_reported_and_retried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "grout.log").mkdir()
    task = asyncio.ensure_future(GroutProcess(grout(tmp_path, command=("sh",))).run())
    message = f"grout cannot be started: {tmp_path}/grout.log: Is a directory; retrying"
    await until(lambda: message in caplog.text)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_locate_returns_the_namespace_of_the_listener(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        assert peer_of(tmp_path / "s") == os.getpid()
        assert locate(tmp_path / "s") == f"/proc/{os.getpid()}/ns/net"
    with pytest.raises(Unavailable, match="cannot connect to grout"):
        locate(tmp_path / "s")


def test_dead_grout_is_detected_and_reaped() -> None:
    pid = os.posix_spawnp("sleep", ["sleep", "0.05"], os.environ)
    asyncio.run(died(pid))
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    asyncio.run(died(pid))


async def test_failed_start_quotes_grouts_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = 'echo "ERR: EAL: failed to parse device \\"fslmc:dpni.65535\\""; exit 1'
    process = GroutProcess(
        grout(tmp_path, netns="/proc/self/ns/net", command=("sh", "-c", script, "sh"))
    )
    line = command_line(grout(tmp_path, netns="/proc/self/ns/net"), hugepages=True)
    if os.geteuid() != 0:
        pytest.skip(f"{line[0]} needs root")
    task = asyncio.ensure_future(process.run())
    await until(lambda: "librte-meta-allpmds" in caplog.text, 10)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert process.starts == 1


LISTENER = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.bind(sys.argv[1])
one.listen()
print(flush=True)
input()
"""


def test_life_is_over_when_grout_begins_to_end_and_goes_on_with_the_next(tmp_path: Path) -> None:
    sock = tmp_path / "g.sock"
    life = Life(sock)
    assert not life.runs()
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", LISTENER, str(sock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as listener:
            assert listener.stdout
            listener.stdout.readline()
            assert life.runs()
            sock.unlink()
            assert life.runs()
            assert life.home() == f"/proc/{listener.pid}/ns/net"
            listener.kill()
            os.waitid(os.P_PID, listener.pid, os.WEXITED | os.WNOWAIT)
            assert not life.runs()


def test_life_of_a_hidden_grout_is_not_known_to_be_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "listening_pid", lambda _: 0)
    assert Life(tmp_path / "g.sock").runs()


async def test_deleted_socket_is_reported_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process_module, "SOCKET_S", 0)
    sock = tmp_path / "g.sock"
    sock.touch()
    looking = asyncio.ensure_future(GroutProcess(grout(tmp_path))._miss_socket(71))
    for _ in range(9):
        await asyncio.sleep(0)
    assert not looking.done()
    sock.unlink()
    await looking
    assert "grout, pid 71, has lost its socket" in caplog.text
    assert "kill it when packets may be lost" in caplog.text
