"""Which modules are imported before a command runs. tests.bench.commands measures CPU time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.__main__ import load
from controller.cli.catalogue import CATALOGUE
from tests.unit.controller.cli.conftest import run

SLOW = {"grpc", "numpy", "pydantic", "pyroute2", "yaml", "asyncio", "frr_bridge", "datapaths"}
SLOW |= {"starlette", "uvicorn"}
NOT_FOR_A_REFUSAL = {*SLOW, "google.protobuf", "importlib.metadata", "subprocess"}


def imported_by(tmp_path: Path, *arguments: str, of: set[str] = SLOW) -> set[str]:
    """Return which of some modules are loaded when a command ends."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('MODULES', *sys.modules))\n"
        "from controller.cli.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    environment = {**os.environ, "DUALPATH_CONNECT": f"unix:{tmp_path}/nobody.sock"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("MODULES")]
    return of & set(line.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["version"],
        ["completion", "bash"],
        ["help", "validate"],
        ["validate", "--help"],
        ["down", "--help"],
        ["confirm", "--help"],
        ["ui", "--help"],
        ["conformance", "--help"],
        ["__complete", "st"],
        ["__complete", "validate", "--"],
        ["__complete", "routes", "--vrf", ""],
    ],
    ids=" ".join,
)
def test_help_and_completion_import_no_slow_module(tmp_path: Path, arguments: list[str]) -> None:
    assert imported_by(tmp_path, *arguments) == set()


@pytest.mark.parametrize("command", ["status", "routes", "ports", "watch", "release"])
def test_absent_daemon_is_detected_without_grpc(tmp_path: Path, command: str) -> None:
    assert imported_by(tmp_path, command) == set()


def test_status_without_a_daemon_imports_only_what_its_message_needs(tmp_path: Path) -> None:
    assert imported_by(tmp_path, "status", of=NOT_FOR_A_REFUSAL) == set()


@pytest.mark.parametrize("name", CATALOGUE)
def test_overview_and_command_have_the_same_summary(name: str) -> None:
    help_ = load(name).parser.description or ""
    assert help_.splitlines()[0] == CATALOGUE[name].summary


@pytest.mark.parametrize("name", CATALOGUE)
def test_help_shows_an_example_and_every_option(name: str) -> None:
    shown = run(name, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert f"dualpath {name}" in shown.out.partition("\n\n")[2]
    assert run("help", name).out == shown.out


def test_unknown_command_gets_a_suggestion() -> None:
    assert run("rotues").err == "dualpath: no command is called 'rotues'; did you mean 'routes'?\n"
    assert run("help", "rotues").code == 2


def test_version_is_a_command_and_an_option() -> None:
    assert run("version").out == run("--version").out
    assert run("version").out.startswith("dualpath ")
