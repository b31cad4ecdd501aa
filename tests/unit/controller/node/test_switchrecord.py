"""The file that says which datapath forwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.core.switchcontracts import SwitchState
from controller.node.switchrecord import NAME, SwitchFile

SWITCHED = SwitchState("dpdk", True, ("leg", "eth1"), "kernel", False, 12.5, ("leg",))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    file = SwitchFile(tmp_path)
    assert file.read() is None
    file.write(SWITCHED)
    assert file.read() == SWITCHED
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_file_is_gone_when_only_the_first_datapath_is_left(tmp_path: Path) -> None:
    file = SwitchFile(tmp_path)
    file.write(SWITCHED)
    file.write(SwitchState("kernel"))
    assert not (tmp_path / NAME).exists()
    file.write(SwitchState("kernel"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '"x"',
        json.dumps({"active": "dpdk", "boot": "another"}),
    ],
)
def test_malformed_file_and_one_of_an_earlier_boot_are_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert SwitchFile(tmp_path).read() is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("active", 1),
        ("ports", [1]),
        ("ports", "eth1"),
        ("deadline", "soon"),
        ("deadline", float("nan")),
        ("before", None),
        ("second", "yes"),
        ("extra", 1),
    ],
)
def test_field_of_another_type_makes_the_file_worthless(
    tmp_path: Path, field: str, value: object
) -> None:
    SwitchFile(tmp_path).write(SWITCHED)
    told = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps({**told, field: value}))
    assert SwitchFile(tmp_path).read() is None
