"""Plugins that are scripts, and records in a directory of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cni import records
from controller.cni.plugins import Plugins
from tests.fakes.cni import FakeNamespace, Scripts


@pytest.fixture(autouse=True)
def _records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "DIRECTORY", tmp_path / "cni")


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path / "bin", "macvlan", "tuning", "dhcp")


@pytest.fixture
def plugins(scripts: Scripts) -> Plugins:
    return Plugins([scripts.directory], time_limit_s=10)


@pytest.fixture
def namespace(scripts: Scripts) -> FakeNamespace:
    return FakeNamespace(scripts)
