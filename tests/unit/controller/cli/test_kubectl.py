"""kubectl's plugin, with a kubectl that answers from files and runs what it is told to."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.cli import kubectl as module
from controller.intent.node import NODE_INDEX
from controller.intent.schema import GROUP, OUR_GROUP
from controller.kubernetes.agent import NAMESPACE
from controller.kubernetes.objects import NODE_STATUS

FAKE = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
here, told = pathlib.Path(__file__).parent, sys.argv[1:]
with (here / "calls").open("a") as log:
    log.write(json.dumps(told) + "\\n")
told = [t for t in told if not t.startswith("--context")]
if told[0] == "exec":
    os.environ["PATH"] = f"{{here}}/pod:" + os.environ["PATH"]
    sys.exit(subprocess.run(told[told.index("--") + 1:]).returncode)
answer = here / (told[0] if told[0] != "get" else "-".join(told[:2]).replace(",", "_"))
if not answer.exists():
    sys.exit(f"Error from server (Forbidden): {{told[1]}}")
sys.stdout.write(answer.read_text())
"""
DUALPATH = """#!/bin/sh
if [ "$1" = support-bundle ]; then printf 'bytes\\000' > "$3"; echo "$3: written"; exit 0; fi
echo "dualpath $*"; [ "$1" != fails ]
"""
KINDS = [
    "l3vnis.network.openperouter.io",
    "routernodeconfigurationstatuses.network.openperouter.io",
]


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Cluster:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        program(directory / "kubectl", FAKE)
        program(directory / "pod" / "dualpath", DUALPATH)
        self.answer("api-resources", "\n".join(KINDS))
        self.nodes("node-1", "node-2")
        self.items()
        self.pods("dualpath-abc")

    def answer(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def nodes(self, *names: str) -> None:
        items = [
            {"metadata": {"name": name, "annotations": {NODE_INDEX: str(index)}}}
            for index, name in enumerate(names)
        ]
        self.answer("get-nodes", json.dumps({"items": items}))

    def items(self, *items: Any) -> None:  # noqa: ANN401
        # the fake answers alike for both groups, so each kind is asked for twice
        self.answer(f"get-{'_'.join([*KINDS, *KINDS])}", json.dumps({"items": items}))

    def pods(self, *names: str, phase: str = "Running") -> None:
        items = [{"metadata": {"name": name}, "status": {"phase": phase}} for name in names]
        self.answer("get-pods", json.dumps({"items": items}))

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.directory / "calls").read_text().splitlines()]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    return Cluster(tmp_path / "bin")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["kubectl-dualpath", *arguments])
    with pytest.raises(SystemExit) as ended:
        module.main()
    code = ended.value.code
    return code if isinstance(code, int) else 1


def l3vni(name: str, *rows: dict[str, Any], namespace: str = "team") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"kind": "L3VNI", "metadata": metadata, "status": {"nodes": list(rows)}}


def row(node: str, reason: str = "ConfigurationSuccessful", message: str = "") -> dict[str, Any]:
    ready = reason == "ConfigurationSuccessful"
    return {"name": node, "ready": ready, "reason": reason, "message": message}


def test_names_that_the_plugin_repeats_are_the_agent_s() -> None:
    assert (module.NAMESPACE, module.NODE_INDEX) == (NAMESPACE, NODE_INDEX)
    assert module.REPORT == NODE_STATUS
    assert [f"{group}/v1alpha1" for group in module.GROUPS] == [GROUP, OUR_GROUP]


def test_status_counts_objects_by_node_and_names_what_failed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.nodes("node-1", "node-2", "node-3")
    cluster.items(
        l3vni("red", row("node-1"), row("node-2", "ValidationFailed", "VNI 100 is used")),
        l3vni("blue", row("node-1"), row("node-2"), namespace="default"),
    )
    assert run(monkeypatch, "status") == 0
    nodes, failed = capsys.readouterr().out.split("\n\n")
    assert [line.split() for line in nodes.splitlines()[1:]] == [
        ["node-1", "0", "yes", "2", "0"],
        ["node-2", "1", "no", "1", "1"],
        ["node-3", "2", "-", "0", "0"],
    ]
    assert failed.splitlines()[1].split(maxsplit=3) == [
        "node-2",
        "L3VNI/team/red",
        "ValidationFailed",
        "VNI 100 is used",
    ]


def test_openperouters_report_of_a_node_is_read_as_well(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {
        "kind": "FrrConfiguration",
        "name": "mine",
        "reason": "FrrConfigurationFailed",
        "message": "line 3",
    }
    ready = {"type": "Ready", "status": "False", "reason": "ConfigurationFailed", "message": "see"}
    status = {"conditions": [ready], "failedResources": [failed]}
    cluster.items({"kind": NODE_STATUS, "metadata": {"name": "node-2"}, "status": status})
    assert run(monkeypatch, "status", "node-2", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [node["state"] for node in told["nodes"]] == ["no"]
    assert [r["resource"] for r in told["resources"]] == ["RawFRRConfig/mine", "Node/node-2"]


def test_a_message_cannot_command_the_terminal(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.items(l3vni("red", row("node-1", "ValidationFailed", "\x1b[2Jgone\x07")))
    assert run(monkeypatch, "status") == 0
    assert not {"\x1b", "\x07"} & {*capsys.readouterr().out}


def test_explain_runs_in_the_pod_of_the_node(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "explain", "node-1", "10.0.0.1", "--vrf", "red", "--context", "c") == 0
    assert capfd.readouterr().out == "dualpath explain 10.0.0.1 --vrf red\n"
    pods, exec_ = cluster.calls
    assert pods[0] == exec_[0] == "--context=c"
    assert "--field-selector=spec.nodeName=node-1" in pods
    assert exec_[1:7] == ["exec", "-n", module.PODS, "-c", "controller", "dualpath-abc"]


def test_exec_runs_any_command_and_ends_with_its_code(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "exec", "node-1", "--", "routes", "--vrf", "red") == 0
    assert capfd.readouterr().out == "dualpath routes --vrf red\n"
    assert run(monkeypatch, "exec", "node-1", "--", "fails") == 1
    assert run(monkeypatch, "exec", "node-1") == 2


def test_a_bundle_arrives_whole_and_for_its_owner_alone(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "support-bundle", "node-1") == 0
    file = tmp_path / "dualpath-node-1.tar.gz"
    assert file.read_bytes() == b"bytes\0"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "dualpath-node-1.tar.gz: 6 bytes" in capfd.readouterr().out
    program(cluster.directory / "pod" / "dualpath", "#!/bin/sh\nexit 1\n")
    assert run(monkeypatch, "support-bundle", "node-1", "--file", "other.tar.gz") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"bin", file.name}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["status", "node-9"], "there is no node node-9"),
        (["explain", "node-1", "10.0.0.1"], "no running pod on node node-1"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    cluster.pods("dualpath-abc", phase="Pending")
    assert run(monkeypatch, *arguments) == 1
    assert complaint in capsys.readouterr().err


def test_what_kubectl_says_is_passed_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (cluster.directory / "get-nodes").unlink()
    assert run(monkeypatch, "status") == 1
    assert "Forbidden" in capsys.readouterr().err
    cluster.answer("get-nodes", "[]")
    assert run(monkeypatch, "status") == 1
    assert "no list of objects" in capsys.readouterr().err


def test_without_definitions_the_plugin_says_what_to_do(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answer("api-resources", "")
    assert run(monkeypatch, "status") == 1
    assert "apply deploy/crds" in capsys.readouterr().err


def test_without_kubectl_the_plugin_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(monkeypatch, "status") == 1
    assert "kubectl: No such file" in capsys.readouterr().err
