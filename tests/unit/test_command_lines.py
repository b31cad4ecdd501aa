"""Random values of every option end in one sentence that names it, and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version

import pytest

from controller.__main__ import main as controller
from controller.cli.__main__ import main as dualpath
from controller.cli.kubectl import main as kubectl_dualpath
from controller.operator.__main__ import main as operator
from datapaths.grout.agent import main as grout_agent
from datapaths.remote.serve import main as serve
from frr_bridge.__main__ import main as frr_bridge
from frr_bridge.frr_exec import main as frr_exec

Program = Callable[[], None]

SHARED = {
    "--fpm": ["", "2620", ":2620", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "a:b", "::1:x"],
    "--state-dir": ["", "/" + "x" * 110],
    "--frr-name": ["../pe1", "a/b", "-N"],
    "--hold": ["", "x", "-1", "nan", "inf"],
    "--log-level": ["", "nonsense", "INFO"],
    "--log-format": ["", "xml"],
}
LISTEN = ["", "foo", "unix:rel", "unix:/" + "x" * 120, "10.0.0.1:5000", "127.0.0.1:99999"]
SERVER = {
    "--listen": LISTEN,
    "--log-level": SHARED["--log-level"],
    "--log-format": SHARED["--log-format"],
    "--tls-cert": ["c"],
    "--nonsense": ["x"],
}
CONTROLLER = SHARED | {
    "--datapath": ["", "magic"],
    "--listen": LISTEN,
    "--metrics": ["9100", "127.0.0.1:x", "0.0.0.0:99999"],
    "--config": [""],
    "--bridge": ["no"],
    "--node-index": ["", "x", "-1", "4294967296"],
    "--tls-cert": ["", "c"],
    "--tls-key": ["", "k"],
    "--tls-ca": ["", "a"],
    "--nonsense": ["x"],
}
DUALPATH = {
    "--connect": ["x", "unix:rel", "unix:", "127.0.0.1:port", "127.0.0.1:99999", "localhost:"],
    "--nonsense": ["x"],
}
LISTS = {
    "--vni": ["x", "0", "16777216"],
    "--limit": ["x", "0", "-1"],
    "--family": ["ipx"],
    "--state": ["great"],
    "--output": ["xml"],
    "--nonsense": ["x"],
}


def cases(
    program: Program, before: list[str], after: list[str], table: dict[str, list[str]]
) -> list[object]:
    return [
        pytest.param(
            program, [*before, f"{option}={value}", *after], option, id=f"{option}={value}"
        )
        for option, values in table.items()
        for value in values
    ]


@pytest.mark.parametrize(
    ("program", "arguments", "option"),
    [
        *cases(controller, ["--datapath=kernel"], [], CONTROLLER),
        *cases(controller, ["--datapath=dpdk"], [], {"--agent": ["foo", "unix:x", "192.0.2.1:7"]}),
        *cases(grout_agent, [], [], SERVER),
        *cases(serve, ["--datapath=memory"], [], SERVER),
        *cases(frr_bridge, [], [], SHARED | {"--nonsense": ["x"]}),
        *cases(dualpath, [], ["status"], DUALPATH),
        *cases(dualpath, ["--connect=127.0.0.1:1"], ["status"], {"--cert": ["/none"]}),
        *cases(dualpath, ["routes"], [], LISTS),
    ],
)
def test_invalid_option_value_is_refused_in_one_sentence(
    program: Program,
    arguments: list[str],
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as ended:
        program()
    said = capsys.readouterr()
    assert said.out == ""
    assert ended.value.code == 2
    assert "Traceback" not in said.err
    *before, last = said.err.strip().splitlines()
    assert option in last or option == "--connect"
    assert not before


def test_missing_namespace_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for netns in ("dp-none", "/etc/passwd"):
        monkeypatch.setattr(sys, "argv", ["frr-bridge", f"--netns={netns}"])
        with pytest.raises(SystemExit) as ended:
            frr_bridge()
        said = f"frr-bridge: --netns: no network namespace {netns}"
        assert ended.value.code == said


@pytest.mark.parametrize(
    "program", [controller, dualpath, frr_bridge, frr_exec, grout_agent, kubectl_dualpath, operator]
)
def test_every_program_prints_its_version(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "--version"])
    with suppress(SystemExit):
        program()
    assert capsys.readouterr().out == f"dualpath {version('dualpath')}\n"
