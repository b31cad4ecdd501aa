"""What FRR starts with while no controller runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dualpath.process import frrfile
from frr_bridge import lastconfig
from frr_bridge.directory import Directory
from frr_bridge.frr_apply import FrrPaths
from frr_bridge.lastconfig import NOTHING
from frr_bridge.rights import ours

SETTINGS, OTHERS = b'{"hostname": "pe1"}', b'{"hostname": "pe2"}'
TEXT = "hostname pe1\n neighbor eth1 password secret\nend\n"


class Node:
    """A state directory, and the directories of an FRR that does not run."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.state.mkdir()
        config = directory / "frr"
        config.mkdir()
        self.paths = FrrPaths(config, directory, rights=ours)
        self.file = self.state / frrfile.name_of(SETTINGS)

    @property
    def frr_conf(self) -> str:
        return self.paths.file.read_text()

    def keep(self) -> None:
        lastconfig.keep(self.state, SETTINGS, TEXT)

    def restored(self) -> bool:
        """Write frr.conf; tell whether it has a configuration."""
        why = lastconfig.restore(self.state, self.paths)
        assert bool(why) is (self.frr_conf == NOTHING)
        return not why


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_frr_starts_with_what_it_accepted(node: Node) -> None:
    node.keep()
    assert node.restored()
    assert node.frr_conf == TEXT
    assert node.file.stat().st_mode & 0o777 == 0o600
    assert node.paths.file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(node.state) == [node.file.name]


def test_later_configuration_replaces_the_earlier_one(node: Node) -> None:
    node.keep()
    lastconfig.keep(node.state, OTHERS, "hostname pe2\n")
    assert node.restored()
    assert node.frr_conf == "hostname pe2\n"
    assert os.listdir(node.state) == [frrfile.name_of(OTHERS)]


@pytest.mark.parametrize("other", ["", "0/1", "4d0b/1", None, 7])
def test_configuration_of_another_namespace_is_not_used(node: Node, other: object) -> None:
    node.keep()
    node.file.write_text(json.dumps({"namespace": other, "text": TEXT}))
    assert not node.restored()


def test_configuration_of_an_earlier_start_of_the_container_is_not_used(node: Node) -> None:
    node.paths.file.write_text("hostname former\n")
    assert not node.restored()


def test_controller_removes_what_it_does_not_want(node: Node) -> None:
    node.keep()
    frrfile.forget_other(node.state, SETTINGS)
    assert node.restored()
    frrfile.forget_other(node.state, OTHERS)
    assert os.listdir(node.state) == []
    assert not node.restored()
    frrfile.forget_other(node.state, SETTINGS)  # there is none


def test_two_files_are_one_too_many(node: Node) -> None:
    node.keep()
    (node.state / frrfile.name_of(OTHERS)).write_text(node.file.read_text())
    assert not node.restored()


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, '"\udc80"', "\x00"])
def test_malformed_file_is_not_used(node: Node, content: str) -> None:
    node.file.write_text(content, errors="surrogateescape")
    assert not node.restored()


@pytest.mark.parametrize("text", [None, 7, ["hostname pe1"]])
def test_text_must_be_one(node: Node, text: object) -> None:
    fields = {"namespace": lastconfig.namespace_id(), "text": text}
    node.file.write_text(json.dumps(fields))
    assert not node.restored()


def test_file_that_was_half_written_is_not_used(node: Node) -> None:
    node.keep()
    content = node.file.read_text()
    for length in range(0, len(content), 7):
        node.file.write_text(content[:length])
        assert not node.restored()


def test_rest_of_a_bridge_that_was_killed_is_removed(node: Node) -> None:
    node.keep()
    rest = node.state / f"{frrfile.PARTIAL}0123"
    rest.write_text("{")
    assert node.restored()
    frrfile.forget_other(node.state, SETTINGS)
    assert os.listdir(node.state) == [node.file.name]


def test_link_in_its_place_is_not_followed(node: Node, tmp_path: Path) -> None:
    node.keep()
    elsewhere = node.file.rename(tmp_path / "elsewhere")
    node.file.symlink_to(elsewhere)
    assert not node.restored()
    node.keep()
    assert node.restored()
    assert json.loads(elsewhere.read_text())["text"] == TEXT


def test_no_state_directory_is_no_failure(node: Node, tmp_path: Path) -> None:
    assert "No such file" in lastconfig.restore(tmp_path / "none", node.paths)
    assert node.frr_conf == NOTHING


def test_failure_to_store_leaves_no_earlier_one(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    node.keep()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Directory, "replace", full)
    lastconfig.keep(node.state, SETTINGS, "hostname other\n")
    assert "No space left on device; if the router restarts" in caplog.text
    assert os.listdir(node.state) == []


def test_kernel_without_cookies_stores_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lastconfig, "SO_NETNS_COOKIE", 9999)
    node.keep()
    assert os.listdir(node.state) == []
    assert not node.restored()
