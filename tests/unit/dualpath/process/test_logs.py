"""Log lines, for people and for programs."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dualpath.process.logs import FIRST, INTERVAL_S, LENGTH, Bounded, JsonFormatter, TextFormatter

PROGRAM = """
import logging
from dualpath.process import logs
logs.start({level!r}, {form!r})
logging.getLogger("pyroute2.netlink.core").debug("unseen")
log = logging.getLogger("a.b")
log.debug("seen by few")
log.warning("port %s is \\n%s", "eth1", "down")
"""


def logged(form: str, level: str = "info") -> str:
    program = [sys.executable, "-c", PROGRAM.format(form=form, level=level)]
    return subprocess.run(program, capture_output=True, text=True, check=True).stderr


def test_text_format_has_level_and_message() -> None:
    assert logged("text") == "WARNING a.b: port eth1 is \\ndown\n"


def test_lines_on_a_terminal_carry_the_time() -> None:
    """The journal records the time itself, and so may the reader of a pipe."""
    terminal, end = os.openpty()
    program = [sys.executable, "-c", PROGRAM.format(form="text", level="info")]
    subprocess.run(program, stderr=end, check=True)
    os.close(end)
    line = os.read(terminal, 1000).decode()
    os.close(terminal)
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING a.b: port eth1 is \\ndown\r\n", line)


def test_debug_level_applies_to_this_project_only() -> None:
    assert logged("text", "debug").splitlines()[0] == "DEBUG a.b: seen by few"


def test_json_format_is_one_object_per_line() -> None:
    (line,) = logged("json").splitlines()
    fields = json.loads(line)
    assert (fields.pop("time")[-1], fields) == (
        "Z",
        {"level": "warning", "logger": "a.b", "message": "port eth1 is \ndown"},
    )


def test_time_is_rfc_3339_in_utc() -> None:
    record = logging.makeLogRecord({"created": 1700000000.25, "msg": "x"})
    assert json.loads(JsonFormatter().format(record))["time"] == "2023-11-14T22:13:20.250Z"


def test_json_traceback_stays_on_one_line() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.makeLogRecord({"msg": "x", "exc_info": sys.exc_info()})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: no")


class World:
    """A rate-limited log with its own clock."""

    def __init__(self) -> None:
        self._written = io.StringIO()
        self.now = 1000.0
        target = logging.StreamHandler(self._written)
        target.setFormatter(TextFormatter())
        self.handler = Bounded(target, lambda: self.now)
        self.log = logging.getLogger("a.b")
        self.log.handlers, self.log.propagate = [self.handler], False

    @property
    def lines(self) -> list[str]:
        return self._written.getvalue().splitlines()

    def refuse(self, *rows: int) -> None:
        for row in rows:
            self.log.warning("nexthop %d: %s", row, "ENODEV")

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.handler.flush()


def rows_message(lines: list[str]) -> int:
    """Return how many rows the lines report, singly or in a summary."""
    counts = (re.search(r": ([\d,]+) more like this", line) for line in lines)
    return sum(int(found[1].replace(",", "")) if found else 1 for found in counts)


def test_100_000_refused_rows_write_few_lines_with_the_right_count() -> None:
    world = World()
    world.refuse(*range(100_000))
    world.tick(INTERVAL_S)
    assert len(world.lines) == FIRST + 1
    assert rows_message(world.lines) == 100_000
    assert world.lines[0] == "WARNING a.b: nexthop 0: ENODEV"
    assert world.lines[-1] == (
        "WARNING a.b: 99,990 more like this in 30 s; the last one: nexthop 99999: ENODEV"
    )


def test_ongoing_repetition_is_one_line_per_interval() -> None:
    world = World()
    for _ in range(20):
        world.refuse(*range(1000))
        world.tick(INTERVAL_S)
    assert len(world.lines) == FIRST + 20
    assert rows_message(world.lines) == 20_000


def test_after_a_quiet_interval_lines_are_written_again() -> None:
    world = World()
    world.refuse(*range(FIRST + 1))
    world.tick(INTERVAL_S)
    world.tick(INTERVAL_S)
    before = len(world.lines)
    world.refuse(7)
    assert world.lines[before:] == ["WARNING a.b: nexthop 7: ENODEV"]


def test_occasional_repetition_after_a_burst_suppresses_no_other_line() -> None:
    world = World()
    world.refuse(*range(1000))
    for _ in range(10):
        world.tick(INTERVAL_S)
        world.refuse(7)
    before = len(world.lines)
    world.refuse(1, 2, 3)
    assert len(world.lines) == before + 3


def test_no_interval_exceeds_its_limit_of_lines() -> None:
    world = World()
    for _ in range(20):
        before = len(world.lines)
        world.refuse(*range(FIRST + FIRST // 2))
        world.tick(INTERVAL_S)
        assert len(world.lines) <= before + FIRST + 1
    assert rows_message(world.lines) == 20 * (FIRST + FIRST // 2)


def test_lines_of_one_level_suppress_none_of_another() -> None:
    world = World()
    for level in (*[logging.WARNING] * 100, logging.ERROR):
        world.log.log(level, "%s", "retrying" if level == logging.WARNING else "refused")
    assert world.lines[-1] == "ERROR a.b: refused"


@pytest.mark.parametrize("args", [("x",), ({"n": "x"},)])
def test_line_that_cannot_be_formatted_raises_nothing(
    args: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    world = World()
    for _ in range(FIRST + 1):
        world.log.warning("%d" if args == ("x",) else "%(n)d", *args)
    world.tick(INTERVAL_S)
    world.log.warning("on we go")
    assert world.lines == ["WARNING a.b: on we go"]


def test_values_of_a_line_may_be_a_mapping() -> None:
    world = World()
    for number in range(FIRST + 1):
        world.log.warning("100%% of %(what)s", {"what": number})
    world.tick(INTERVAL_S)
    assert world.lines[-1].endswith(f"1 more like this in 30 s; the last one: 100% of {FIRST}")


def test_frequent_line_suppresses_no_other() -> None:
    world = World()
    world.refuse(*range(1000))
    world.log.error("the disk is full")
    assert world.lines[-1] == "ERROR a.b: the disk is full"


def test_suppressed_lines_are_written_at_exit() -> None:
    world = World()
    world.refuse(*range(FIRST + 5))
    world.handler.close()
    assert rows_message(world.lines) == FIRST + 5


def test_summary_line_counts_its_rows() -> None:
    world = World()
    for _ in range(FIRST + 2):
        world.log.warning("refused", extra={"rows": 50})
    world.tick(INTERVAL_S)
    assert ": 100 more like this" in world.lines[-1]


def test_administrators_errors_are_never_suppressed() -> None:
    world = World()
    for number in range(100):
        world.log.error("a.yaml:%d: unknown field", number, extra={"whole": True})
    assert len(world.lines) == 100


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_long_line_is_cut(formatter: logging.Formatter) -> None:
    line = formatter.format(logging.makeLogRecord({"msg": "%s", "args": ("f" * 200_000,)}))
    assert len(line) < LENGTH + 200
    assert "200,000 characters" in line


def test_newline_from_a_peer_starts_no_line() -> None:
    sent = "x\nERROR a: y\x1b[2J"
    record = logging.makeLogRecord({"name": "a", "levelname": "INFO", "msg": sent})
    assert TextFormatter().format(record) == "INFO a: x\\nERROR a: y\\x1b[2J"


def test_newline_from_a_peer_starts_no_line_of_a_traceback() -> None:
    try:
        raise ValueError("x\nERROR a: y\x9b2J")
    except ValueError:
        record = logging.makeLogRecord({"msg": "x", "exc_info": sys.exc_info()})
    lines = TextFormatter().format(record).splitlines()
    assert [line for line in lines[1:] if not line.startswith("  ")] == []
    assert lines[-1] == "  ERROR a: y\\x9b2J"


def traced(formatter: logging.Formatter) -> str:
    try:
        raise ValueError("`neighbor 192.0.2.1 password s3cret`")
    except ValueError:
        return formatter.format(logging.makeLogRecord({"msg": "x", "exc_info": sys.exc_info()}))


def message(formatter: logging.Formatter) -> str:
    return formatter.format(logging.makeLogRecord({"msg": "no enable password 8 s3cret"}))


@pytest.mark.parametrize("line", [traced, message])
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_no_secret_is_logged(
    formatter: logging.Formatter, line: Callable[[logging.Formatter], str]
) -> None:
    assert "***" in line(formatter)
    assert "s3cret" not in line(formatter)


GRPC = """
import controller, asyncio, socket, subprocess, sys
from pathlib import Path
from dualpath.rpc.listen import Tls
from dualpath.rpc.server import start

async def main(directory):
    files = [directory / name for name in ("cert", "key", "cert")]
    async def ready(): return True
    listen = f"127.0.0.1:{sys.argv[2]}"
    server = await start("a", lambda s: None, ready, listen=listen, tls=Tls(*files))
    def call():
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as sock:
                sock.sendall(b"no handshake" * 5)
                sock.recv(1000)
    await asyncio.to_thread(call)
    await server.stop()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_failed_tls_handshakes_write_no_grpc_lines(tmp_path: Path, unused_tcp_port: int) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=a"
    subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True)
    program = [sys.executable, "-c", GRPC, str(tmp_path), str(unused_tcp_port)]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stderr == ""
