"""`controller --dry-run` prints what a start would do, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.dryrun.connections import parse
from controller.dryrun.nics import moving
from datapaths.linux import netns
from dualpath.model.links import Port
from tests.netns.machines import Machine, machine, settled
from tests.netns.namespaces import names, run

pytestmark = [
    pytest.mark.netns,
    pytest.mark.program,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

WITHOUT = {k: v for k, v in os.environ.items() if k != "SSH_CONNECTION"}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as one:
        yield one


def told(host: Machine, *options: str, ssh: str = "") -> dict[str, Any]:
    """Return the dry run's report as JSON."""
    environment = {**WITHOUT, "SSH_CONNECTION": ssh} if ssh else WITHOUT
    done = host.run("--dry-run", "-o", "json", *options, environment=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    expected = 1 if found["problems"] else 3 if found["changes"] else 0
    assert done.returncode == expected, done.stderr
    return found


def of(found: dict[str, Any], action: str, what: str) -> list[str]:
    return [c["name"] for c in found["changes"] if (c["action"], c["what"]) == (action, what)]


@contextmanager
def started(host: Machine) -> Iterator[subprocess.Popen[bytes]]:
    """Run a controller until its NIC has moved, and stop it afterwards."""
    log = (host.directory / "controller.log").open("wb")
    process = subprocess.Popen(host.command(), stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not (netns.exists(host.forwarding) and {"eth7", "br110"} <= names(host.forwarding)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


def test_dry_run_prints_a_first_start_and_changes_nothing(host: Machine) -> None:
    before = host.seen()
    found = told(host)
    assert host.seen() == before
    assert {name.split(",")[0] for name in of(found, "make", "namespace")} == {
        host.forwarding,
        host.control,
    }
    [nic] = [change for change in found["changes"] if change["what"] == "nic"]
    assert nic["action"] == "move"
    assert host.forwarding in nic["name"]
    text = "\n".join(nic["details"])
    assert "address 192.0.2.2/24\n" in text
    assert "address 2001:db8::2/64" in text
    assert re.search(r"address 192\.0\.2\.9/24, a lease that ends in 3[56]\d\d s", text)
    assert "route default via 192.0.2.1" in text
    assert "route default (IPv6) via 2001:db8::1" in text
    assert of(found, "make", "vni") == ["110, for L2VNI segment"]
    assert set(of(found, "make", "shadow")) == {"lo", "br110", "vx110", "ac110"}
    assert of(found, "make", "twin") == ["eth7"]
    assert "+router bgp 65001" in found["frr_conf"]
    assert not [warning for warning in found["warnings"] if "SSH" in warning]
    assert not host.state_dir.exists()


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_default_route_through_the_nic_is_a_warning(host: Machine, family: str) -> None:
    [warning] = [w for w in told(host)["warnings"] if f"{family} default route" in w]
    assert "eth7" in warning


@pytest.mark.parametrize(
    ("ssh", "through"),
    [
        ("192.0.2.1 50000 192.0.2.2 22", True),
        ("192.0.2.1 50000 192.0.2.9 22", True),
        ("2001:db8::1 50000 2001:db8::2 22", True),
        ("::ffff:192.0.2.1 50000 ::ffff:192.0.2.2 22", True),
        ("fe80::1%eth7 50000 fe80::2%eth7 22", True),
        ("fe80::1%mgmt 50000 fe80::2%mgmt 22", False),
        ("198.51.100.7 50000 10.0.0.1 22", True),  # answered by the default route
        ("203.0.113.7 50000 203.0.113.1 22", False),  # by another NIC
        ("2001:db8:1::7 50000 2001:db8:1::1 22", False),
        ("nonsense", False),
    ],
)
def test_ssh_session_through_the_nic_is_a_warning(host: Machine, ssh: str, through: bool) -> None:
    run(f"ip -n {host.host} link add mgmt type veth peer name mgmt-far")
    run(f"ip -n {host.host} addr add 203.0.113.1/24 dev mgmt")
    run(f"ip -n {host.host} addr add 2001:db8:1::1/64 dev mgmt nodad")
    run(f"ip -n {host.host} link set mgmt up")
    run(f"ip -n {host.host} link set mgmt-far up")
    with netns.entered(host.host):
        found = moving(Port("eth7", source_netns=""), "", host.forwarding, parse(ssh))
    warnings = [w for w in found.warnings if "SSH session" in w]
    assert bool(warnings) is through
    assert all("--confirm-within" in warning and "eth7" in warning for warning in warnings)


def test_ssh_session_of_the_starting_shell_is_found(host: Machine) -> None:
    warnings = told(host, ssh="192.0.2.1 50000 192.0.2.2 22")["warnings"]
    assert any("SSH session (from 192.0.2.1 to 192.0.2.2)" in warning for warning in warnings)


def test_ssh_session_on_a_device_above_the_nic_is_a_warning(host: Machine) -> None:
    run(f"ip -n {host.host} link add top link eth7 type macvlan")
    run(f"ip -n {host.host} addr add 203.0.113.1/24 dev top")
    run(f"ip -n {host.host} link set top up")
    warnings = told(host, ssh="203.0.113.7 50000 203.0.113.1 22")["warnings"]
    assert any("SSH session" in warning for warning in warnings)
    assert any("top is on top of eth7" in warning for warning in warnings)


def test_open_connections_to_the_nics_addresses_are_counted(host: Machine) -> None:
    with netns.entered(host.host):
        listener = socket.create_server(("192.0.2.2", 2222))
    with netns.entered(host.client):
        client = socket.create_connection(("192.0.2.2", 2222))
    with listener, client:
        warnings = told(host)["warnings"]
    assert "1 TCP connection to addresses of eth7 would break (port 2222)" in warnings


def test_nic_that_cannot_be_moved_is_a_problem(host: Machine) -> None:
    host.write("eth9")
    assert any("eth9: no such device" in text for text in told(host)["problems"])
    host.write("eth7")
    run(f"ip -n {host.host} link add br0 type bridge")
    run(f"ip -n {host.host} link set eth7 master br0")
    assert any("eth7 belongs to br0" in text for text in told(host)["problems"])


def test_namespace_of_frrs_pod_is_named_and_its_frr_is_not_looked_for(host: Machine) -> None:
    found = told(host, "--bridge=external", "--frr-pod=dualpath-system/app=router")
    assert f"{host.control}, FRR's, later that of its pod" in of(found, "make", "namespace")
    assert of(found, "make", "file") == []
    assert any("--frr-pod" in warning for warning in found["warnings"])
    assert not netns.exists(host.control)


def test_leg_with_an_occupied_name_is_a_problem(host: Machine) -> None:
    run(f"ip -n {host.host} link add host-e-110 type bridge")
    assert any("host-e-110 exists" in text for text in told(host)["problems"])


def test_dry_run_beside_a_running_controller_shows_changes_for_frr_only(host: Machine) -> None:
    with started(host):
        found = told(host)
    kinds = {(c["action"], c["what"]) for c in found["changes"]}
    # Without FRR, shadow devices and twins do not exist yet.
    assert kinds <= {("make", "shadow"), ("make", "twin"), ("make", "file")}


def test_dry_run_beside_a_running_controller_shows_changes_of_an_edited_manifest(
    host: Machine,
) -> None:
    run(f"ip -n {host.host} link add eth8 type veth peer name wire8 netns {host.client}")
    with started(host) as process:
        process.send_signal(signal.SIGSTOP)  # it must not apply the edited manifest
        try:
            host.write("eth8")
            host.manifest.write_text(host.manifest.read_text().replace("vni: 110", "vni: 120"))
            found = told(host)
        finally:
            process.send_signal(signal.SIGCONT)
    assert [name.split(",")[0] for name in of(found, "move", "nic")] == ["eth8"]
    assert of(found, "give back", "nic") == ["eth7"]
    assert of(found, "remove", "vni") == ["110"]
    assert of(found, "make", "vni") == ["120, for L2VNI segment"]


def test_drift_is_reported_as_a_change(host: Machine) -> None:
    with started(host):
        pass
    run(f"ip -n {host.forwarding} link set br110 mtu 1300")
    settled(host.host, host.client, host.forwarding)
    before = host.seen()
    changed = [c for c in told(host)["changes"] if c["action"] == "change"]
    assert host.seen() == before
    assert any("br110" in detail for c in changed for detail in c["details"])


def test_dry_run_text_lists_every_change(host: Machine) -> None:
    done = host.run("--dry-run", environment=WITHOUT)
    assert "Nothing was changed. A start with these options would:" in done.stdout
    assert "move      nic       eth7, from the controller's namespace" in done.stdout
    assert "WARNING: the IPv4 default route" in done.stdout


def test_nic_owned_by_grout_under_another_name_is_not_moved_again(host: Machine) -> None:
    run(f"ip netns add {host.forwarding}")
    run(f"ip -n {host.host} link set eth7 down")
    mark = {"what": "device", "from": ".", "port": "eth7"}
    run(f"ip -n {host.host} link set eth7 alias 'dualpath:{json.dumps(mark)}'")
    run(f"ip -n {host.host} link set eth7 netns {host.forwarding} name n-eth7")
    found = told(host, "--datapath=dpdk")
    assert not [c for c in found["changes"] if c["what"] == "nic"]
    assert not [text for text in found["problems"] if "eth7" in text]
    assert any("grout" in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    "route",
    [
        "route replace default nexthop via 192.0.2.1 nexthop via 203.0.113.7",
        "route add default via 192.0.2.1 table 77",
        "route replace default dev eth7",
        "-6 route replace default nexthop via 2001:db8::1 nexthop via 2001:db8:1::7",
    ],
)
def test_default_route_of_any_form_is_found(host: Machine, route: str) -> None:
    run(f"ip -n {host.host} link add mgmt type veth peer name mgmt-far")
    run(f"ip -n {host.host} addr add 203.0.113.1/24 dev mgmt")
    run(f"ip -n {host.host} addr add 2001:db8:1::1/64 dev mgmt nodad")
    run(f"ip -n {host.host} link set mgmt up")
    run(f"ip -n {host.host} link set mgmt-far up")
    for family in ("-4", "-6"):
        run(f"ip -n {host.host} {family} route del default")
    run(f"ip -n {host.host} {route}")
    version = "IPv6" if route.startswith("-6") else "IPv4"
    for name, through in (("eth7", True), ("mgmt", "nexthop" in route)):
        found = moving(Port(name, source_netns=""), host.host, host.forwarding, None)
        told = [w for w in found.warnings if f"the {version} default route" in w]
        assert bool(told) is through


def test_default_route_with_a_nexthop_object_is_found(host: Machine) -> None:
    run(f"ip -n {host.host} nexthop add id 7 via 192.0.2.1 dev eth7")
    run(f"ip -n {host.host} route replace default nhid 7")
    found = moving(Port("eth7", source_netns=""), host.host, host.forwarding, None)
    assert any("the IPv4 default route" in warning for warning in found.warnings)
