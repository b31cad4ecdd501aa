"""The Ansible role: each option is described; Dualpath and Ansible accept the example."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.cli.__main__ import main
from tests.architecture import ROOT

ANSIBLE = ROOT / "deploy" / "ansible"
ROLE = ANSIBLE / "roles" / "dualpath"


def load(path: Path) -> Any:  # noqa: ANN401
    return yaml.safe_load(path.read_text())


def tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"no {name} here: pip install ansible-core ansible-lint")
    return found


def test_each_option_is_described_and_used() -> None:
    options = load(ROLE / "meta" / "argument_specs.yaml")["argument_specs"]["main"]["options"]
    defaults = load(ROLE / "defaults" / "main.yaml")
    assert {name: it["default"] for name, it in options.items() if "default" in it} == defaults
    files = [*(ROLE / "tasks").iterdir(), *(ROLE / "templates").iterdir()]
    used = {name for path in files for name in re.findall(r"\bdualpath_[a-z_]+", path.read_text())}
    assert used - {"dualpath_status"} == set(options)


def test_the_manifests_of_the_example_are_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group = load(ANSIBLE / "inventory.example.yaml")["dualpath"]
    for host, its in group["hosts"].items():
        node, *others = group["vars"]["dualpath_manifests"]
        node = {
            **node,
            "metadata": {"name": host},
            "spec": {"nodeIndex": its["node_index"]},
        }
        file = tmp_path / "node.yaml"
        file.write_text(yaml.safe_dump_all([node, *others]))
        with pytest.raises(SystemExit) as ended:
            main(["validate", str(file)])
        assert ended.value.code == 0, capsys.readouterr().out


def test_ansible_accepts_the_playbook() -> None:
    command = [tool("ansible-playbook"), "-i", "inventory.example.yaml", "--syntax-check"]
    done = subprocess.run([*command, "site.yaml"], cwd=ANSIBLE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ansible_lint_has_nothing_to_say() -> None:
    command = [tool("ansible-lint"), "--offline", "--profile", "production", "."]
    done = subprocess.run(command, cwd=ANSIBLE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
