"""How scenarios are divided among guests."""

from pathlib import Path

import pytest

from tests.lab import shards


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, scenarios in (("a", 1), ("b", 4), ("c", 2), ("d", 2)):
        path = tmp_path / shards.LAB / f"test_{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"def test_{n}(): ...\n" for n in range(scenarios)))
    return tmp_path


def test_a_file_with_scenarios_for_grout_is_known(checkout: Path) -> None:
    directory = checkout / shards.LAB
    (directory / "test_b.py").write_text("pytestmark = [pytest.mark.lab, pytest.mark.grout]\n")
    (directory / "test_c.py").write_text('@pytest.mark.datapaths("kernel", "dpdk")\n')
    targets, _ = shards.targets(checkout, [])
    assert [target.grout for target in targets] == [False, True, True, False]


def names(targets: list[shards.Target]) -> list[str]:
    return [str(target).removeprefix(f"{shards.LAB}/") for target in targets]


def test_every_scenario_is_meant_unless_some_are_named(checkout: Path) -> None:
    targets, options = shards.targets(checkout, ["-k", "ipv6", "-x"])
    assert names(targets) == ["test_a.py", "test_b.py", "test_c.py", "test_d.py"]
    assert options == ["-k", "ipv6", "-x"]


def test_files_and_single_tests_can_be_named(checkout: Path) -> None:
    arguments = [f"{shards.LAB}/test_a.py", "-v", f"{shards.LAB}/test_b.py::test_1"]
    targets, options = shards.targets(checkout, arguments)
    assert names(targets) == ["test_a.py", "test_b.py::test_1"]
    assert options == ["-v"]


def test_guests_get_about_as_many_scenarios_each(checkout: Path) -> None:
    targets, _ = shards.targets(checkout, [])
    divided = shards.divide(targets, 2)
    assert [names(part) for part in divided] == [
        ["test_b.py", "test_a.py"],
        ["test_c.py", "test_d.py"],
    ]


def test_there_are_never_more_guests_than_files(checkout: Path) -> None:
    targets, _ = shards.targets(checkout, [])
    assert len(shards.divide(targets, 9)) == 4
