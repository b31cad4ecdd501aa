"""Limits of the machine's neighbor tables are raised and never lowered, and their usage is read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from datapaths.linux import neightables
from datapaths.linux.neightables import Raised, raise_below, usage_below
from dualpath.model.view import NeighborTable

ARP = """\
entries  allocs   destroys table_fulls
0000012c 000000bc 000000a7 00000010
0000012c 000000bd 000000a8 00000001
"""


def sysctls(root: Path, *families: str, values: tuple[int, int, int] = (128, 512, 1024)) -> Path:
    for family in families:
        directory = root / family / "neigh/default"
        directory.mkdir(parents=True)
        for number, value in enumerate(values, 1):
            (directory / f"gc_thresh{number}").write_text(f"{value}\n")
    return root


def held(root: Path, family: str) -> list[int]:
    directory = root / family / "neigh/default"
    return [int((directory / f"gc_thresh{number}").read_text()) for number in (1, 2, 3)]


def test_limits_of_both_families_are_raised(tmp_path: Path) -> None:
    root = sysctls(tmp_path, "ipv4", "ipv6")
    raised = raise_below(root, 65536)
    assert held(root, "ipv4") == held(root, "ipv6") == [16384, 49152, 65536]
    assert raised.changed["net.ipv6.neigh.default.gc_thresh3"] == 65536
    assert not raised.refused
    assert raise_below(root, 65536) == Raised({}, {})


def test_higher_limit_is_kept(tmp_path: Path) -> None:
    root = sysctls(tmp_path, "ipv4", values=(128, 100_000, 200_000))
    assert raise_below(root, 65536).changed == {"net.ipv4.neigh.default.gc_thresh1": 16384}
    assert held(root, "ipv4") == [16384, 100_000, 200_000]


def test_limit_that_cannot_be_raised_is_reported_with_the_command(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = sysctls(tmp_path, "ipv4")
    (root / "ipv4/neigh/default/gc_thresh3").unlink()
    monkeypatch.setattr(neightables, "raise_limits", lambda most: raise_below(root, most))
    with caplog.at_level(logging.INFO):
        neightables.ensure_limits(65536)
    levels = [record.levelname for record in caplog.records]
    assert levels == ["INFO", "WARNING"]
    assert "sysctl -w net.ipv4.neigh.default.gc_thresh3=65536" in caplog.text


def test_zero_leaves_the_limits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def raise_limits(most: int) -> Raised:
        asked.append(most)
        return Raised({}, {})

    monkeypatch.setattr(neightables, "raise_limits", raise_limits)
    neightables.ensure_limits(0)
    assert asked == []
    neightables.ensure_limits(7)
    assert asked == [7]


def test_usage_is_summed_over_all_cpus(tmp_path: Path) -> None:
    statistics = tmp_path / "stat"
    statistics.mkdir()
    (statistics / "arp_cache").write_text(ARP)
    root = sysctls(tmp_path / "net", "ipv4", "ipv6")
    assert list(usage_below(root, statistics)) == [NeighborTable("ipv4", 300, 1024, 17)]


def test_kernel_without_the_counter_reports_no_refusals(tmp_path: Path) -> None:
    (tmp_path / "arp_cache").write_text("entries  allocs\n0000012c 000000bc\n")
    root = sysctls(tmp_path / "net", "ipv4")
    assert list(usage_below(root, tmp_path)) == [NeighborTable("ipv4", 300, 1024, 0)]
