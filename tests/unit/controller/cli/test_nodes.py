"""One command on many nodes, by a program called ssh that runs it here."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from controller.cli import nodes as module
from controller.cli.nodes import nodes
from tests.unit.controller.cli.conftest import Daemon, run

SSH = """#!/bin/sh
[ "$1 $2 $4" = "-T -oBatchMode=yes --" ] || { echo "ssh: bad options: $*" >&2; exit 255; }
case "$5" in
    down) echo Banner >&2; echo "ssh: connect to host down port 22: refused" >&2; exit 255;;
    old) echo "dualpath: no command is called" >&2; exit 2;;
    evil) printf '\\033]0;owned\\007 {"ready"'; exit 0;;
    endless) exec head -c 5000 /dev/zero;;
    slow) exec sleep 60;;
esac
PATH={bin}:$PATH
eval "$6"
"""


@pytest.fixture
def fabric_of_nodes(daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    ours = f'#!/bin/sh\nexec "{sys.executable}" -m controller.cli "$@"\n'
    for name, text in (("ssh", SSH.replace("{bin}", str(tmp_path))), ("dualpath", ours)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DUALPATH_CONNECT", daemon.listen)
    return daemon


def test_status_of_many_nodes_is_one_table_and_errors_are_named(fabric_of_nodes: Daemon) -> None:
    result = run("--nodes", "pe1,root@pe2,down,old", "status")
    assert result.code == 1
    head, first, second = result.out.splitlines()
    assert head.split()[:3] == ["NODE", "READY", "DATAPATH"]
    assert first.split()[:3] == ["pe1", "yes", "kernel"]
    assert second.split()[0] == "root@pe2"
    assert result.err.splitlines() == [
        "dualpath: down: ssh: connect to host down port 22: refused",
        "dualpath: old: no command is called",
    ]


def test_json_has_every_node_with_its_answer_or_its_error(fabric_of_nodes: Daemon) -> None:
    words = ["explain", "10.2.3.4", "--vrf", "red", "-o", "json"]
    result = run("--nodes", "pe1,down", *words)
    assert (result.code, result.err) == (1, "")
    first, second = json.loads(result.out)
    assert (first["node"], first["exit_code"], first["error"]) == ("pe1", 0, "")
    assert first["answer"]["vrf"] == "red"
    assert second["answer"] is None
    assert "refused" in second["error"]


def test_explain_as_text_has_a_section_for_each_node(fabric_of_nodes: Daemon) -> None:
    result = run("--nodes", "pe1,pe2", "explain", "10.2.3.4", "--vrf", "red")
    assert result.code == 0
    assert result.out.count("== pe") == 2
    assert result.out.count("10.2.0.0/16") >= 2


def test_an_audit_that_finds_a_difference_is_the_exit_code(fabric_of_nodes: Daemon) -> None:
    fabric_of_nodes.view.unchecked = "routes: the datapath does not answer"
    result = run("--nodes", "pe1", "audit", "-o", "json")
    assert result.code == 1
    assert json.loads(result.out)[0]["exit_code"] == 2


def test_a_node_cannot_steer_the_terminal_nor_fill_memory_nor_stall(
    fabric_of_nodes: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST", 4096)
    monkeypatch.setattr(module, "ANSWER_S", 0.5)
    result = run("--nodes", "evil", "explain", "10.2.3.4")
    assert "\x1b" not in result.out
    assert "\ufffd]0;owned\ufffd" in result.out
    result = run("--nodes", "evil,endless,slow", "status")
    assert result.err.splitlines() == [
        "dualpath: evil: its answer is not JSON; is it an older version?",
        "dualpath: endless: it answered more than 0 MiB",
        "dualpath: slow: no answer within 0 s",
    ]


@pytest.mark.parametrize("text", ["", ",", "-oProxyCommand=x", "a b", "a;b", "@a", "a@-b", "a\n"])
def test_what_ssh_could_take_for_an_option_is_no_node(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        nodes(text)


def test_a_node_is_asked_once() -> None:
    assert nodes("a,b,,a,root@fe80::1%eth0") == ["a", "b", "root@fe80::1%eth0"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["resync"], "--nodes works with status, explain, audit; use ssh for others"),
        (["--ca", "/etc/passwd", "status"], "leave out --cert, --key and --ca"),
        (["status", "--nonsense"], "--nonsense"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_node_is_asked(words: list[str], why: str) -> None:
    result = run("--nodes", "pe1", *words)
    assert result.code == 2
    assert why in result.err
