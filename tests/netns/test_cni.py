"""Uplinks that real CNI plugins make: static addresses and DHCP, repair, restart, removal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.cni import records
from controller.cni.dhcp import SOCKET
from controller.node.supervisor import bridge_of
from datapaths.linux import netns
from dualpath.process.pidfd import listener
from tests.netns.namespaces import fresh, names, ping, run

PLUGINS = Path("/usr/lib/cni")

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(
        not (PLUGINS / "macvlan").exists(), reason="needs containernetworking-plugins"
    ),
]

STATIC = {
    "type": "static",
    "addresses": [{"address": "192.168.11.10/24"}, {"address": "fd00:11::10/64"}],
    "routes": [{"dst": "10.7.0.0/16", "gw": "192.168.11.2"}],
}
LOCAL = {
    "type": "host-local",
    "ranges": [[{"subnet": "192.168.11.0/24"}], [{"subnet": "fd00:11::/64"}]],
}
DHCP = {"type": "dhcp"}
PATIENCE_S = 60.0


def macvlan(ipam: dict[str, Any], **fields: object) -> dict[str, Any]:
    return {"type": "macvlan", "master": "eth0", "mode": "bridge", "ipam": ipam, **fields}


def until(true: Callable[[], object], what: str = "", patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, what or true
        time.sleep(0.05)


@dataclass(slots=True)
class Machine:
    """A host with the NIC eth0, whose cable leads to a server's namespace."""

    host: str
    server: str
    forwarding: str
    control: str
    directory: Path
    controller: subprocess.Popen[bytes] | None = None

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def write(self, *plugins: dict[str, Any], **conf: object) -> None:
        """Write manifests with an uplink of these plugins, or, without any, none."""
        node = {"nodeIndex": 1, "namespaces": {"control": self.control}}
        node["namespaces"] |= {"forwarding": self.forwarding}  # type: ignore[operator]
        raw = {"cniVersion": "1.0.0", "name": "fabric", "plugins": plugins, **conf}
        device = {"type": "RawConfig", "rawConfig": raw}
        fabric = {
            "asn": 65001,
            "interfaces": [{"type": "CNIDevice", "cniDevice": device}],
            "neighbors": [{"asn": 65000, "address": "192.168.11.2"}],
            "tunnelEndpoint": {"cidrs": ["100.64.0.0/24"]},
        }
        group = "network.openperouter.io/v1alpha1"
        found = [
            {"apiVersion": "dualpath.io/v1alpha1", "kind": "Node", "spec": node},
            {"apiVersion": group, "kind": "RawFRRConfig", "spec": {"rawConfig": "! none"}},
            *([{"apiVersion": group, "kind": "Underlay", "spec": fabric}] if plugins else []),
        ]
        manifests = self.directory / "manifests"
        manifests.mkdir(exist_ok=True)
        for one in found:
            text = json.dumps({**one, "metadata": {"name": "pe1"}})
            partial = self.directory / "partial"
            partial.write_text(text)
            partial.rename(manifests / f"{one['kind']}.json")
        if not plugins:
            (manifests / "Underlay.json").unlink(missing_ok=True)

    def command(self, *words: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.host}", sys.executable, "-m", *words]

    def start(self, *options: str) -> None:
        command = self.command(
            "controller",
            *([] if any(o.startswith("--datapath") for o in options) else ["--datapath=kernel"]),
            f"--state-dir={self.state_dir}",
            "--neighbor-limit=0",
            f"--listen=unix:{self.state_dir}/inspect.sock",
            f"--config={self.directory}/manifests",
            *options,
        )
        with (self.directory / "log").open("ab") as log:
            self.controller = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self.controller
        self.controller.send_signal(number)
        self.controller.wait(30)
        self.controller = None

    def dualpath(self, *words: str) -> str:
        """Return what a command prints, to either output."""
        connect = {"DUALPATH_CONNECT": f"unix:{self.state_dir}/inspect.sock"}
        done = subprocess.run(
            self.command("controller.cli", *words),
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            env={**os.environ, **connect},
        )
        return done.stdout + done.stderr

    def is_up(self, address: str = "192.168.11.10/24") -> bool:
        if not netns.exists(self.forwarding) or "net1" not in names(self.forwarding):
            return False
        shown = json.loads(run(f"ip -n {self.forwarding} -j addr show net1", check=False) or "[]")
        have = {f"{a['local']}/{a['prefixlen']}" for one in shown for a in one["addr_info"]}
        return address in have and self.is_ours()

    def is_ours(self) -> bool:
        """Return whether the datapath has taken the interface: it bears our mark."""
        return '"dualpath' in run(f"ip -n {self.forwarding} -d -j link show net1", check=False)

    def index(self) -> int:
        shown = json.loads(run(f"ip -n {self.forwarding} -j link show net1"))
        found: int = shown[0]["ifindex"]
        return found


@contextmanager
def dhcp_server(machine: Machine, lease_s: int = 120) -> Iterator[subprocess.Popen[bytes]]:
    """Run a DHCP server behind the cable."""
    command = [
        *("nsenter", f"--net=/run/netns/{machine.server}", "dnsmasq", "--keep-in-foreground"),
        *(
            "--port=0",
            "--interface=wire",
            "--bind-interfaces",
            "--no-ping",
            "--conf-file=/dev/null",
        ),
        f"--dhcp-range=192.168.11.50,192.168.11.60,{lease_s}s",
        f"--dhcp-leasefile={machine.directory}/leases",
        f"--pid-file={machine.directory}/dnsmasq.pid",
        "--user=root",
        f"--log-facility={machine.directory}/dnsmasq.log",
    ]
    server = subprocess.Popen(command)
    try:
        yield server
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("DUALPATH_CNI_RECORDS", str(tmp_path / "cni"))
    monkeypatch.setattr(records, "DIRECTORY", tmp_path / "cni")
    with fresh("host", "server", "fwd", "frr") as (host, server, forwarding, control):
        for name in (forwarding, control):
            netns.remove(name)
        run(f"ip -n {host} link add eth0 type veth peer name wire netns {server}")
        run(f"ip -n {server} addr add 192.168.11.2/24 dev wire")
        run(f"ip -n {server} addr add fd00:11::2/64 dev wire nodad")
        run(f"ip -n {server} link set wire up")
        run(f"ip -n {host} link set eth0 up")
        one = Machine(host, server, forwarding, control, tmp_path)
        try:
            yield one
        finally:
            if one.controller:
                with suppress(ProcessLookupError):
                    one.stop()
            if bridge := bridge_of(one.state_dir):
                bridge.send_signal(signal.SIGTERM)
            if daemon := listener(one.state_dir / SOCKET):
                daemon.send_signal(signal.SIGKILL)


def test_static_addresses_of_both_families_are_made_and_removed(machine: Machine) -> None:
    machine.write(macvlan(STATIC))
    machine.start()
    until(machine.is_up, machine.log)
    assert machine.is_up("fd00:11::10/64")
    until(lambda: ping(machine.server, "192.168.11.10"))
    until(lambda: ping(machine.server, "fd00:11::10"))
    assert "10.7.0.0/16 via 192.168.11.2 dev net1" in run(f"ip -n {machine.forwarding} route")
    machine.write()
    until(lambda: "net1" not in names(machine.forwarding), machine.log)
    until(lambda: not [*records.DIRECTORY.iterdir()])


def test_controllers_restart_and_death_keep_the_interface(machine: Machine) -> None:
    machine.write(macvlan(STATIC))
    machine.start()
    until(machine.is_up)
    before = machine.index()
    for number in (signal.SIGTERM, signal.SIGKILL):
        machine.stop(number)
        assert ping(machine.server, "192.168.11.10")
        lines = machine.log.count("datapath kernel")
        machine.start()
        until(lambda lines=lines: machine.log.count("datapath kernel") > lines)  # type: ignore[misc]
        until(lambda: "net1" in machine.dualpath("ports"))
        assert ping(machine.server, "192.168.11.10")
    assert machine.index() == before
    assert machine.log.count("CNI created it") == 1


def test_lost_interface_address_and_changed_list_are_made_good(machine: Machine) -> None:
    machine.write(macvlan(STATIC))
    machine.start()
    until(machine.is_up)
    run(f"ip -n {machine.forwarding} link del net1")
    until(machine.is_up, machine.log)
    run(f"ip -n {machine.forwarding} addr del fd00:11::10/64 dev net1")
    machine.dualpath("resync")
    until(lambda: "recreating it" in machine.log)
    until(lambda: machine.is_up("fd00:11::10/64"), machine.log)
    until(lambda: "CNI plugin" not in machine.dualpath("audit"))
    machine.write(macvlan(STATIC, mode="private"))
    until(
        lambda: "mode private" in run(f"ip -n {machine.forwarding} -d link show net1", check=False)
    )
    until(machine.is_up)


@pytest.mark.long
def test_crash_in_the_middle_of_add_leaves_nothing_behind(machine: Machine) -> None:
    bin_ = machine.directory / "bin"
    bin_.mkdir(mode=0o755)
    for name in ("static", "host-local"):
        shutil.copy(PLUGINS / name, bin_ / name)
    (bin_ / "macvlan").write_text(
        f"#!/bin/sh\n{PLUGINS}/macvlan || exit\n[ $CNI_COMMAND = ADD ] && [ -e {bin_}/hang ] "
        "&& sleep 600\nexit 0\n"
    )
    (bin_ / "macvlan").chmod(0o755)
    (bin_ / "hang").touch()
    store = machine.directory / "addresses"
    machine.write(macvlan({**LOCAL, "dataDir": str(store)}))
    machine.start(f"--cni-bin={bin_}")
    until(lambda: netns.exists(machine.forwarding) and "net1" in names(machine.forwarding))
    machine.stop(signal.SIGKILL)
    (record,) = records.every(netns.path_of(machine.forwarding))
    assert record.stage is records.Stage.ADDING
    (bin_ / "hang").unlink()
    machine.start(f"--cni-bin={bin_}")
    until(lambda: "CNI created it" in machine.log, machine.log)
    until(machine.is_ours)
    allocated = [path.name for path in (store / "fabric").iterdir() if "192.168" in path.name]
    assert len(allocated) == 1


def test_missing_plugin_and_refusal_are_told_and_others_work(machine: Machine) -> None:
    machine.write({"type": "sriov"})
    machine.start()
    until(
        lambda: "CNI plugin sriov, VERSION: no such program" in machine.dualpath("status"),
        machine.log,
    )
    assert "install it there (Debian: containernetworking-plugins)" in machine.dualpath("status")
    until(lambda: "100.64.0.1" in run(f"ip -n {machine.forwarding} addr show lo"))  # the VTEP
    machine.write(macvlan(STATIC, master="eth9"))
    until(lambda: "CNI plugin macvlan, ADD:" in machine.dualpath("status"), machine.log)
    machine.write(macvlan(STATIC))
    until(machine.is_up, machine.log)
    until(lambda: "CNI plugin" not in machine.dualpath("status"))


@pytest.mark.long
def test_device_of_somebody_else_is_left_alone(machine: Machine) -> None:
    netns.create(machine.forwarding)
    run(f"ip -n {machine.forwarding} link add net1 type veth peer name other")
    machine.write(macvlan(STATIC))
    machine.start()
    until(lambda: "has an interface net1 already" in machine.dualpath("status"), machine.log)
    machine.write()
    until(lambda: "Underlay" not in machine.dualpath("status"))
    assert "veth" in run(f"ip -n {machine.forwarding} -d link show net1")


@pytest.mark.long
def test_chained_plugins_and_capabilities_reach_the_interface(machine: Machine) -> None:
    tuning = {"type": "tuning", "mtu": 1400, "sysctl": {"net.ipv4.conf.net1.arp_notify": "1"}}
    machine.write(macvlan(STATIC), tuning)
    machine.start()
    until(machine.is_up, machine.log)
    assert "mtu 1400" in run(f"ip -n {machine.forwarding} link show net1")
    until(lambda: "CNI plugin" not in machine.dualpath("audit"))


@pytest.mark.long
@pytest.mark.parametrize("plugin", ["ipvlan", "bridge", "host-device", "vlan"])
def test_other_plugins_make_uplinks_too(plugin: str, machine: Machine) -> None:
    if plugin in ("ipvlan", "vlan"):
        options = {"ipvlan": "ipvlan", "vlan": "vlan id 9"}[plugin]
        if "probe" in run(
            f"ip -n {machine.host} link add probe link eth0 type {options} && "
            f"ip -n {machine.host} link show probe",
            check=False,
        ):
            run(f"ip -n {machine.host} link del probe")
        else:
            pytest.skip(f"this kernel has no {plugin} devices")
    run(f"ip -n {machine.host} link add spare type veth peer name spare-peer")
    of_each: dict[str, dict[str, object]] = {
        "ipvlan": {"master": "eth0"},
        "bridge": {"bridge": f"br{os.getpid() % 10000}"},
        "host-device": {"device": "spare"},
        "vlan": {"master": "eth0", "vlanId": 7},
    }
    machine.write({"type": plugin, "ipam": STATIC, **of_each[plugin]})
    machine.start()
    until(machine.is_up, machine.log)
    machine.stop()
    told = machine.dualpath("down", f"--state-dir={machine.state_dir}")
    assert "NOT DONE" not in told
    assert f"removed by the plugins that made it: {plugin} (static)" in told
    assert not netns.exists(machine.forwarding)
    if plugin == "host-device":
        assert "spare" in names(machine.host)


def test_lease_is_acquired_renewed_and_released(machine: Machine) -> None:
    machine.write(macvlan(DHCP))
    with dhcp_server(machine):
        machine.start()
        leases = machine.directory / "leases"
        until(lambda: "CNI created it with 192.168.11." in machine.log, "no lease")
        until(machine.is_ours)
        address = leases.read_text().split()[2]
        assert machine.is_up(f"{address}/24")
        until(lambda: ping(machine.server, address))
        daemon = listener(machine.state_dir / SOCKET)
        assert daemon
        machine.stop()
        assert not daemon.ended
        daemon.send_signal(signal.SIGKILL)  # its leases are gone with it
        machine.start()
        until(lambda: machine.log.count("started the DHCP daemon") == 2, machine.log)
        until(lambda: "CHECK" not in machine.dualpath("audit"))
        assert machine.is_up(f"{address}/24")
        assert machine.log.count("CNI created it") == 1
        machine.write()
        until(lambda: "net1" not in names(machine.forwarding), machine.log)
        until(lambda: listener(machine.state_dir / SOCKET) is None)


@pytest.mark.long
def test_dhcp_server_that_is_away_costs_nothing_but_a_new_address(machine: Machine) -> None:
    machine.write(macvlan(DHCP))
    with dhcp_server(machine):
        machine.start()
        until(lambda: "CNI created it with 192.168.11." in machine.log, "no lease")
        until(machine.is_ours)
        index = machine.index()
    daemon = listener(machine.state_dir / SOCKET)
    assert daemon
    daemon.send_signal(signal.SIGKILL)
    machine.dualpath("resync")
    time.sleep(3)
    assert machine.index() == index
    machine.stop()
    told = machine.dualpath("down", f"--state-dir={machine.state_dir}")
    assert "NOT DONE" not in told
    assert listener(machine.state_dir / SOCKET) is None
    assert not netns.exists(machine.forwarding)


def test_dry_run_names_the_plugins_and_changes_nothing(machine: Machine) -> None:
    machine.write(macvlan(STATIC))
    machine.start("--dry-run")
    assert machine.controller
    machine.controller.wait(30)
    machine.controller = None
    assert "make      cni       net1, by macvlan (static) in namespace" in machine.log
    assert not netns.exists(machine.forwarding)
    assert not (machine.directory / "cni").exists()
