"""`dualpath ui` as a process, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

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
    words = [sys.executable, "-m", "controller.cli", "--connect", of.listen, "ui"]
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
