"""`dualpath down` gives everything back, and leaves nothing of Dualpath's."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.node import namespacerecord
from controller.node.namespacerecord import NamespaceRecord
from controller.node.namespaces import NamespacePair
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux import netns
from datapaths.linux.shadows import Shadows, shadow_of
from dualpath.model.links import Address, Port, Vni
from dualpath.process import frrfile, options
from dualpath.process.lock import alone
from tests.fakes.batches import upsert
from tests.netns.layouts import routed
from tests.netns.namespaces import fresh, names, run

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

LEFT_BRIDGE = """
import signal, socket, sys, time

def end(*_: object) -> None:
    time.sleep(0.3)
    open(sys.argv[2], "w").close()
    sys.exit()

signal.signal(signal.SIGTERM, end)
with socket.socket(socket.AF_UNIX) as bus:
    bus.bind(sys.argv[1])
    bus.listen()
    print("listens", flush=True)
    signal.pause()
"""
"""It stores FRR's configuration while it ends, as frr-bridge may."""

VNI = Vni(110, local=bytes([10, 0, 0, 1]), mac=bytes.fromhex("00f30000006e"))


def down(state_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "controller.cli", "down", f"--state-dir={state_dir}", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


async def build(forwarding: str, host: str) -> None:
    run(f"ip -n {host} link add eth7 type veth peer name wire")
    run(f"ip -n {host} link set wire up")
    run(f"ip -n {host} link set eth7 up")
    run(f"ip -n {host} addr add 192.0.2.0/31 dev eth7")
    run(f"ip -n {host} route add 198.51.100.0/24 via 192.0.2.1 dev eth7")
    datapath = KernelDatapath(forwarding, host)
    uplink = Port("eth7", addresses=(Address.parse("10.9.9.1/32"),), source_netns="")
    try:
        assert not await datapath.apply(upsert(VNI))
        assert not await datapath.apply(upsert(uplink, routed(host)))
    finally:
        await datapath.close()


@pytest.mark.parametrize("made", [True, False])
def test_teardown_gives_everything_back_and_is_idempotent(tmp_path: Path, made: bool) -> None:
    with fresh("fwd", "frr", "host") as (forwarding, control, host):
        if made:
            for name in (forwarding, control):
                netns.remove(name)
        namespacerecord.write(tmp_path, NamespacePair(forwarding, control, True, True), host)
        for name in (forwarding, control):
            netns.create(name)
        asyncio.run(build(forwarding, host))
        shadows, shadow = Shadows(control), shadow_of((), (VNI,), ())
        assert not [*shadows.ensure_base(shadow), *shadows.ensure_overlay(shadow)]
        planned = down(tmp_path, "--dry-run")
        assert planned.returncode == 0
        assert f"eth7: back to {host}" in planned.stdout
        assert "192.0.2.0/31" in planned.stdout
        assert "eth7" in names(forwarding)
        done = down(tmp_path, "-o", "json")
        assert (done.returncode, done.stderr) == (0, "")
        assert not [step for step in json.loads(done.stdout) if step["problem"]]
        assert names(host) == {"lo", "eth7", "wire"}
        assert "192.0.2.0/31" in run(f"ip -n {host} addr show dev eth7")
        assert "10.9.9.1" not in run(f"ip -n {host} addr show dev eth7")
        assert "198.51.100.0/24" in run(f"ip -n {host} route show dev eth7")
        assert netns.exists(forwarding) is not made
        assert netns.exists(control) is not made
        if not made:
            assert names(forwarding) == names(control) == {"lo"}
        again = down(tmp_path, f"--netns={forwarding}")
        assert (again.returncode, again.stderr) == (0, "")


def test_teardown_beside_a_running_controller_is_refused(tmp_path: Path) -> None:
    with alone(tmp_path / "controller.lock"):
        done = down(tmp_path)
    assert done.returncode == 1
    assert "systemctl stop dualpath" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_left_bridge_has_ended_before_its_files_are_removed(tmp_path: Path) -> None:
    bus, stored = tmp_path / options.BUS, tmp_path / frrfile.name_of(b"")
    arguments = [sys.executable, "-c", LEFT_BRIDGE, str(bus), str(stored)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as bridge:
        assert bridge.stdout
        bridge.stdout.readline()
        assert down(tmp_path).returncode == 0
        assert bridge.wait(10) == 0
        assert not stored.exists()


def test_namespace_with_a_running_process_is_kept_and_reported(tmp_path: Path) -> None:
    with fresh("fwd", "frr") as (forwarding, control):
        netns.remove(control)
        namespacerecord.write(tmp_path, NamespacePair(forwarding, control, True, True), "")
        netns.create(control)
        inside = subprocess.Popen(["ip", "netns", "exec", control, "sleep", "60"])
        try:
            while netns.identity(control)[1] != os.stat(f"/proc/{inside.pid}/ns/net").st_ino:
                pass
            done = down(tmp_path)
        finally:
            inside.kill()
            inside.wait()
        assert done.returncode == 1
        assert f"{control}: removed: NOT DONE: it stays while process {inside.pid}" in done.stdout
        assert netns.exists(control)
        assert down(tmp_path).returncode == 0
        assert not netns.exists(control)


def test_created_namespaces_are_remembered_across_restarts(tmp_path: Path) -> None:
    with fresh("fwd", "frr") as (forwarding, control):
        netns.remove(forwarding)
        namespaces = NamespacePair(forwarding, control, True, True)
        namespacerecord.write(tmp_path, namespaces, "")
        netns.create(forwarding)
        namespacerecord.write(tmp_path, namespaces, "")
        assert namespacerecord.read(tmp_path) == NamespaceRecord(
            forwarding, control, "", (forwarding,)
        )
