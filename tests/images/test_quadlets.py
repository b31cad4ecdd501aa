"""The quadlets of packaging/: podman's generator takes them, and systemd what it makes of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.lab.debian import program

pytestmark = pytest.mark.images

QUADLETS = Path(__file__).parents[2] / "packaging" / "quadlets"
GENERATOR = ("podman", "trixie", "usr/libexec/podman/quadlet")
"""This machine's podman may be too old to have it."""

NAMES = sorted(path.stem for path in QUADLETS.iterdir())


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("units")
    done = subprocess.run(
        [str(program(*GENERATOR)), "-no-kmsg-log", *[str(directory)] * 3],
        env={**os.environ, "QUADLET_UNIT_DIRS": str(QUADLETS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return directory


@pytest.mark.parametrize("name", NAMES)
def test_generator_makes_a_unit_that_systemd_takes(units: Path, name: str) -> None:
    path = units / f"{name}.service"
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "dualpath" in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("name", NAMES)
def test_unit_does_not_wait_for_the_network_that_it_may_make(units: Path, name: str) -> None:
    lines = (units / f"{name}.service").read_text().splitlines()
    assert not [line for line in lines if "network-online" in line and not line.startswith("#")]
    assert "WantedBy=multi-user.target" in lines
    assert (units / f"multi-user.target.wants/{name}.service").is_symlink()


def test_generator_refuses_a_key_that_does_not_exist(tmp_path: Path) -> None:
    """So a test that takes a file means something."""
    (tmp_path / "x.container").write_text("[Container]\nImage=a/b:c\nVolum=/a:/b\n")
    done = subprocess.run(
        [str(program(*GENERATOR)), "-dryrun", "-no-kmsg-log"],
        env={**os.environ, "QUADLET_UNIT_DIRS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Volum" in done.stderr
