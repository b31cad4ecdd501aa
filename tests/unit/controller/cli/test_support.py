"""What a support bundle contains, and what it must not contain."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from controller.cli import support
from controller.cli.options import Target
from controller.cli.support import Places
from controller.node import namespacerecord
from controller.node.namespaces import NamespacePair
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


def collected(tmp_path: Path, **places: str) -> tuple[dict[str, str], Machine]:
    (tmp_path / "red.yaml").write_text(MANIFEST)
    (tmp_path / "broken.yaml").write_text("a: [hunter2")
    (tmp_path / "notes.txt").write_text("hunter2")
    (tmp_path / "frr.log").write_text("neighbor 10.0.0.1 password hunter2\nzebra started\n")
    machine = Machine()
    logs = (tmp_path / "frr.log", tmp_path / "none.log")
    found = Places(**places, config=(tmp_path,), logs=logs)
    return dict(support.contents(Target("unix:/x.sock"), found, machine.run)), machine


def test_support_bundle_has_no_secret(tmp_path: Path) -> None:
    files, _ = collected(tmp_path, control="frr", forwarding="dualpath")
    assert not [name for name, text in files.items() if "hunter2" in text]
    assert "neighbor 10.0.0.1 password ***" in files["frr/show-running-config.txt"]


def test_bundled_manifests_lose_only_their_secrets(tmp_path: Path) -> None:
    files, _ = collected(tmp_path)
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
    assert files[f"manifests{tmp_path}/broken.yaml"].startswith(support.FAILED)


def test_each_namespace_is_inspected_from_inside(tmp_path: Path) -> None:
    _, machine = collected(
        tmp_path, control="frr", forwarding="/proc/7/ns/net", frr_name="pe1", grout_sock="/g.sock"
    )
    assert "nsenter --net=/run/netns/frr -- vtysh -N pe1 -c show version" in machine.commands
    assert "nsenter --net=/run/netns/frr -- ip -d link" in machine.commands
    assert "nsenter --net=/proc/7/ns/net -- bridge fdb" in machine.commands
    assert "grcli -s /g.sock route show" in machine.commands
    assert any(
        command.endswith("--connect unix:/x.sock routes -o json") for command in machine.commands
    )


def test_log_files_are_there_without_secrets(tmp_path: Path) -> None:
    files, _ = collected(tmp_path)
    log = files[f"logs{tmp_path}/frr.log"]
    assert log == "neighbor 10.0.0.1 password ***\nzebra started\n"
    assert files[f"logs{tmp_path}/none.log"] == f"{support.FAILED}No such file or directory\n"


def test_namespaces_come_from_the_daemon_or_its_state_directory(tmp_path: Path) -> None:
    expected = {"control": "ctl", "forwarding": "fwd"}
    assert support.namespaces({"netns": "fwd", "frr_netns": "ctl"}, tmp_path) == expected
    assert support.namespaces({}, tmp_path) == {"control": "", "forwarding": "dualpath"}
    namespacerecord.write(tmp_path, NamespacePair("fwd", "ctl", False, False), "")
    assert support.namespaces({}, tmp_path) == expected


def test_options_of_the_daemon_are_those_of_who_listens(tmp_path: Path) -> None:
    path = tmp_path / "inspect.sock"
    program = (
        "import socket, sys\n"
        f"s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen()\n"
        "print(flush=True); sys.stdin.read()\n"
    )
    told = ["--frr-name=pe1", "--config", "/a", "--config=/b", "--start-grout"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *told], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout
        daemon.stdout.readline()
        found = support.daemon_options(Target(f"unix:{path}"))
        daemon.communicate()
    assert (found["frr-name"], found["config"]) == (["pe1"], ["/a", "/b"])
    assert support.daemon_options(Target(f"unix:{path}")) == {}
    assert support.daemon_options(Target("127.0.0.1:1")) == {}


def test_missing_part_of_a_bundle_has_a_reason() -> None:
    failed = support.run(["/none/program", "x"])
    assert failed.startswith(f"{support.FAILED}[Errno 2] No such file")
    partly = support.run(["sh", "-c", "echo a; echo b >&2; exit 3"])
    assert partly == f"a\n{support.FAILED}exit code 3: b\n"


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
    assert "missing.txt" not in names


def test_what_is_missing_is_listed(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(command: Sequence[str]) -> str:
        return f"{support.FAILED}exit code 1: no FRR\n" if "vtysh" in command else "{}"

    monkeypatch.setattr(support, "run", execute)
    file = tmp_path / "bundle.tar.gz"
    result = daemon.run("support-bundle", "--file", str(file), "--config", str(tmp_path / "m"))
    assert "see missing.txt in it: frr/show-version.txt, " in result.out
    with tarfile.open(file) as tar:
        [name] = [name for name in tar.getnames() if name.endswith("/missing.txt")]
        member = tar.extractfile(name)
        assert member
        assert b"frr/show-version.txt: exit code 1: no FRR\n" in member.read()


def test_unwritable_bundle_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support, "run", Machine().run)
    result = run("support-bundle", "--file", str(tmp_path / "none" / "x"))
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "No such file or directory" in result.err
