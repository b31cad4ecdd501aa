"""`render`, `validate` and `diff`: their output and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from controller.intent import layout
from controller.intent.loader import load
from controller.intent.show import show
from tests.unit.controller.cli.conftest import Daemon, run
from tests.unit.controller.intent.build import Yaml, manifest, neighbor, underlay
from tests.unit.controller.intent.rulebook import rule

RED = manifest("L3VNI", "red")


def written(path: Path, *manifests: Yaml) -> str:
    path.write_text("\n---\n".join(json.dumps(m) for m in manifests))
    return str(path)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return written(tmp_path / "good.yaml", neighbor(password="hunter2"), RED)


@pytest.fixture
def other(tmp_path: Path) -> str:
    red = {**RED, "spec": {**RED["spec"], "vxlanPort": 4790}}
    return written(tmp_path / "other.yaml", neighbor(password="x"), red, manifest("L2VNI", "s"))


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return written(tmp_path / "bad.yaml", underlay(), manifest("L3VNI", "red", vni=0))


@rule("Session.password.secrecy", "Manifest.command")
def test_render_shows_devices_and_frr_conf_without_secrets(good: str) -> None:
    result = run("render", good, "--node-index", "4")
    assert (result.code, result.err) == (0, "")
    assert "vrf   red       L3VNI red          table 1000100" in result.out
    assert "host_addresses 10.100.0.6/24 fd00:100::6/64" in result.out
    assert " neighbor 192.168.1.0 password ***" in result.out
    tree = json.loads(run("render", good, "-o", "json").out)
    assert yaml.safe_load(run("render", good, "-o", "yaml").out) == tree
    assert tree["frr_conf"].startswith("frr defaults traditional\n")
    assert {d["name"] for d in tree["devices"]} == {"red", "100", "lo", "eth1", "pe-e-100"}
    assert "hunter2" not in json.dumps(tree) + result.out


def test_render_is_deterministic(good: str) -> None:
    assert run("render", good).out == run("render", good).out


def test_render_omits_and_reports_rejected_resources(bad: str) -> None:
    result = run("render", bad)
    assert result.code == 1
    assert "vrf" not in result.out
    assert result.err.startswith(f"dualpath: {bad}:")
    assert ": L3VNI red: spec.vni: must be greater" in result.err


@rule("Manifest.command")
def test_validate_lists_accepted_and_rejected_resources(good: str, bad: str) -> None:
    assert run("validate", good).code == 0
    result = run("validate", bad)
    assert result.code == 1
    assert "L3VNI/red          no: ValidationFailed  1 error, below" in result.out
    assert ": L3VNI red: spec.vni: must be greater than or equal to 1\n" in result.out
    statuses = json.loads(run("validate", bad, "-o", "json").out)
    assert {s["name"]: s["ready"] for s in statuses} == {"red": False, "underlay": True}
    (error,) = next(s["errors"] for s in statuses if s["name"] == "red")
    assert error.pop("line") > 0
    assert error.pop("column") > 0
    assert error == {
        "file": bad,
        "kind": "L3VNI",
        "name": "red",
        "field": "spec.vni",
        "message": "must be greater than or equal to 1",
        "suggestion": "",
    }


def test_validate_reports_syntax_errors_as_json_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [b\n---\nkind: {x\n")
    result = run("validate", str(tmp_path), "-o", "json")
    assert result.code == 2
    (broken,) = json.loads(result.out)
    assert [(e["line"], e["column"]) for e in broken["errors"]] == [(2, 1), (4, 1)]


def test_unreadable_manifest_exits_with_trouble(tmp_path: Path) -> None:
    for command in ("render", "validate", "diff"):
        result = run(
            command, str(tmp_path / "none.yaml"), *(["--against", "/"] * (command == "diff"))
        )
        assert (result.code, result.out) == (2, ""), command
        assert result.err.startswith("dualpath: ")
        assert result.err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "nodeIndex: 7\n"])
def test_validate_rejects_manifests_that_prevent_a_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    result = run("validate", str(tmp_path))
    assert (result.code, result.out) == (2, "")
    assert result.err == f"dualpath: {tmp_path}: no resource found\n"


def test_diff_shows_changes_only(good: str, other: str) -> None:
    same = run("diff", good, "--against", good)
    assert (same.code, same.out) == (0, "")
    result = run("diff", other, "--against", good)
    assert result.code == 1
    assert " vni 100 (L3VNI red)\n-  port 4789\n+  port 4790\n" in result.out
    assert "+vni 110 (L2VNI s)\n+  layer 2\n+  vrf red\n" in result.out
    assert "\n+  network 10.110.0.0/24\n" in result.out
    assert "-vni 110 (L2VNI s)" in run("diff", good, "--against", other).out
    tree = json.loads(run("diff", other, "--against", good, "-o", "json").out)
    assert tree["devices"][0] == {
        "change": "changed",
        "kind": "VNI",
        "name": "100",
        "resource": "L3VNI red",
        "before": {"port": "4789"},
        "after": {"port": "4790"},
    }


def test_diff_takes_the_node_from_the_daemon(daemon: Daemon, good: str, other: str) -> None:
    found = load([Path(good)])
    node = type(found.node)(index=9, name="pe9")
    daemon.view.planned = show(layout.compile(found, node, 9000))
    assert (daemon.run("diff", good).code, daemon.run("diff", good).out) == (0, "")
    assert daemon.run("diff", other).code == 1
    assert daemon.run("diff", good, "--node-index", "8").code == 1


def test_diff_without_the_daemons_intent_exits_with_trouble(
    daemon: Daemon, good: str, tmp_path: Path
) -> None:
    result = daemon.run("diff", good)
    assert (result.code, result.out) == (2, "")
    assert "without manifests" in result.err
    nobody = run("--connect", f"unix:{tmp_path}/nobody.sock", "diff", good)
    assert nobody.code == 2
    assert "no daemon listens" in nobody.err


def test_manifest_is_read_from_standard_input(good: str, bad: str) -> None:
    def validate(path: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "controller.cli", "validate", "-"]
        with open(path) as file:
            done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert validate(good) == (0, run("validate", good).out)
    code, out = validate(bad)
    assert (code, out) == (1, run("validate", bad).out.replace(bad, "/dev/stdin"))


def test_diff_is_coloured_when_requested(
    good: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run("diff", other, "--against", good).out
    assert "\x1b[31m-  port 4789\x1b[0m\n\x1b[32m+  port 4790\x1b[0m\n" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("diff", other, "--against", good).out
