"""The difference of frr.conf, with passwords masked."""

from __future__ import annotations

from pathlib import Path

from controller.dryrun.frr import difference
from dualpath.model.frr import BgpInstance, BgpNeighbor, FrrSettings
from frr_bridge.frr_apply import FrrPaths
from frr_bridge.frr_config import render


def settings(password: str = "") -> FrrSettings:
    neighbor = BgpNeighbor("192.0.2.1", "65000", password=password)
    return FrrSettings(
        hostname="pe1", instances=(BgpInstance(65001, "192.0.2.2", neighbors=(neighbor,)),)
    )


def test_new_frr_conf_is_shown_whole_and_an_equal_one_is_omitted(tmp_path: Path) -> None:
    paths = FrrPaths(config_dir=tmp_path)
    new = difference(settings(), "", paths)
    assert not new.exists
    assert "+router bgp 65001" in new.lines
    paths.file.write_text(render(settings()))
    same = difference(settings(), "", paths)
    assert (same.exists, same.lines) == (True, ())


def test_changed_password_is_reported_without_its_text(tmp_path: Path) -> None:
    paths = FrrPaths(config_dir=tmp_path)
    paths.file.write_text(render(settings("old-secret")))
    [line] = difference(settings("new-secret"), "", paths).lines
    assert "password" in line
    assert "secret" not in line


def test_missing_frr_is_reported_with_the_package_to_install(tmp_path: Path) -> None:
    found = difference(settings(), "", FrrPaths(config_dir=tmp_path / "none"))
    assert "install frr and frr-pythontools" in found.problem
