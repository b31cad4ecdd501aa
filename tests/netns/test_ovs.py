"""Host legs attached to a real Open vSwitch (userspace datapath) in the host's namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from datapaths.kernel.layout import Layout
from dualpath.model.kinds import Kind
from dualpath.model.links import HostEnd, Port, Vni
from tests.lab.waiting import wait_until
from tests.netns.layouts import upsert, withdraw
from tests.netns.namespaces import names, run
from tests.unit.controller.intent.rulebook import rule

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        not (shutil.which("ovs-vsctl") and shutil.which("ovs-vswitchd")),
        reason="openvswitch-switch is not installed",
    ),
]

SEGMENT = Vni(110, local=bytes([100, 64, 0, 1]), mac=bytes.fromhex("00f30000006f"))


@pytest.fixture
def switch(
    namespaces: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Run Open vSwitch in the host's namespace, with a foreign bridge ovs0."""
    for name in ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    database, schema = tmp_path / "conf.db", Path(shutil.which("ovs-vsctl") or "").parents[1]
    files = schema / "share/openvswitch/vswitch.ovsschema"
    run(f"ovsdb-tool create {database} {files}")
    socket = f"--remote=punix:{tmp_path}/db.sock"
    server = subprocess.Popen(["ovsdb-server", str(database), socket], env=os.environ)
    daemon = None
    try:
        wait_until((tmp_path / "db.sock").exists, "the database listens", 30)
        run("ovs-vsctl --no-wait --timeout=10 init")
        inside = ["ip", "netns", "exec", namespaces[1], "ovs-vswitchd", "--disable-system"]
        daemon = subprocess.Popen([*inside, f"unix:{tmp_path}/db.sock"], env=os.environ)
        run("ovs-vsctl --timeout=10 add-br ovs0 -- set Bridge ovs0 datapath_type=netdev")
        yield "ovs0"
    finally:
        for process in (daemon, server):
            if process is not None:
                process.terminate()
                process.wait(10)


def leg(host: str, bridge: str, *, create_bridge: bool = False, ovs: bool = True) -> Port:
    end = HostEnd(host, "host-e-110", bridge=bridge, create_bridge=create_bridge, ovs=ovs)
    return Port("pe-e-110", vni=110, mtu=1450, host=end)


@rule("Layout.hostBridge.ovs")
def test_leg_is_a_port_of_an_existing_bridge(namespaces: tuple[str, str], switch: str) -> None:
    layout, port = Layout(*namespaces), leg(namespaces[1], switch)
    assert upsert(layout, SEGMENT) == []
    assert upsert(layout, port) == []
    assert run("ovs-vsctl list-ports ovs0").split() == ["host-e-110"]
    assert layout.dump(Kind.PORT) == [port]
    assert upsert(layout, port) == []
    assert withdraw(layout, port) == []
    assert run("ovs-vsctl list-ports ovs0") == ""
    assert run("ovs-vsctl list-br").split() == ["ovs0"]


@rule("Layout.hostBridge.ovs")
def test_managed_bridge_is_created_and_removed_with_its_leg(
    namespaces: tuple[str, str], switch: str
) -> None:
    layout, port = Layout(*namespaces), leg(namespaces[1], "br-hs-110", create_bridge=True)
    upsert(layout, SEGMENT)
    # Made here with the datapath that this test has; the rest is as if we had made it.
    run(
        "ovs-vsctl add-br br-hs-110 -- set Bridge br-hs-110 datapath_type=netdev "
        "external_ids:created-by=dualpath"
    )
    assert upsert(layout, port) == []
    assert withdraw(layout, port) == []
    assert run("ovs-vsctl list-br").split() == ["ovs0"]


@rule("Layout.hostBridge.ovs")
def test_leg_moves_between_linux_and_ovs_bridges(namespaces: tuple[str, str], switch: str) -> None:
    layout, host = Layout(*namespaces), namespaces[1]
    ours = leg(host, "br-hs-110", create_bridge=True, ovs=False)
    upsert(layout, SEGMENT)
    assert upsert(layout, ours) == []
    assert upsert(layout, leg(host, switch)) == []
    assert layout.dump(Kind.PORT) == [leg(host, switch)]
    assert "br-hs-110" not in names(host)
    assert upsert(layout, ours) == []
    assert run("ovs-vsctl list-ports ovs0") == ""
    assert layout.dump(Kind.PORT) == [ours]


def test_missing_bridge_is_named(namespaces: tuple[str, str], switch: str) -> None:
    layout = Layout(*namespaces)
    upsert(layout, SEGMENT)
    (failure,) = upsert(layout, leg(namespaces[1], "ovs9"))
    assert failure.reason == "no Open vSwitch bridge ovs9: create it, or set autoCreate"
    run(f"ip netns exec {namespaces[1]} true")
