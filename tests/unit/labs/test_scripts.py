"""The scripts of labs/: by shellcheck, and run with programs that only note how they are called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.documented import CHECKOUT

LABS = CHECKOUT / "labs"
SCRIPTS = sorted(
    path for path in LABS.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!")
)
PROGRAMS = ("docker", "containerlab", "kind", "kubectl", "podman", "modprobe")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(LABS)))
def test_shellcheck_finds_nothing(script: Path) -> None:
    if not (program := shutil.which("shellcheck")):
        pytest.skip("no shellcheck: as root .ci/setup installs it")
    done = subprocess.run([program, str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def run(script: str, programs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{programs}:{os.environ['PATH']}"
    return subprocess.run(
        [str(LABS / script)],
        env={"PATH": path, "CALLS": str(programs / "calls"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory of programs that succeed, and note how they were called."""
    for name in PROGRAMS:
        program(tmp_path, name, f'echo "{name} $*" >>"$CALLS"')
    program(tmp_path, "id", "echo 0")
    return tmp_path


def calls(programs: Path) -> list[str]:
    return (programs / "calls").read_text().splitlines()


def test_up_applies_files_that_exist(programs: Path) -> None:
    done = run("kind/up", programs)
    assert done.returncode == 0, done.stderr
    applied = [line.split() for line in calls(programs) if line.startswith("kubectl apply")]
    names = [word for line in applied for word in line if "/" in word and "://" not in word]
    assert len(names) > 5
    for name in names:
        assert (LABS / "kind" / name).exists(), name
    manifests = {f"manifests/{path.name}" for path in (LABS / "kind/manifests").iterdir()}
    assert manifests <= set(names)


def test_up_deploys_the_fabric_once(programs: Path) -> None:
    deploy = "containerlab deploy --topo kind.clab.yml"
    run("kind/up", programs)
    assert deploy not in calls(programs), "its containers are there"
    program(programs, "docker", "[ $1 != container ]")
    run("kind/up", programs)
    assert deploy in calls(programs)


def test_up_stops_sessions_among_nodes_when_the_router_is_there(programs: Path) -> None:
    run("kind/up", programs)
    order = [line.rpartition("/")[2] for line in calls(programs) if " manifests/" in line]
    assert order == ["calico.yaml", "dualpath.yaml", "calico-bgp.yaml", "metallb.yaml", "web.yaml"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("id", "echo 1000", "run this as root"),
        ("modprobe", "exit 1", "this kernel lacks a module"),
        ("podman", "exit 1", "no image localhost/dualpath:0.1.0: run `make images`."),
    ],
)
def test_up_says_what_is_missing(programs: Path, name: str, text: str, told: str) -> None:
    program(programs, name, text)
    done = run("kind/up", programs)
    assert done.returncode == 1
    assert told in done.stderr


def test_up_stops_at_the_first_failure(programs: Path) -> None:
    program(programs, "kubectl", 'echo "kubectl $*" >>"$CALLS"; exit 7')
    assert run("kind/up", programs).returncode == 7
    assert sum(line.startswith("kubectl") for line in calls(programs)) == 1


def test_down_removes_what_up_deployed(programs: Path) -> None:
    assert run("kind/down", programs).returncode == 0
    assert calls(programs) == ["containerlab destroy --cleanup --topo kind.clab.yml"]
