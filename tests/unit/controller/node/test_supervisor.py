"""Who keeps frr-bridge running: a child of ours, or one that was left behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.node import supervisor
from controller.node.supervisor import BridgeSupervisor, Child, Useless
from controller.settings import Settings, parse
from frr_bridge.__main__ import _parse as bridge_options
from tests.fakes.waiting import until

STAND_IN = "import sys, time\nsys.stdin.close()\ntime.sleep(60)"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_AGAIN_S", 0.01)
    monkeypatch.setattr(supervisor, "_PATIENCE_S", 0.1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(["--datapath=kernel", "--log-format=json", "--state-dir", str(tmp_path)])


@pytest.fixture
async def left_behind(settings: Settings) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Return a process that looks like a bridge of an earlier controller."""
    process = subprocess.Popen([sys.executable, "-c", STAND_IN, "frr_bridge"])  # noqa: ASYNC220
    (settings.state_dir / "bridge.pid").write_text(f"{process.pid}\n")
    await until(lambda: b"frr_bridge" in Path(f"/proc/{process.pid}/cmdline").read_bytes())
    yield process
    process.kill()
    process.wait()


class Started:
    """Stands in for the start of a child."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: str = STAND_IN) -> None:
        self.commands: list[tuple[object, ...]] = []
        self._start = asyncio.create_subprocess_exec
        self._code = code
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self)

    async def __call__(self, *command: object, **options: object) -> asyncio.subprocess.Process:
        self.commands.append(command)
        return await self._start(sys.executable, "-c", self._code, "frr_bridge")


@asynccontextmanager
async def running(made: BridgeSupervisor) -> AsyncIterator[None]:
    work = asyncio.create_task(made.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_bridge_is_started_with_what_we_were_told_and_ends_with_us(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until((settings.state_dir / "bridge.pid").exists)
        pid = int((settings.state_dir / "bridge.pid").read_text())
        (command,) = started.commands
        assert "frr_bridge" in command
        assert "--netns=frr" in command
        assert f"--state-dir={settings.state_dir}" in command
        assert "--log-format=json" in command
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("name", ["", "pe1"])
@pytest.mark.parametrize("netns", ["", "frr"])
async def test_a_bridge_understands_what_it_is_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, netns: str
) -> None:
    """An FRR without a name, or in our own namespace, is an option less."""
    named = [f"--frr-name={name}"] if name else []
    settings = parse(["--datapath=kernel", "--state-dir", str(tmp_path), *named])
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, netns, silent=lambda: True)):
        await until(lambda: bool(started.commands))
    (command,) = started.commands
    words = [str(word) for word in command]
    told = bridge_options(words[words.index("frr_bridge") + 1 :])
    assert (told.frr_name, told.netns or "") == (name, netns)


async def test_a_bridge_that_ends_is_started_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch, code="")
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: len(started.commands) >= 2)


async def test_a_pid_that_cannot_be_noted_is_said_once_and_all_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (settings.state_dir / "bridge.pid").mkdir()
    started = Started(monkeypatch, code="")
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: len(started.commands) >= 3)
    assert caplog.text.count("make it writable") == 1


async def test_a_bridge_whose_pid_could_not_be_noted_ends_with_us(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.state_dir / "bridge.pid").mkdir()
    Started(monkeypatch)
    supervised = BridgeSupervisor(settings, "frr", silent=lambda: True)
    async with running(supervised):
        await until(lambda: supervised._child is not None)
        assert supervised._child is not None
        pid = supervised._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_keeps_dying_restarts_later_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_AGAIN_S", 0.5)
    backoff = supervisor._backoff()
    assert [backoff.after(0) for _ in range(6)] == [0.5, 1, 2, 4, 8, 8]
    assert [backoff.after(60), backoff.after(0)] == [0.5, 1]


async def test_a_bridge_that_was_left_behind_is_taken_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, left_behind: subprocess.Popen[bytes]
) -> None:
    """At first we have not even asked it anything: that is no silence."""
    started = Started(monkeypatch)
    silent = [True]
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: silent[0])):
        await asyncio.sleep(0.02)
        silent[0] = False
        await asyncio.sleep(0.15)
        assert left_behind.poll() is None
        assert started.commands == []
        left_behind.kill()
        left_behind.wait()
        await until(lambda: len(started.commands) == 1)


async def test_a_bridge_that_says_nothing_is_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, left_behind: subprocess.Popen[bytes]
) -> None:
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: len(started.commands) == 1)
        assert left_behind.poll() is not None


@pytest.mark.parametrize("text", ["", "not a number", "4194305"])
async def test_a_pid_file_that_names_no_process_is_ignored(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (settings.state_dir / "bridge.pid").write_text(text)
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: len(started.commands) == 1)


async def test_a_pid_that_is_no_bridge_is_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 2: a pid may be somebody else's by now."""
    with subprocess.Popen([sys.executable, "-c", STAND_IN]) as other:  # noqa: ASYNC220
        (settings.state_dir / "bridge.pid").write_text(f"{other.pid}\n")
        started = Started(monkeypatch)
        async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
            await until(lambda: len(started.commands) == 1)
        assert other.poll() is None
        other.kill()


async def test_there_may_be_nothing_to_end(settings: Settings) -> None:
    await BridgeSupervisor(settings, "frr", silent=lambda: True).end()


HOLDS = "import sys; sys.stdin.read()"  # as a process with --until-eof does
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


async def test_a_child_is_started_again_and_ends_with_us(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    child = Child("x", [sys.executable, "-c", f"open({str(trace)!r}, 'a').write('x')"])
    work = asyncio.create_task(child.run())
    await until(lambda: trace.exists() and len(trace.read_text()) >= 2)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


@pytest.mark.parametrize("code", [HOLDS, DEAF])
async def test_a_child_that_is_asked_to_end_ends(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(supervisor, "_END_S", 0.2)
    pids: list[int] = []
    start = asyncio.create_subprocess_exec

    async def started(*command: str, stdin: int, start_new_session: bool) -> Process:
        made = await start(*command, stdin=stdin, start_new_session=start_new_session)
        pids.append(made.pid)
        return made

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    work = asyncio.create_task(Child("x", [sys.executable, "-c", code]).run())
    await until(lambda: bool(pids))
    await asyncio.sleep(0.1)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_a_child_that_can_never_work_is_started_once() -> None:
    child = Child("grout-agent", [sys.executable, "-c", f"raise SystemExit({os.EX_CONFIG})"])
    with pytest.raises(Useless, match="grout-agent"):
        async with asyncio.timeout(20):
            await child.run()


async def test_a_child_waits_for_what_it_needs(tmp_path: Path) -> None:
    there, trace = asyncio.Event(), tmp_path / "trace"
    code = f"open({str(trace)!r}, 'a').write('x')"
    work = asyncio.create_task(Child("x", [sys.executable, "-c", code], there.wait).run())
    await asyncio.sleep(0.1)
    assert not trace.exists()
    there.set()
    await until(trace.exists)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
