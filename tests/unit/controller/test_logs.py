"""Log lines, for people and for programs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from controller.logs import JsonFormatter

PROGRAM = """
import logging
from controller import logs
logs.start({level!r}, {form!r})
logging.getLogger("pyroute2.netlink.core").debug("unseen")
log = logging.getLogger("a.b")
log.debug("seen by few")
log.warning("port %s is \\n%s", "eth1", "down")
"""


def logged(form: str, level: str = "info") -> str:
    program = [sys.executable, "-c", PROGRAM.format(form=form, level=level)]
    return subprocess.run(program, capture_output=True, text=True, check=True).stderr


def test_text_is_for_people() -> None:
    assert logged("text") == "WARNING a.b: port eth1 is \ndown\n"


def test_debug_is_about_us_and_not_about_libraries() -> None:
    assert logged("text", "debug").splitlines()[0] == "DEBUG a.b: seen by few"


def test_json_is_one_object_a_line() -> None:
    (line,) = logged("json").splitlines()
    said = json.loads(line)
    assert (said.pop("time")[-1], said) == (
        "Z",
        {"level": "warning", "logger": "a.b", "message": "port eth1 is \ndown"},
    )


def test_the_time_is_rfc_3339_in_utc() -> None:
    record = logging.makeLogRecord({"created": 1700000000.25, "msg": "x"})
    assert json.loads(JsonFormatter().format(record))["time"] == "2023-11-14T22:13:20.250Z"


def test_a_traceback_stays_within_its_line() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.makeLogRecord({"msg": "x", "exc_info": sys.exc_info()})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: no")
