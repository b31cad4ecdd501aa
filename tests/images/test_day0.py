"""The quadlets in a node that boots: before kubelet, and a hand-over to pods and back."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.images.day0 import guest

pytestmark = [pytest.mark.images, pytest.mark.long]


@dataclass(frozen=True, slots=True)
class Boot:
    """What a boot reported, and where its logs are."""

    report: Mapping[str, str]
    work: Path

    def started(self, unit: str) -> int:
        """Return when a unit was active, in microseconds of uptime."""
        found = int(self.report[f"{unit}.ActiveEnterTimestampMonotonic"])
        assert found > 0, f"{unit} was never active\n{guest.said(self.work)}"
        return found


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Boot:
    if os.geteuid() != 0:
        pytest.skip("needs root: a virtual machine's files are root's")
    work = tmp_path_factory.mktemp("day0")
    report = guest.boot(work)
    assert report.get("end") == "yes", f"{report}\n{guest.said(work)}"
    return Boot(report, work)


def test_controller_waits_for_its_gate_and_kubelet_for_the_controller(boot: Boot) -> None:
    order = ["networking", "opening", "dualpath", "kubelet"]
    assert sorted(order, key=boot.started) == order


def test_router_follows_the_controller_and_precedes_kubelet(boot: Boot) -> None:
    order = ["dualpath", "dualpath-router", "kubelet"]
    assert sorted(order, key=boot.started) == order


@pytest.mark.parametrize("unit", ["dualpath", "dualpath-router"])
def test_unit_reports_itself_and_did_not_end(boot: Boot, unit: str) -> None:
    assert boot.report[f"{unit}.Type"] == "notify"
    assert boot.report[f"{unit}.NRestarts"] == "0"


@pytest.mark.parametrize("flow", ["ping4", "ping6"])
def test_hand_over_to_a_second_controller_and_router_and_back_costs_no_packet(
    boot: Boot, flow: str
) -> None:
    text = (boot.work / f"lab/{flow}.log").read_text()
    answered = {int(number) for number in re.findall(r"bytes from .*icmp_seq=(\d+)", text)}
    (sent,) = map(int, re.findall(r"(\d+) packets transmitted", text))
    last = max(answered)
    assert last > max(100, sent - 5)  # an answer to the very last may be on its way
    lost = sorted(set(range(1, last)) - answered)
    assert lost == [], f"{lost}\n{guest.said(boot.work)}"
