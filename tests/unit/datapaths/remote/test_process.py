"""A datapath server as a process: it serves, it ends, and a failed start is one sentence."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import pytest

from datapaths.base import Datapath, Unavailable
from datapaths.grout import agent
from datapaths.memory import MemoryDatapath
from datapaths.remote import serve
from datapaths.remote.driver import RemoteDatapath
from datapaths.remote.process import parser_for, run
from dualpath.model.kinds import Kind
from dualpath.process.lifetime import end_with
from tests.fakes.waiting import until_answered

COMMAND = (sys.executable, "-m", "datapaths.remote.serve", "--datapath", "memory")


async def answering(listen: str) -> RemoteDatapath:
    client = RemoteDatapath(listen)
    await until_answered(client.capabilities, Unavailable, patience_s=20)
    return client


async def test_server_runs_until_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "run" / "d.sock"
    process = await asyncio.create_subprocess_exec(
        *COMMAND, f"--listen=unix:{path}", stderr=subprocess.PIPE
    )
    client = await answering(f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [batch async for batch in client.dump(Kind.ROUTE)] == []
    await client.close()
    process.terminate()
    _, output = await process.communicate()
    assert process.returncode == 0
    assert b"keeps forwarding" in output
    assert not path.exists()


async def test_server_ends_with_its_standard_input(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path}/d.sock"
    process = await asyncio.create_subprocess_exec(
        *COMMAND, f"--listen={listen}", "--until-eof", stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await (await answering(listen)).close()
    assert process.stdin
    process.stdin.close()
    async with asyncio.timeout(10):
        assert await process.wait() == 0


def test_server_ends_when_a_task_fails(tmp_path: Path) -> None:
    listen, tasks = f"unix:{tmp_path}/d.sock", list[asyncio.Task[None]]()

    async def fails() -> None:
        await (await answering(listen)).close()
        raise ZeroDivisionError

    def make() -> Datapath:
        asyncio.get_running_loop().call_later(10, signal.raise_signal, signal.SIGTERM)
        tasks.append(asyncio.create_task(fails()))
        tasks[0].add_done_callback(end_with)
        return MemoryDatapath()

    arguments = parser_for("x", "", "", listen).parse_args([])
    with pytest.raises(SystemExit) as ended:
        run("x", arguments, None, make)
    assert ended.value.code == 1


@dataclass
class Refusal:
    """The exit code and the message of a program that could not start."""

    code: int
    sentence: str


def refusal(main: Callable[[list[str]], None], *arguments: str) -> Refusal:
    """Run a program that must end with one sentence, and without a log line before it."""
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended, redirect_stderr(output):
        main(list(arguments))
    (sentence,) = output.getvalue().splitlines()
    assert isinstance(ended.value.code, int)
    return Refusal(ended.value.code, sentence)


@pytest.mark.parametrize(
    ("listen", "why", "code"),
    [
        ("0.0.0.0:5000", "not a loopback", 2),
        (f"127.0.0.1:{'9' * 5000}", "neither unix:/PATH nor ADDRESS:PORT", 2),
        ("[::1:5000", "neither unix:/PATH nor ADDRESS:PORT", 2),
        ("::1]:5000", "neither unix:/PATH nor ADDRESS:PORT", 2),
        ("unix:relative", "absolute", 2),
        ("unix:/proc/none/x", "cannot listen", 1),
    ],
)
def test_an_unusable_listen_address_is_refused(listen: str, why: str, code: int) -> None:
    refused = refusal(serve.main, "--datapath", "memory", "--listen", listen)
    assert why in refused.sentence
    assert refused.code == code


def test_missing_namespace_ends_the_process() -> None:
    for main, options in ((serve.main, ["--datapath", "kernel"]), (agent.main, [])):
        refused = refusal(main, *options, "--netns", "dp-none")
        assert "no network namespace dp-none" in refused.sentence
        assert refused.code == os.EX_CONFIG  # its supervisor does not restart it


def test_missing_grout_is_unavailable(tmp_path: Path) -> None:
    options = "--grout-sock", f"{tmp_path}/none.sock", "--listen", f"unix:{tmp_path}/a"
    refused = refusal(agent.main, *options)
    assert refused.sentence.startswith("grout-agent: cannot connect to grout at")
    assert refused.code == 1  # a restart may succeed


def test_other_program_at_grouts_socket_is_an_error(tmp_path: Path) -> None:
    """The program closes the connection at once, unlike a grout of another API version."""
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        program = "import socket,sys;s=socket.socket(fileno=0);\nwhile True: s.accept()[0].close()"
        with subprocess.Popen([sys.executable, "-c", program], stdin=other.fileno()) as closing:
            try:
                options = "--grout-sock", str(path), "--listen", f"unix:{tmp_path}/a"
                refused = refusal(agent.main, *options)
            finally:
                closing.kill()
    assert refused.sentence.startswith("grout-agent: ")


@pytest.mark.parametrize("main", [serve.main, agent.main])
def test_help_has_examples(
    main: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_tls_options_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        agent.main(["--tls-cert", __file__])
    assert ended.value.code == 2
    assert "give all three" in capsys.readouterr().err
