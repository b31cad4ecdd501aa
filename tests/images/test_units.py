"""The plain units under systemd: started in order, restarted, watched and stopped, under pings."""

from __future__ import annotations

import os

import pytest

from tests.images.day0 import guest, units
from tests.images.day0.guest import Boot

pytestmark = [pytest.mark.images, pytest.mark.long]


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Boot:
    if os.geteuid() != 0:
        pytest.skip("needs root: a virtual machine's files are root's")
    work = tmp_path_factory.mktemp("units")
    units.lay_out(work)
    return guest.boot(work)


def test_frr_starts_once_the_controller_is_there(boot: Boot) -> None:
    """The unit has Type=notify: it is active once the namespaces exist."""
    assert boot.report["dualpath.Type"] == "notify"
    order = ["networking", "dualpath", "frr"]
    assert sorted(order, key=boot.started) == order
    assert [boot.report[f"{unit}.NRestarts"] for unit in ("dualpath", "frr")] == ["0", "0"]


def test_status_line_and_watchdog_are_shown(boot: Boot) -> None:
    assert boot.report["dualpath.StatusText"] == "ready"
    assert boot.report["dualpath.WatchdogUSec"] == f"{units.WATCHDOG_S}s"


@pytest.mark.parametrize("what", ["restarted", "killed", "frozen"])
def test_frr_outlives_a_controller(boot: Boot, what: str) -> None:
    assert boot.report[f"{what}.frr"] == boot.report["before.frr"]


@pytest.mark.parametrize("what", ["killed", "frozen"])
def test_bridge_outlives_a_controller_that_did_not_stop_it(boot: Boot, what: str) -> None:
    assert boot.report[f"{what}.bridge"] == boot.report["restarted.bridge"]


def test_watchdog_restarts_a_frozen_controller(boot: Boot) -> None:
    assert boot.report["frozen.NRestarts"] == "2"  # the first is that of the killed one
    took_s = float(boot.report["frozen"]) - float(boot.report["killed"])
    assert took_s > units.WATCHDOG_S / 2


def test_stopped_controller_leaves_frr_and_nothing_of_its_own(boot: Boot) -> None:
    names = ("dualpath", "frr", "processes")
    assert [boot.report[f"stopped.{name}"] for name in names] == ["inactive", "active", "0"]


def test_down_gives_everything_back(boot: Boot) -> None:
    assert boot.report["down.code"] == "0", guest.said(boot.work)
    assert {"192.168.1.1/31", "2001:db8:1::1/127"} <= set(boot.report["down.nic"].split())
    assert boot.report["down.netns"].split() == ["spine"]
    assert boot.report["down.conf"] == "0"


@pytest.mark.parametrize("flow", ["ping4", "ping6"])
def test_no_packet_is_lost(boot: Boot, flow: str) -> None:
    assert boot.lost(flow) == [], guest.said(boot.work)
