"""The quadlets in a node that boots: before kubelet, and a hand-over to pods and back."""

from __future__ import annotations

import os

import pytest

from tests.images.day0 import guest, quadlets
from tests.images.day0.guest import Boot

pytestmark = [pytest.mark.images, pytest.mark.long]


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Boot:
    if os.geteuid() != 0:
        pytest.skip("needs root: a virtual machine's files are root's")
    work = tmp_path_factory.mktemp("day0")
    quadlets.lay_out(work)
    return guest.boot(work)


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
    assert boot.lost(flow) == [], guest.said(boot.work)
