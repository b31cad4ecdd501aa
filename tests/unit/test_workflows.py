"""The workflows for GitHub run what CI runs everywhere, pinned by version, with few permissions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
PINNED = re.compile(r"[\w/-]+@v\d+\.\d+\.\d+")


def workflow(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


def test_ci_runs_the_same_script_on_every_supported_release() -> None:
    (job,) = workflow(ROOT / ".github" / "workflows" / "ci.yaml")["jobs"].values()
    assert job["strategy"]["matrix"]["image"] == ["debian:12", "debian:13", "ubuntu:24.04"]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_is_pinned_and_bounded_and_writes_nothing(path: Path) -> None:
    found = workflow(path)
    assert found["permissions"] == {"contents": "read"}
    for job in found["jobs"].values():
        assert job["timeout-minutes"] <= 120
        assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])
        for step in job["steps"]:
            assert PINNED.fullmatch(step.get("uses", "x/y@v1.2.3")), step
