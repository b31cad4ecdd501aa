"""What there is to run, and how guests share it out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import targets
from tests.lab.claims import claim

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, scenarios in (("a", 1), ("b", 4), ("c", 2), ("d", 2)):
        path = tmp_path / targets.LAB / f"test_{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"def test_{n}(): ...\n" for n in range(scenarios)))
    return tmp_path


def test_file_with_grout_scenarios_is_recognized(checkout: Path) -> None:
    directory = checkout / targets.LAB
    (directory / "test_b.py").write_text("pytestmark = [pytest.mark.lab, pytest.mark.grout]\n")
    (directory / "test_c.py").write_text('@pytest.mark.datapaths("kernel", "dpdk")\n')
    found, _ = targets.find(checkout, [])
    assert [target.grout for target in found] == [False, True, True, False]


def test_file_with_an_api_server_is_recognized(checkout: Path) -> None:
    file = checkout / targets.LAB / "test_b.py"
    file.write_text("from tests.kube.server import ApiServer\n")
    found, _ = targets.find(checkout, [])
    assert [target.kube for target in found] == [False, True, False, False]


def names(found: list[targets.Target]) -> list[str]:
    return [str(target).removeprefix(f"{targets.LAB}/") for target in found]


def test_every_scenario_is_selected_unless_some_are_named(checkout: Path) -> None:
    found, options = targets.find(checkout, ["-k", "ipv6", "-x"])
    assert names(found) == ["test_a.py", "test_b.py", "test_c.py", "test_d.py"]
    assert options == ["-k", "ipv6", "-x"]


def test_files_and_single_tests_can_be_selected(checkout: Path) -> None:
    arguments = [f"{targets.LAB}/test_a.py", "-v", f"{targets.LAB}/test_b.py::test_1"]
    found, options = targets.find(checkout, arguments)
    assert names(found) == ["test_a.py", "test_b.py::test_1"]
    assert options == ["-v"]


def test_file_is_claimed_by_one_guest(tmp_path: Path) -> None:
    directory = tmp_path / "claims"
    assert claim(directory, "tests/lab/test_a.py")
    assert not claim(directory, "tests/lab/test_a.py")
    assert claim(directory, "tests/lab/test_b.py")


def test_second_guest_runs_the_remaining_scenarios(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_1(): ...\ndef test_2(): ...\n")
    (tmp_path / "test_b.py").write_text("def test_3(): ...\n")
    (tmp_path / "claims/test_b.py").mkdir(parents=True)  # somebody has it
    assert "2 passed" in _share(tmp_path)
    assert "no tests ran" in _share(tmp_path)


def _share(directory: Path) -> str:
    sharing = ("-p", "tests.lab.claims", "--claims=claims", "-p", "no:cacheprovider", "--rootdir=.")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *sharing],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
