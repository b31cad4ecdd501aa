"""The page of `dualpath top`, and the command on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from controller.cli.screen import Line, Sample, Style, page, short
from dualpath.model.view import BgpSession
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.view import NOW
from tests.unit.controller.cli.conftest import Daemon, run

SIZES = [(80, 24), (200, 60), (40, 10), (20, 5), (1, 1)]
PATIENCE_S = 60.0


def sample(at: float, *, packets: int = 0, sequence: int = 0, sessions: int = 2) -> Sample:
    status = pb.StatusResponse(ready=True, datapath="kernel", session=2, session_state="live")
    status.sequence = sequence
    status.started_at.seconds = int(at) - 120
    for number in range(sessions):
        one = status.sessions.add(vrf="default", peer=f"192.0.2.{number}", remote_as=65000)
        one.state = "Active" if number == 1 else "Established"
    status.counts.add(kind=pb.KIND_ROUTE, desired=10, programmed=9, failed=1)
    status.counts.add(kind=pb.KIND_VRF, desired=2, programmed=2)
    ports = [pb.Port(name=name, vrf="red", link=pb.Link(up=name != "eth2")) for name in PORTS]
    ports[0].link.rx_packets, ports[0].link.rx_bytes = packets, packets * 125
    failed = [pb.Route(vrf="red", prefix="10.2.3.0/24", error="ENOSPC")]
    return Sample(at, at, status, ports, failed)


PORTS = ("eth1", "eth2", "h1")


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_page_fits_the_terminal(width: int, height: int) -> None:
    lines = page(sample(102, packets=4000, sessions=90), sample(100), width, height)
    assert len(lines) == height
    assert max(len(line.text) for line in lines) <= width


def test_80x24_has_every_section_and_says_what_it_leaves_out() -> None:
    text = "\n".join(texts(page(sample(102, sessions=90), sample(100), 80, 24)))
    for word in ("ROWS", "BGP PEER", "PORT", "REFUSED ROUTE", "more", "ENOSPC", "q quit"):
        assert word in text


def test_rates_are_differences_over_time_and_what_is_wrong_comes_first() -> None:
    lines = page(sample(102, packets=4000, sequence=3000), sample(100), 100, 60)
    text = texts(lines)
    assert "1.5k changes/s" in text[0]
    at = next(i for i, line in enumerate(text) if line.startswith("PORT"))
    assert text[at + 1].split()[:3] == ["eth2", "red", "DOWN"]
    assert lines[at + 1].style is Style.BAD
    assert text[at + 2].split() == ["eth1", "red", "up", "2.0M", "2.0k", "0", "0", "0"]
    session = next(i for i, line in enumerate(text) if "BGP PEER" in line)
    assert "Active" in text[session + 1]


def test_a_counter_that_starts_again_is_no_negative_rate() -> None:
    lines = page(sample(102, packets=10), sample(100, packets=4000, sequence=9), 100, 60)
    assert "0 changes/s" in lines[0].text
    assert not any("-" in word[:1] and len(word) > 1 for it in lines for word in it.text.split())


def test_text_of_frr_cannot_steer_the_terminal() -> None:
    hostile = sample(100)
    hostile.status.sessions[0].peer = "\x1b]0;owned\x07\n"
    assert "\x1b" not in "".join(texts(page(hostile, None, 80, 24)))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999.4, "999"), (999.6, "1.0k"), (9940, "9.9k"), (9960, "10k"), (2.5e9, "2.5G")],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert short(number) == text


def test_once_prints_a_page_without_a_terminal(daemon: Daemon) -> None:
    result = daemon.run("top", "--once", "--interval", "1")
    assert result.code == 0
    assert result.out.startswith("ready yes   datapath kernel")
    assert "10.2.3.0/24" in result.out
    assert "\x1b" not in result.out


def test_without_a_terminal_it_says_what_to_use(daemon: Daemon) -> None:
    result = daemon.run("top")
    assert (result.code, result.out) == (1, "")
    assert "dualpath top --once" in result.err


def test_without_a_daemon_it_ends() -> None:
    assert run("--connect", "unix:/nobody", "top", "--once").code == 1


# -- on a terminal ----------------------------------------------------------------------------


@dataclass
class Terminal:
    master: int
    process: subprocess.Popen[bytes]

    def until(self, found: Callable[[bytes], bool]) -> bytes:
        """Read until the condition holds for what was written since the last call."""
        new = b""
        while not found(new):
            readable, _, _ = select.select([self.master], [], [], PATIENCE_S)
            assert readable, new[-2000:]
            new += os.read(self.master, 65536)
        return new

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, key: str) -> None:
        os.write(self.master, key.encode())


@contextmanager
def terminal(daemon: Daemon, columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(slave)
    words = ["-m", "controller.cli", "--connect", daemon.listen, "top", "--interval", "1"]
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={"PATH": os.environ["PATH"], "TERM": "xterm"},
    )
    made = Terminal(master, process)
    try:
        yield made
        assert termios.tcgetattr(slave)[3] == before[3], "the terminal is as it was"
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


CLEARED = re.compile(rb"\x1b\[(?:H\x1b\[)?2?J")


def test_on_a_terminal_it_draws_resizes_without_flicker_and_restores_it(daemon: Daemon) -> None:
    with terminal(daemon) as screen:
        screen.until(lambda new: b"q quit" in new and b"BGP" not in new and b"eth1" in new)
        session = BgpSession("default", "192.0.2.77", 65000, "Established", NOW)
        daemon.view.state = replace(daemon.view.state, sessions=(session,))
        assert not CLEARED.search(screen.until(lambda new: b"192.0.2.77" in new))
        screen.press("p")
        screen.until(lambda new: b"paused" in new)
        screen.resize(40, 10)
        screen.until(lambda new: b"ready" in new)
        screen.press("q")
        assert screen.process.wait(PATIENCE_S) == 0
        screen.until(lambda new: b"\x1b[?1049l" in new)


def test_a_daemon_that_goes_leaves_the_last_page_with_a_note(daemon: Daemon) -> None:
    with terminal(daemon) as screen:
        screen.until(lambda new: b"q quit" in new)
        daemon.view.state = replace(daemon.view.state, netns="\ud800")  # no UTF-8: Status fails
        screen.until(lambda new: b"no answer from the daemon" in new)
        daemon.view.state = replace(daemon.view.state, netns="dualpath")
        screen.until(lambda new: b"q quit" in new)
        screen.press("q")
        assert screen.process.wait(PATIENCE_S) == 0


def test_a_signal_ends_it_and_restores_the_terminal(daemon: Daemon) -> None:
    with terminal(daemon) as screen:
        screen.until(lambda new: b"q quit" in new)
        screen.process.send_signal(signal.SIGTERM)
        assert screen.process.wait(PATIENCE_S) == 128 + signal.SIGTERM
        screen.until(lambda new: b"\x1b[?1049l" in new)
