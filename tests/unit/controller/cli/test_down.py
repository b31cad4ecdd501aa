"""What `dualpath down` leaves for a router that starts alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.node import teardown
from controller.node.namespacerecord import NamespaceRecord
from controller.node.teardown import Step
from dualpath.process import frrfile
from tests.unit.controller.cli.conftest import run

Undone = Callable[[NamespaceRecord], Iterator[Step]]


class Node:
    """A state directory with FRR's last good configuration, and steps that a test chooses."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state, self._monkeypatch = state, monkeypatch
        (state / frrfile.name_of(b"{}")).touch()
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    @property
    def stored(self) -> bool:
        return bool(frrfile.found(self.state))

    def down(self, steps: Undone) -> int:
        self._monkeypatch.setattr(teardown, "undone", steps)
        return run("down", "--state-dir", str(self.state)).code


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_frr_configuration_is_removed_before_any_device(node: Node) -> None:
    """Else a router that starts meanwhile, or after a crash, configures devices that are gone."""
    during: list[bool] = []

    def steps(_: NamespaceRecord) -> Iterator[Step]:
        during.append(node.stored)
        yield Step("devices", "dualpath", "removed")

    assert node.down(steps) == 0
    assert during == [False]


def test_frr_configuration_is_removed_even_if_a_device_is_left(node: Node) -> None:
    steps = [Step("nic", "eth1", "to namespace 1", "Device or resource busy")]
    assert node.down(lambda _: iter(steps)) == 1
    assert not node.stored
