"""The rows of shadow bridges: one port per MAC."""

from __future__ import annotations

import pytest

from frr_bridge.overlay.bridgerows import BridgeRows
from frr_bridge.overlay.devices import ShadowDevices
from tests.fakes.shadow import AC110, BR110, HOST_MAC, LINKS, VX110, on_bridge

KEY = (BR110, HOST_MAC)
REMOTE = on_bridge(VX110, BR110, HOST_MAC)
LOCAL = on_bridge(AC110, BR110, HOST_MAC)


@pytest.fixture
def rows() -> BridgeRows:
    devices = ShadowDevices()
    for link in LINKS:
        devices.learn(link)
    return BridgeRows(devices)


def test_row_on_the_vxlan_device_is_remote(rows: BridgeRows) -> None:
    assert rows.learn(REMOTE)
    assert rows.remote(KEY) == REMOTE
    assert not rows.is_local(KEY)
    assert list(rows.written_by_zebra()) == [KEY]


def test_row_on_another_port_is_local(rows: BridgeRows) -> None:
    rows.learn(LOCAL)
    assert rows.remote(KEY) is None
    assert rows.is_local(KEY)
    assert rows.is_mirrored(KEY)


def test_later_row_of_a_mac_replaces_the_earlier(rows: BridgeRows) -> None:
    rows.learn(REMOTE)
    rows.learn(LOCAL)
    assert rows.get(KEY) == LOCAL


def test_deletion_of_another_port_s_row_changes_nothing(rows: BridgeRows) -> None:
    rows.learn(REMOTE)
    assert not rows.learn(LOCAL._replace(deleted=True))
    assert rows.get(KEY) == REMOTE
    assert rows.learn(REMOTE._replace(deleted=True))
    assert rows.get(KEY) is None
    assert not rows.learn(REMOTE._replace(deleted=True))


def test_rows_on_the_access_port_are_touched_as_they_come_and_go(rows: BridgeRows) -> None:
    rows.learn(LOCAL)
    assert rows.take_touched() == [KEY]
    assert rows.take_touched() == []
    rows.forget(KEY)
    assert rows.take_touched() == [KEY]


@pytest.mark.parametrize("row", [REMOTE, LOCAL._replace(flags=0)], ids=["remote", "the kernel's"])
def test_rows_that_the_mirror_did_not_write_are_not_touched(rows: BridgeRows, row: object) -> None:
    rows.learn(row)  # type: ignore[arg-type]
    assert rows.take_touched() == []


def test_dump_returns_the_rows_that_it_did_not_repeat(rows: BridgeRows) -> None:
    other = bytes.fromhex("02000000000b")
    rows.learn(REMOTE)
    rows.learn(on_bridge(VX110, BR110, other))
    rows.begin_dump()
    rows.learn(REMOTE)
    assert rows.take_unseen() == [(BR110, other)]
