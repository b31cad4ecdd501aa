"""The controller keeps frr-bridge running, as its child or as an adopted process."""

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
from controller.node.supervisor import BridgeSupervisor, Child, Useless, bridge_of
from controller.settings import Settings, parse
from frr_bridge.__main__ import _parse as bridge_options
from tests.fakes.waiting import until

STAND_IN = "import signal; signal.pause()"
LISTENS = """
import signal, socket, sys
bus = socket.socket(socket.AF_UNIX)
bus.bind(sys.argv[1])
bus.listen()
signal.pause()
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_RESTART_S", 0.01)
    monkeypatch.setattr(supervisor, "_PATIENCE_S", 0.1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(["--datapath=kernel", "--log-format=json", "--state-dir", str(tmp_path)])


@pytest.fixture
async def left_behind(settings: Settings) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Return a process that listens on the bus, as the bridge of an earlier controller does."""
    bus = str(settings.bus)
    with subprocess.Popen([sys.executable, "-c", LISTENS, bus]) as process:  # noqa: ASYNC220
        await until(lambda: bridge_of(settings.state_dir) is not None)
        yield process
        process.kill()


class Started:
    """Stands in for the start of a child."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: str = STAND_IN) -> None:
        self.commands: list[tuple[object, ...]] = []
        self.children: list[Process] = []
        self._start = asyncio.create_subprocess_exec
        self._code = code
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self)

    async def __call__(self, *command: object, **options: object) -> Process:
        self.commands.append(command)
        self.children.append(await self._start(sys.executable, "-c", self._code))
        return self.children[-1]


@asynccontextmanager
async def running(made: BridgeSupervisor) -> AsyncIterator[None]:
    work = asyncio.create_task(made.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_child_bridge_gets_the_settings_and_ends_with_the_controller(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: bool(started.children))
        (command,) = started.commands
        assert "frr_bridge" in command
        assert "--netns=frr" in command
        assert f"--state-dir={settings.state_dir}" in command
        assert "--log-format=json" in command
    assert started.children[0].returncode is not None


@pytest.mark.parametrize("name", ["", "pe1"])
@pytest.mark.parametrize("netns", ["", "frr"])
async def test_frr_bridge_accepts_the_options_of_its_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, netns: str
) -> None:
    """Without an FRR name, or in the controller's namespace, an option is left out."""
    named = [f"--frr-name={name}"] if name else []
    settings = parse(["--datapath=kernel", "--state-dir", str(tmp_path), *named])
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, netns, silent=lambda: True)):
        await until(lambda: bool(started.commands))
    (command,) = started.commands
    words = [str(word) for word in command]
    told = bridge_options(words[words.index("frr_bridge") + 1 :])
    assert (told.frr_name, told.netns or "") == (name, netns)


async def test_child_bridge_that_exits_is_restarted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch, code="")
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: len(started.commands) >= 2)


def test_restart_delay_doubles_until_a_long_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_RESTART_S", 0.5)
    backoff = supervisor._backoff()
    assert [backoff.after(0) for _ in range(6)] == [0.5, 1, 2, 4, 8, 8]
    assert [backoff.after(60), backoff.after(0)] == [0.5, 1]


async def test_bridge_of_an_earlier_controller_is_adopted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, left_behind: subprocess.Popen[bytes]
) -> None:
    """It may be silent at first: nobody has subscribed."""
    started = Started(monkeypatch)
    asked = 0

    def silent() -> bool:
        nonlocal asked
        asked += 1
        return asked == 1

    async with running(BridgeSupervisor(settings, "frr", silent=silent)):
        await until(lambda: asked > 15)  # longer than a silent bridge is tolerated
        assert left_behind.poll() is None
        assert started.commands == []
        left_behind.kill()
        left_behind.wait()
        await until(lambda: len(started.commands) == 1)


async def test_adopted_bridge_ends_with_the_controller(
    settings: Settings, left_behind: subprocess.Popen[bytes]
) -> None:
    """Even if its socket, by which it was found, was removed."""
    asked = 0

    def silent() -> bool:
        nonlocal asked
        asked += 1
        return False

    async with running(BridgeSupervisor(settings, "frr", silent=silent)):
        await until(lambda: asked > 0)
        settings.bus.unlink()
    assert left_behind.wait(10) != 0


async def test_silent_bridge_is_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, left_behind: subprocess.Popen[bytes]
) -> None:
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: len(started.commands) == 1)
        assert left_behind.poll() is not None


async def test_bus_socket_without_a_listener_is_no_bridge(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, left_behind: subprocess.Popen[bytes]
) -> None:
    left_behind.kill()
    left_behind.wait()
    assert settings.bus.exists()
    assert bridge_of(settings.state_dir) is None
    started = Started(monkeypatch)
    async with running(BridgeSupervisor(settings, "frr", silent=lambda: True)):
        await until(lambda: len(started.commands) == 1)


async def test_shutdown_without_a_bridge_does_nothing(settings: Settings) -> None:
    await BridgeSupervisor(settings, "frr", silent=lambda: True).end()


READY = "open({0!r}, 'w').close(); "
HOLDS = "import sys; " + READY + "sys.stdin.read()"  # as a process with --until-eof does
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    + READY
    + "[signal.pause() for _ in iter(int, 1)]"
)
APPENDS = "open({0!r}, 'a').write('x')"


def program(code: str, path: Path) -> list[str]:
    return [sys.executable, "-c", code.format(str(path))]


async def test_child_that_exits_is_restarted(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    work = asyncio.create_task(Child("x", program(APPENDS, trace)).run())
    await until(lambda: trace.exists() and len(trace.read_text()) >= 2)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


@pytest.mark.parametrize("code", [HOLDS, DEAF])
async def test_child_ends_with_the_controller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(supervisor, "_END_S", 0.2)
    children: list[Process] = []
    start = asyncio.create_subprocess_exec

    async def started(*command: str, stdin: int, start_new_session: bool) -> Process:
        children.append(await start(*command, stdin=stdin, start_new_session=start_new_session))
        return children[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    work = asyncio.create_task(Child("x", program(code, tmp_path / "ready")).run())
    await until(lambda: bool(children) and (tmp_path / "ready").exists())
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert children[0].returncode is not None


async def test_child_with_a_configuration_error_is_not_restarted() -> None:
    child = Child("grout-agent", [sys.executable, "-c", f"raise SystemExit({os.EX_CONFIG})"])
    with pytest.raises(Useless, match="grout-agent"):
        async with asyncio.timeout(20):
            await child.run()


async def test_child_is_started_once_its_requirements_are_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    asked, met = asyncio.Event(), asyncio.Event()

    async def ready() -> None:
        asked.set()
        await met.wait()

    work = asyncio.create_task(Child("x", ["program"], ready).run())
    await asked.wait()
    assert started.commands == []
    met.set()
    await until(lambda: bool(started.children))
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
