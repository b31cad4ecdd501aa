"""The vty socket: commands, the live log, and whether a daemon lives."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from frr_bridge import vty as vtys
from frr_bridge.rights import Rights
from frr_bridge.vty import LogMonitor, Vty, VtyError
from tests.fakes.vty import FakeDaemon
from tests.fakes.waiting import until


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[FakeDaemon]:
    made = FakeDaemon(tmp_path / "zebra.vty").start()
    yield made
    await made.die()


@pytest.fixture
def vty(daemon: FakeDaemon) -> Vty:
    return Vty(daemon.path)


@pytest.mark.parametrize("piece", [1, 3, 1 << 16])
async def test_a_command_returns_what_it_prints(daemon: FakeDaemon, vty: Vty, piece: int) -> None:
    daemon.answers["show version"] = "FRRouting 10.7.1\n"
    daemon.piece = piece
    assert await vty.command("show version") == "FRRouting 10.7.1\n"
    assert await vty.command("show nothing") == ""
    assert daemon.commands[-2:] == ["show version", "show nothing"]
    vty.close()


async def test_json_is_parsed_and_other_output_is_an_error(daemon: FakeDaemon, vty: Vty) -> None:
    daemon.answer_json("show x json", {"a": [1]})
    assert await vty.json("show x json") == {"a": [1]}
    daemon.answers["show x json"] = "% Unknown command"
    with pytest.raises(VtyError, match="not JSON"):
        await vty.json("show x json")
    vty.close()


async def test_commands_wait_for_each_other(daemon: FakeDaemon, vty: Vty) -> None:
    daemon.answers |= {"a": "1", "b": "2"}
    daemon.piece = 1
    assert await asyncio.gather(*(vty.command(c) for c in "abab")) == ["1", "2", "1", "2"]
    vty.close()


async def test_missing_daemon_is_an_error_and_counts_no_life(tmp_path: Path) -> None:
    vty = Vty(tmp_path / "bgpd.vty")
    assert not vty.connect()
    assert not vty.alive()
    assert vty.arguments() == ()
    assert vty.lives == 0
    with pytest.raises(VtyError, match="does not listen"):
        await vty.command("show version")


async def test_a_daemon_that_dies_is_noticed_at_once(daemon: FakeDaemon, vty: Vty) -> None:
    assert vty.connect()
    await vty.command("show version")
    assert vty.alive()
    await daemon.die()
    assert not vty.alive()
    assert not vty.connect()


async def test_the_same_daemon_has_one_life_however_often_we_connect(vty: Vty) -> None:
    for _ in range(3):
        assert vty.connect()
        vty.close()
    assert (vty.lives, vty.connections) == (1, 3)


async def test_the_command_line_of_the_daemon_is_known(vty: Vty) -> None:
    vty.connect()
    assert any(b"py" in word for word in vty.arguments())
    vty.close()


async def test_whether_a_daemon_has_a_socket_is_unknown_where_its_descriptors_cannot_be_read(
    vty: Vty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With CAP_DAC_OVERRIDE and without CAP_SYS_PTRACE, as in a pod, root can only list them."""

    def forbidden(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    assert vty.connect()
    assert vty.holds(0) is False
    monkeypatch.setattr("os.readlink", forbidden)
    assert vty.holds(0) is None
    vty.close()


async def test_a_daemon_that_ends_in_mid_answer_is_an_error(daemon: FakeDaemon, vty: Vty) -> None:
    daemon.answers["show x"] = None
    asking = asyncio.create_task(vty.command("show x"))
    await until(lambda: "show x" in daemon.commands)
    daemon.cut()
    with pytest.raises(VtyError, match="closed the connection"):
        await asking
    assert not vty.alive()


async def test_a_death_noticed_during_a_command_leaves_the_loop_in_order(
    daemon: FakeDaemon, vty: Vty
) -> None:
    """A descriptor that the loop watches must not be closed and used again under it."""
    daemon.answers["show x"] = None
    asking = asyncio.create_task(vty.command("show x"))
    await until(lambda: "show x" in daemon.commands)
    daemon.cut()
    assert not vty.alive()
    assert vty.connect()
    with pytest.raises(VtyError):
        await asyncio.wait_for(asking, 2)
    assert vty.alive()
    daemon.answers["show y"] = "yes"
    assert await asyncio.wait_for(vty.command("show y"), 2) == "yes"
    vty.close()


async def test_a_daemon_that_hangs_is_alive(
    daemon: FakeDaemon, vty: Vty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vtys, "_TIMEOUT_S", 0.05)
    daemon.answers["slow"] = None
    with pytest.raises(VtyError, match="Timeout"):
        await vty.command("slow")
    assert vty.alive()
    assert vty.lives == 1
    await daemon.die()
    assert not vty.alive()


async def test_late_reply_is_not_used_for_the_next_command(
    daemon: FakeDaemon, vty: Vty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vtys, "_TIMEOUT_S", 0.05)
    daemon.answers |= {"slow": None, "quick": "quick"}
    with pytest.raises(VtyError, match="Timeout"):
        await vty.command("slow")
    monkeypatch.setattr(vtys, "_TIMEOUT_S", 5)
    assert await vty.command("quick") == "quick"
    daemon.answers["slow"] = None
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(vty.command("slow"), 0.05)
    daemon.answers["slow"] = "slow"
    assert await vty.command("slow") == "slow"
    vty.close()


async def test_the_log_is_followed_until_the_text_comes(daemon: FakeDaemon) -> None:
    monitor = LogMonitor(daemon.path)
    await monitor.open("debug zebra fpm")
    assert daemon.commands == ["enable", "terminal monitor", "debug zebra fpm"]
    waiting = asyncio.create_task(monitor.wait_for(b"KTCTN-3GCEG"))
    for piece in (b"zebra: noise\n", b"zebra: [KTCTN", b"-3GC", b"EG] RMAC walk finished\n"):
        await asyncio.sleep(0)
        assert not waiting.done()
        daemon.log(piece)
    await asyncio.wait_for(waiting, 2)
    await monitor.close("no debug zebra fpm")
    assert daemon.commands[-1] == "no debug zebra fpm"


async def test_a_log_that_ends_is_an_error(daemon: FakeDaemon) -> None:
    monitor = LogMonitor(daemon.path)
    await monitor.open()
    waiting = asyncio.create_task(monitor.wait_for(b"never"))
    await asyncio.sleep(0)
    await daemon.die()
    with pytest.raises(VtyError, match="closed the connection"):
        await asyncio.wait_for(waiting, 2)
    await monitor.close("no debug zebra fpm")


@pytest.mark.parametrize("silent", ["enable", "terminal monitor", "debug zebra fpm"])
async def test_a_log_monitor_waits_for_no_answer_for_ever(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    monkeypatch.setattr(vtys, "_TIMEOUT_S", 0.05)
    daemon.answers[silent] = None
    monitor = LogMonitor(daemon.path)
    with pytest.raises(VtyError, match=f"{silent}: no answer"):
        await asyncio.wait_for(monitor.open("debug zebra fpm"), 2)
    await monitor.close()


async def test_a_daemon_that_passes_no_descriptor_has_no_log(daemon: FakeDaemon) -> None:
    daemon.has_log = False
    monitor = LogMonitor(daemon.path)
    with pytest.raises(VtyError, match="no descriptor"):
        await monitor.open()
    await monitor.close()
    with pytest.raises(VtyError, match="not open"):
        await monitor.wait_for(b"x")


async def test_a_link_in_place_of_a_daemons_socket_is_not_followed(
    daemon: FakeDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    """FRR's user could lead us to a service that trusts root."""
    link = daemon.path.with_name("bgpd.vty")
    link.symlink_to(daemon.path)
    vty = Vty(link)
    assert not vty.connect()
    assert not vty.connect()
    with pytest.raises(VtyError):
        await vty.command("show version")
    with pytest.raises(OSError, match="no socket"):
        await LogMonitor(link).open()
    assert daemon.commands == []
    assert caplog.text.count("not used: it is no socket; waiting for a socket of FRR's user") == 1


async def test_socket_of_another_user_gets_no_bytes(daemon: FakeDaemon) -> None:
    somebody = Rights(os.geteuid() + 1, 1)
    vty = Vty(daemon.path, lambda: somebody)
    assert not vty.connect()
    with pytest.raises(OSError, match="listens"):
        await LogMonitor(daemon.path, lambda: somebody).open()
    await asyncio.sleep(0)
    assert daemon.commands == []


async def test_a_passed_descriptor_that_is_no_socket_is_closed(
    daemon: FakeDaemon, tmp_path: Path
) -> None:
    with (tmp_path / "file").open("w") as file:
        daemon.passes = file.fileno()
        monitor = LogMonitor(daemon.path)
        with pytest.raises(OSError, match="Socket operation on non-socket"):
            await monitor.open()
        await monitor.close()
        same = [fd for fd in os.listdir("/proc/self/fd") if leads_to(fd) == file.name]
        assert same == [str(file.fileno())]


def leads_to(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "[" * 200_000 + "]" * 200_000])
async def test_json_that_is_nested_too_deep_is_an_error(
    daemon: FakeDaemon, vty: Vty, text: str
) -> None:
    daemon.answers["show x json"] = text
    with pytest.raises(VtyError, match="not JSON"):
        await vty.json("show x json")
    daemon.answer_json("show x json", [1])
    assert await vty.json("show x json") == [1]
    vty.close()


async def test_reply_that_is_too_long_ends_the_connection(
    daemon: FakeDaemon, vty: Vty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vtys, "_REPLY", 1 << 16)
    daemon.answers["show x"] = "x" * (1 << 20)
    with pytest.raises(VtyError, match="65536 bytes"):
        await vty.command("show x")
    daemon.answers["show x"] = "short"
    assert await vty.command("show x") == "short"
    vty.close()


async def test_connection_whose_answer_may_still_come_is_not_used_again(
    daemon: FakeDaemon, vty: Vty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vtys, "_TIMEOUT_S", 0.05)
    daemon.answers["show mute"] = None
    with pytest.raises(VtyError):
        await vty.command("show mute")
    monkeypatch.setattr(vtys, "_TIMEOUT_S", 5)
    daemon.answers["show version"] = "FRRouting 10.7.1"
    assert await vty.command("show version") == "FRRouting 10.7.1"
    assert vty.connections == 2
    vty.close()


async def test_descriptors_beyond_the_first_are_closed(daemon: FakeDaemon) -> None:
    one, two = socket.socketpair()
    fds = array.array("i", [one.detach(), two.detach()])
    monitor = LogMonitor(daemon.path)
    monitor._keep_descriptor([(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fds[1])
    await monitor.close()
