"""Completions, requested as the shells' scripts request them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.catalogue import CATALOGUE
from controller.cli.complete import candidates
from tests.unit.controller.cli.conftest import Daemon, run


def values(*words: str) -> list[str]:
    return [value for value, _ in candidates(words)]


def test_command_completion_has_descriptions() -> None:
    assert values("") == list(CATALOGUE)
    assert candidates(["stat"]) == [("status", "Show the daemon at a glance")]
    assert values("--connect", "unix:/x.sock", "rou") == ["routes"]


def test_each_option_is_completed_once_unless_repeatable() -> None:
    assert values("routes", "--v") == ["--vrf", "--vni"]
    assert values("routes", "--vni", "100", "--v") == ["--vrf"]
    assert values("routes", "--state", "failed", "--st") == ["--state"]
    assert "--connect" in values("--c")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["routes", "--family", ""], ["ipv4", "ipv6"]),
        (["routes", "-o", "j"], ["json"]),
        (["routes", "--output=y"], ["--output=yaml"]),
        (["watch", "--state", ""], ["programmed", "failed", "unmanaged"]),
        (["completion", "b"], ["bash"]),
        (["help", "rou"], ["routes"]),
        (["validate", ""], []),
        (["--connect", ""], []),
    ],
)
def test_option_values_are_completed(words: list[str], found: list[str]) -> None:
    assert values(*words) == found


def test_names_are_completed_from_the_daemon(daemon: Daemon) -> None:
    asked = ["--connect", daemon.listen]
    assert values(*asked, "routes", "--vrf", "") == ["default", "red"]
    assert values(*asked, "routes", "--vrf=r") == ["--vrf=red"]
    assert "100" in values(*asked, "macs", "--vni", "1")
    assert "eth1" in values(*asked, "ports", "e")


def test_silent_daemon_completes_nothing(tmp_path: Path) -> None:
    asked = ["--connect", f"unix:{tmp_path}/none.sock"]
    assert values(*asked, "macs", "--vni", "") == []
    assert values(*asked, "ports", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_valid_for_its_shell(shell: str, tmp_path: Path) -> None:
    result = run("completion", shell)
    assert "dualpath __complete" in result.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.out, text=True, check=True)


def test_bash_completes_through_its_script(tmp_path: Path) -> None:
    program = tmp_path / "dualpath"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m controller.cli "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script").write_text(run("completion", "bash").out)
    for words, found in (
        ("dualpath routes --fam", "--family"),
        ('dualpath routes --family ""', "ipv4 ipv6"),
        ("dualpath routes --family = ipv", "ipv4 ipv6"),
        ("dualpath --connect unix : /x.sock stat", "status"),
    ):
        script = (
            f"PATH={tmp_path}:$PATH; . {tmp_path}/script; COMP_WORDS=({words}); "
            "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _dualpath; echo ${COMPREPLY[*]}"
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == found, words
