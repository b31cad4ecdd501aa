"""The standard topology: stock FRR controls, a datapath forwards, and the CLI shows it."""

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest

from dualpath.netlink.numbers import RTPROT_DUALPATH
from tests.lab.fabric import Fabric, Pe
from tests.lab.isolation import assert_no_way_in
from tests.lab.namespaces import heard, monitored
from tests.lab.ping import flows
from tests.lab.plan import BRIDGED_GATEWAYS, L2_VNI, L3_VNI, TENANT_VRF
from tests.lab.processes import run
from tests.lab.product import listen_address
from tests.lab.waiting import wait_until
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.lab


@pytest.mark.datapaths("kernel", "dpdk")
@rule("Differs.namespaces")
def test_frr_cannot_reach_the_forwarding_namespace(fabric: Fabric) -> None:
    for pe in fabric.pes:
        assert pe.control.path.stat().st_ino != pe.forwarding.path.stat().st_ino
        assert_no_way_in(pe.router, pe.forwarding)


@pytest.mark.datapaths("kernel", "dpdk")
@rule("Differs.frr")
def test_zebra_is_unmodified(fabric: Fabric) -> None:
    """It has no knowledge of the datapath: the FPM is its only plugin."""
    pe1 = fabric.pes[0]
    words = Path(f"/proc/{pe1.router.pids()['zebra']}/cmdline").read_text().split("\0")
    plugins = [value for option, value in pairwise(words) if option in ("-M", "--module")]
    assert plugins == ["dplane_fpm_nl"]


def test_routes_have_protocol_68(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    for family, host in (("-4", pe2.routed.v4), ("-6", pe2.routed.v6)):
        text = pe1.forwarding.ip("-N", family, "route", "show", "vrf", TENANT_VRF)
        (line,) = [line for line in text.splitlines() if line.startswith(f"{host} ")]
        assert f" proto {RTPROT_DUALPATH} " in line
        assert "nhid" in line


@pytest.mark.datapaths("kernel", "dpdk", "both-dpdk")
@rule("Differs.grout")
def test_bridged_host_reaches_a_routed_host(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    for source, target in ((pe1.bridged, pe2.routed), (pe2.bridged, pe1.routed)):
        source.wait_for_ping(target.v4, 10)
        source.wait_for_ping(target.v6, 10)


@pytest.mark.datapaths("kernel", "dpdk")
def test_hosts_accept_no_default_route_from_grout(fabric: Fabric) -> None:
    """They sent router solicitations when their links came up, and grout answers."""
    for host in (host for pe in fabric.pes for host in (pe.bridged, pe.routed)):
        assert "proto ra" not in host.namespace.ip("-6", "route", "show", "default")


@pytest.mark.datapaths("kernel", "dpdk")
def test_learned_macs_are_advertised(fabric: Fabric) -> None:
    """Type 2: MACs and neighbors that the kernel learns on pe1 are remote ones in pe2's FRR."""
    pe1, pe2 = fabric.pes
    mac = pe1.bridged.mac()
    for gateway in BRIDGED_GATEWAYS:  # which is how a router gets to know a host's addresses
        pe1.bridged.wait_for_ping(gateway.split("/")[0], 10)

    def advertised() -> bool:
        shown = pe2.router.vtysh_json(f"show evpn mac vni {L2_VNI}")["macs"].get(mac, {})
        return bool(shown.get("type") == "remote" and shown["remoteVtep"] == pe1.plan.vtep)

    wait_until(advertised, "the MAC is remote in pe2's FRR", 20)

    def addresses_are_known() -> bool:
        shown = pe2.router.vtysh_json(f"show evpn arp-cache vni {L2_VNI}")
        found = [shown.get(a, {}).get("mac") for a in (pe1.bridged.v4, pe1.bridged.v6)]
        return found == [mac, mac]

    wait_until(addresses_are_known, "its addresses are known to pe2's FRR", 20)
    rows = {row["mac"]: row for row in pe2.dualpath_json("macs", "--vni", str(L2_VNI))}
    assert rows[mac]["vtep"] == pe1.plan.vtep
    assert rows[mac]["state"] == "ROW_STATE_PROGRAMMED"


@pytest.mark.datapaths("kernel", "dpdk")
def test_arp_for_a_remote_host_is_answered_locally(fabric: Fabric) -> None:
    """ARP suppression: a request for a known remote host does not leave the node."""
    pe1, pe2 = fabric.pes
    for gateway in BRIDGED_GATEWAYS:
        pe2.bridged.wait_for_ping(gateway.split("/")[0], 10)
    addresses = {pe2.bridged.v4, pe2.bridged.v6}
    wait_until(lambda: addresses <= neighbors_of(pe1), "pe1 knows the host's addresses", 20)
    with heard(pe2.bridged.namespace, "arp[6:2] == 1") as requests:
        pe1.bridged.namespace.ip("neigh", "flush", "dev", "eth0")
        assert pe1.bridged.ping(pe2.bridged.v4, 2.0)
        assert requests() == []
    with heard(pe2.bridged.namespace, "icmp6 and ip6[40] == 135") as requests:
        pe1.bridged.namespace.ip("-6", "neigh", "flush", "dev", "eth0")
        assert pe1.bridged.ping(pe2.bridged.v6, 2.0)
        assert [line for line in requests() if pe1.bridged.v6 in line] == []


@pytest.mark.datapaths("kernel", "dpdk", "both-dpdk")
def test_host_moves_to_another_node_and_back(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    host, stays = pe1.bridged, pe2.bridged
    fabric.move_bridged_host(host, pe1, pe2)
    try:
        converges(pe1, pe2, host.mac(), remote_on=pe1, source=host.namespace.name)
        with flows((host.namespace, pe1.routed.v4), (host.namespace, stays.v6)) as results:
            time.sleep(2)
        assert [result.lost for result in results] == [0, 0]
    finally:
        fabric.move_bridged_host(host, pe2, pe1)
    converges(pe2, pe1, host.mac(), remote_on=pe2, source=host.namespace.name)
    with flows((stays.namespace, host.v4), (host.namespace, stays.v6)) as results:
        time.sleep(2)
    assert [result.lost for result in results] == [0, 0]


def converges(old: Pe, new: Pe, mac: str, *, remote_on: Pe, source: str) -> None:
    """Let the host send, and wait until it is remote on its old node and local on the new one."""
    wanted = new.plan.vtep, "ROW_STATE_PROGRAMMED"
    host = old.bridged if old.bridged.namespace.name == source else new.bridged

    def arrived() -> bool:
        host.ping(new.plan.pool_gateways[0], 0.3)
        rows = {row["mac"]: row for row in remote_on.dualpath_json("macs")}
        there = rows.get(mac, {})
        return bool(there) and (there["vtep"], there["state"]) == wanted

    wait_until(arrived, f"{mac} is behind {new.name}", 15)
    wait_until(
        lambda: mac not in {row["mac"] for row in new.dualpath_json("macs")},
        f"{mac} is local to {new.name}",
        15,
    )


def test_drift_is_repaired(fabric: Fabric) -> None:
    """An object removed by another program is restored within 1 s."""
    pe1, pe2 = fabric.pes
    fwd = pe1.forwarding
    mac = pe2.bridged.mac()
    repaired_before = int(pe1.dualpath_json("status")["repaired"])
    for removal, there in (
        (("route", "del", pe2.routed.v4, "vrf", TENANT_VRF), has_route(pe1, pe2.routed.v4)),
        (("-6", "route", "del", pe2.routed.v6, "vrf", TENANT_VRF), has_route(pe1, pe2.routed.v6)),
    ):
        assert there
        fwd.ip(*removal)
    run(["bridge", "-n", fwd.name, "fdb", "del", mac, "dev", f"vx{L2_VNI}", "master"])
    since = time.monotonic()
    wait_until(lambda: has_route(pe1, pe2.routed.v4), "the route is back", 5, every_s=0.05)
    wait_until(lambda: has_route(pe1, pe2.routed.v6), "the IPv6 route is back", 5, every_s=0.05)
    wait_until(lambda: mac in remote_macs(pe1), "the FDB entry is back", 5, every_s=0.05)
    assert time.monotonic() - since < 1.5
    assert int(pe1.dualpath_json("status")["repaired"]) >= repaired_before + 3


def test_deleted_device_is_recreated(fabric: Fabric) -> None:
    pe1, pe2 = fabric.pes
    pe1.forwarding.ip("link", "del", f"vx{L3_VNI}")
    pe1.routed.wait_for_ping(pe2.routed.v4, 20)
    pe1.routed.wait_for_ping(pe2.routed.v6, 20)
    wait_until(lambda: not failed(pe1), "nothing is failed", 20)


def test_foreign_route_is_kept(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    pe1.forwarding.ip("route", "add", "198.51.100.0/24", "dev", "lo", "vrf", TENANT_VRF)
    pe1.dualpath("resync")
    assert has_route(pe1, "198.51.100.0/24")
    pe1.forwarding.ip("route", "del", "198.51.100.0/24", "vrf", TENANT_VRF)


def test_idle_node_writes_nothing(fabric: Fabric) -> None:
    pe1 = fabric.pes[0]
    # Without "link": a bridge tells of a new port again when its forward delay is over.
    with monitored(pe1.forwarding, "route", "nexthop", "address") as changes:
        time.sleep(12)  # longer than a provisioning round
        assert pe1.dualpath("audit") == "nothing differs\n"
        assert pe1.dualpath("resync") == "nothing differed\n"
        seen = changes()
    assert seen == [], "\n".join(seen)


def test_reflection_client_lists_routes(fabric: Fabric) -> None:
    """A generic client that knows no .proto sees what `dualpath routes` shows."""
    pe1 = fabric.pes[0]
    ours = pe1.dualpath_json("routes", "--vrf", TENANT_VRF)
    program = ["python", "-m", "tests.lab.reflect", listen_address(pe1.plan)]
    theirs = json.loads(run([*program, "ListRoutes", json.dumps({"vrf": TENANT_VRF})]))
    assert {row["prefix"] for row in theirs} == {row["prefix"] for row in ours}
    assert pe1.plan.routed_addresses[0] not in {row["prefix"].split("/")[0] for row in theirs}


def neighbors_of(pe: Pe) -> set[str]:
    rows = pe.dualpath_json("neighbors", "--vni", str(L2_VNI))
    return {row["address"] for row in rows if row["state"] == "ROW_STATE_PROGRAMMED"}


def has_route(pe: Pe, host: str) -> bool:
    family = "-6" if ":" in host else "-4"
    return host in pe.forwarding.ip(family, "route", "show", "vrf", TENANT_VRF)


def remote_macs(pe: Pe) -> str:
    return run(["bridge", "-n", pe.forwarding.name, "fdb", "show", "dev", f"vx{L2_VNI}"])


def failed(pe: Pe) -> list[str]:
    counts = pe.dualpath_json("status")["counts"]
    return [count["kind"] for count in counts if int(count["failed"])]
