"""What a support bundle contains, and what it must not contain."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from controller.cli import support
from controller.cli.options import Target
from tests.unit.controller.cli.conftest import Daemon, run

MANIFEST = """\
# the password is hunter2
kind: L3VNI
metadata: {name: red}
spec:
  vrf: red
  hostSession: {password: hunter2, passwordSecret: of-red, passwordFile: red.txt}
  neighbors: [{password: hunter2}, {asn: 65000}]
---
kind: RawFRRConfig
spec: {rawConfig: "router bgp 1\\n neighbor 10.0.0.1 password hunter2\\n"}
---
kind: Secret
metadata: {name: s}
stringData: {anything: hunter2, list: [hunter2]}
"""


class Machine:
    """Returns each command as its own output; FRR's configuration contains a password."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def run(self, command: Sequence[str]) -> str:
        self.commands.append(" ".join(command))
        if "running-config" in self.commands[-1]:
            return "router bgp 1\n neighbor 10.0.0.1 password hunter2\n"
        return f"output of {self.commands[-1]}\n"


def collected(
    tmp_path: Path, spaces: dict[str, str], **extra: str
) -> tuple[dict[str, str], Machine]:
    (tmp_path / "red.yaml").write_text(MANIFEST)
    (tmp_path / "broken.yaml").write_text("a: [hunter2")
    (tmp_path / "notes.txt").write_text("hunter2")
    machine = Machine()
    target = Target("unix:/x.sock")
    found = support.contents(target, spaces, extra.get("frr", ""), [tmp_path], machine.run)
    return dict(found), machine


def test_support_bundle_has_no_secret(tmp_path: Path) -> None:
    files, _ = collected(tmp_path, {"control": "frr", "forwarding": "dualpath"})
    assert not [name for name, text in files.items() if "hunter2" in text]
    assert "neighbor 10.0.0.1 password ***" in files["frr/show-running-config.txt"]


def test_bundled_manifests_lose_only_their_secrets(tmp_path: Path) -> None:
    files, _ = collected(tmp_path, {})
    assert {name for name in files if name.startswith("manifests")} == {
        f"manifests{tmp_path}/red.yaml",
        f"manifests{tmp_path}/broken.yaml",
    }
    red, raw, secret = yaml.safe_load_all(files[f"manifests{tmp_path}/red.yaml"])
    assert red["spec"]["hostSession"] == {
        "password": "***",
        "passwordSecret": "of-red",
        "passwordFile": "red.txt",
    }
    assert red["spec"]["neighbors"] == [{"password": "***"}, {"asn": 65000}]
    assert raw["spec"]["rawConfig"] == "router bgp 1\n neighbor 10.0.0.1 password ***\n"
    assert secret["stringData"] == {"anything": "***", "list": ["***"]}
    assert secret["metadata"] == {"name": "s"}
    assert files[f"manifests{tmp_path}/broken.yaml"].startswith("# left out: ")


def test_each_namespace_is_inspected_from_inside(tmp_path: Path) -> None:
    _, machine = collected(tmp_path, {"control": "frr", "forwarding": "/proc/7/ns/net"}, frr="pe1")
    assert "nsenter --net=/run/netns/frr -- vtysh -N pe1 -c show version" in machine.commands
    assert "nsenter --net=/run/netns/frr -- ip -d link" in machine.commands
    assert "nsenter --net=/proc/7/ns/net -- bridge fdb" in machine.commands
    assert "dualpath --connect unix:/x.sock routes -o json" in machine.commands


def test_namespaces_come_from_the_daemon_or_its_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = json.dumps({"netns": "fwd", "frr_netns": "ctl"})
    monkeypatch.setattr(support, "run", lambda _: answer)
    expected = {"control": "ctl", "forwarding": "fwd"}
    assert support.namespaces(Target("x"), tmp_path) == expected
    monkeypatch.setattr(support, "run", lambda _: "# exit code 1")
    assert support.namespaces(Target("x"), tmp_path) == {"control": "", "forwarding": "dualpath"}
    (tmp_path / "footprint.json").write_text('{"control": "ctl", "forwarding": "fwd"}')
    assert support.namespaces(Target("x"), tmp_path) == expected


def test_missing_part_of_a_bundle_has_a_reason() -> None:
    assert support.run(["/none/program", "x"]).startswith("# /none/program x: ")
    assert support.run(["sh", "-c", "echo a; echo b >&2; exit 3"]) == "a\n# exit code 3: b\n"


def test_bundle_is_one_file_readable_by_its_owner_only(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    monkeypatch.setattr(support, "run", machine.run)
    (tmp_path / "m").mkdir()
    file = tmp_path / "bundle.tar.gz"
    options = ["--file", str(file), "--config", str(tmp_path / "m")]
    result = daemon.run("support-bundle", *options)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{file}: ")
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]
    assert {"dualpath/status.json", "frr/show-version.txt", "machine/uname-a.txt"} <= set(names)


def test_unwritable_bundle_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support, "run", Machine().run)
    result = run("support-bundle", "--file", str(tmp_path / "none" / "x"))
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "No such file or directory" in result.err
