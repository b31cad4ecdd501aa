"""`dualpath ui` as a process, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from controller.settings import parse
from controller.start import page
from tests.fakes.waiting import until
from tests.unit.controller.cli.conftest import Daemon, daemon, run

__all__ = ["daemon"]

PATIENCE_S = 30.0


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def ui(of: Daemon, listen: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield the process, and the address that it prints."""
    # A shell starts what it runs in the background, such as these tests, with SIGINT ignored.
    words = ["env", "--default-signal=INT", sys.executable, "-m", "controller.cli"]
    words += ["--connect", of.listen, "ui"]
    process = subprocess.Popen(
        [*words, "--listen", listen], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout
    with process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_though_a_page_is_open(daemon: Daemon, number: int) -> None:
    listen = f"127.0.0.1:{free_port()}"
    with ui(daemon, listen) as (process, address), httpx.Client(base_url=address) as client:
        assert address.startswith(f"http://{listen}/?key=")
        assert client.get(address).status_code == 200
        with client.stream("GET", f"http://{listen}/api/stream") as stream:
            lines = stream.iter_lines()
            assert "event: status" in lines
            process.send_signal(number)
            assert "event: never" not in lines  # the stream ends
        expected = -number if number == signal.SIGTERM else 130
        assert process.wait(PATIENCE_S) == expected


def test_it_serves_over_ipv6(daemon: Daemon) -> None:
    listen = f"[::1]:{free_port('::1')}"
    with ui(daemon, listen) as (_, address):
        assert address.startswith(f"http://{listen}/?key=")
        assert httpx.get(address).status_code == 200


async def test_the_address_goes_to_a_private_file_and_the_end_of_input_ends_it(
    daemon: Daemon, tmp_path: Path
) -> None:
    file = tmp_path / "ui.address"
    file.write_text("of an earlier run")
    words = ["ui", "--listen", f"127.0.0.1:{free_port()}", "--address-file", str(file)]
    command = [sys.executable, "-m", "controller.cli", "--connect", daemon.listen, *words]
    process = await asyncio.create_subprocess_exec(
        *command, "--until-eof", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    await until(lambda: "key=" in file.read_text(), PATIENCE_S)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with httpx.AsyncClient() as client:
        assert (await client.get(file.read_text().strip())).status_code == 200
    output, _ = await process.communicate(b"")  # and closes its standard input
    assert output == b""


async def test_the_controller_serves_the_page_as_long_as_it_runs(
    daemon: Daemon, tmp_path: Path
) -> None:
    listen, file = f"127.0.0.1:{free_port()}", tmp_path / "ui.address"
    words = f"--datapath=kernel --listen={daemon.listen} --ui={listen} --state-dir={tmp_path}"
    serving = asyncio.create_task(page.keep(parse(words.split())))
    async with httpx.AsyncClient() as client:
        await until(file.exists, PATIENCE_S)
        assert (await client.get(file.read_text().strip())).status_code == 200
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert not file.exists()
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{listen}/")


def test_a_file_that_cannot_be_written_is_said(daemon: Daemon) -> None:
    listen = f"127.0.0.1:{free_port()}"
    result = daemon.run("ui", "--listen", listen, "--address-file", "/nowhere/ui.address")
    assert (result.code, result.err.count("No such file or directory")) == (1, 1)


def test_a_port_in_use_is_said(daemon: Daemon) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = daemon.run("ui", "--listen", f"127.0.0.1:{port}")
    assert result.code == 1
    assert "Address already in use; choose another by --listen" in result.err


def test_an_absent_daemon_is_said_at_once() -> None:
    result = run("--connect", "unix:/nobody", "ui")
    assert (result.code, "no daemon listens on /nobody" in result.err) == (1, True)


def test_it_listens_on_this_host_only() -> None:
    result = run("ui", "--listen", "192.0.2.1:80")
    assert (result.code, "ssh -L" in result.err) == (2, True)


def test_without_its_packages_it_says_how_to_get_them(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("controller.ui", "uvicorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = daemon.run("ui")
    assert (result.code, result.out) == (1, "")
    assert "pip install 'dualpath[ui]'" in result.err
