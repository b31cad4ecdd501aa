"""GoBGP as the fabric: it receives Dualpath's routes, and Dualpath programs GoBGP's.

One PE, and in the spine's place a GoBGP that speaks EVPN; behind it, made by hand, VXLAN devices
for what its routes promise.
"""

import os
import re
from collections.abc import Iterator
from functools import partial

import pytest

from tests.lab.fabric import Fabric, Pe
from tests.lab.gobgp import Gobgp, Neighbor, Settings
from tests.lab.namespaces import Namespace
from tests.lab.ping import flows
from tests.lab.plan import (
    BRIDGED_GATEWAYS,
    L2_VNI,
    L3_VNI,
    SPINE_ASN,
    TENANT_VRF,
    Topology,
)
from tests.lab.processes import CommandFailed, run
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

ROUTER_ID = "10.254.0.1"
VTEP, VTEP2 = "100.64.0.77", "100.64.0.78"
ROUTER_MAC = "02:00:00:00:77:00"
HOST, HOST6, HOST_MAC = "10.110.0.77", "2001:db8:110::77", "02:00:00:00:77:01"
SEGMENT = "esi LACP 02:00:00:00:00:aa 7"  # of type 1 (RFC 7432 section 5)
SUBNET, SUBNET6 = "10.77.0.0/24", "2001:db8:77::/64"
INSIDE, INSIDE6 = "10.77.0.1", "2001:db8:77::1"  # behind VTEP, routed


class World:
    """A PE, and GoBGP with its own tunnel at the other end of the cable."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        fabric = Fabric(scenario, Topology(pes=1))
        self.pe: Pe = fabric.pes[0]
        self.space: Namespace = fabric.spines[0].namespace
        plan = self.pe.plan
        families = ("ipv4-unicast", "l2vpn-evpn")
        neighbor = Neighbor(plan.uplinks[0].pe_address, plan.asn, families)
        settings = Settings(SPINE_ASN, ROUTER_ID, (neighbor,), port=179)
        self.gobgp = Gobgp(scenario, self.space, settings)

    def start(self) -> None:
        self.gobgp.start()
        self.pe.start()
        self.pe.attach_hosts()
        self.gobgp.wait_for_sessions(1)
        self._make_tunnels()
        for vtep in (VTEP, VTEP2):
            self.gobgp.announce(f"{vtep}/32", "ipv4")

    def _make_tunnels(self) -> None:
        """Create what GoBGP advertises: a VTEP, a host on the segment, and a routed subnet."""
        plan = self.pe.plan
        tunnel = f"local {VTEP} remote {plan.vtep} dstport 4789 nolearning"
        self.space.ip_batch(
            f"address add {VTEP}/32 dev lo",
            f"address add {VTEP2}/32 dev lo",
            f"route add {plan.vtep}/32 via {plan.uplinks[0].pe_address}",
            f"link add l2 address {HOST_MAC} type vxlan id {L2_VNI} {tunnel}",
            f"address add {HOST}/24 dev l2",
            f"address add {HOST6}/64 dev l2 nodad",
            "link set l2 up",
            f"link add l3 address {ROUTER_MAC} type vxlan id {L3_VNI} {tunnel}",
            "link set l3 up",
            f"address add {INSIDE}/32 dev lo",
            f"address add {INSIDE6}/128 dev lo",
            *self._ways_back(),
        )

    def _ways_back(self) -> list[str]:
        """Return the routes to the PE's tenant by its router MAC, as of type 5 routes."""
        lines = []
        for pool, gateway in zip(self.pe.plan.pools, ("169.254.77.1", "fe80::77"), strict=True):
            lines += [
                f"neigh replace {gateway} lladdr {self.router_mac()} dev l3",
                f"route add {pool} via {gateway} dev l3 onlink",
            ]
        return lines

    def router_mac(self) -> str:
        device = self.pe.forwarding.ip_json("link", "show", "dev", f"br{L3_VNI}")[0]
        return str(device["address"])

    def fdb(self) -> str:
        """Return the VTEPs to which the PE's forwarding namespace floods the segment's frames."""
        return run(["bridge", "-n", self.pe.name, "fdb", "show", "dev", f"vx{L2_VNI}"])

    def announced(self, *words: str) -> None:
        """Wait until GoBGP prints an EVPN route that contains all these texts."""

        def found() -> list[str]:
            routes = self.gobgp.routes("evpn")
            return [line for line in routes if all(word in line for word in words)]

        wait_until(found, f"an EVPN route with {words}", 30)

    def inject(self, route: str, vtep: str = VTEP) -> None:
        self.gobgp.announce(f"{route} nexthop {vtep}", "evpn")

    def inject_host(self, segment: str = "") -> None:
        """Announce the host; again, in place of the earlier route, with another segment."""
        common = f"etag 0 rd {ROUTER_ID}:{L2_VNI} rt {SPINE_ASN}:{L2_VNI} encap vxlan"
        for address in (HOST, HOST6):
            self.inject(f"macadv {HOST_MAC} {address} {segment} label {L2_VNI} {common}")

    def way_to(self, mac: str) -> str:
        """Return the forwarding namespace's tunnel to a MAC, "" without one."""
        lines = (it for it in self.fdb().splitlines() if it.startswith(mac) and "self" in it)
        return next(lines, "")

    def vteps_of(self, mac: str) -> set[str]:
        """Return the VTEPs of a MAC's nexthop group."""
        if not (found := re.search(r"nhid (\d+)", self.way_to(mac))):
            return set()
        objects = {row["id"]: row for row in self.pe.forwarding.ip_json("nexthop", "show")}
        members = objects[int(found[1])].get("group", [])
        return {objects[member["id"]]["gateway"] for member in members}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if "DUALPATH_LAB_INSIDE" not in os.environ:
        pytest.skip("a scenario runs inside the lab: python -m tests.lab run")
    scenario = Scenario()
    try:
        made = World(scenario)
        made.start()
        yield made
    finally:
        scenario.clean()


def test_type_3_route_is_advertised_per_vni(world: World) -> None:
    pe = world.pe
    world.announced(
        "[type:multicast]",
        f"[rd:{pe.plan.router_id}:",
        f"[ip:{pe.plan.vtep}] {pe.plan.vtep} {pe.plan.asn} ",  # next hop and AS path
        f"[VXLAN], [{pe.plan.asn}:{L2_VNI}]",
        f"type: ingress-repl, label: {L2_VNI}, tunnel-id: {pe.plan.vtep}",
    )


def test_type_2_route_is_advertised_per_local_host(world: World) -> None:
    """A MAC alone has the segment's VNI; with an address also the tenant's VNI and router MAC."""
    pe, asn = world.pe, world.pe.plan.asn
    host = pe.bridged
    for gateway in BRIDGED_GATEWAYS:
        host.wait_for_ping(gateway.split("/")[0])
    rd, mac = f"[type:macadv][rd:{pe.plan.router_id}:", f"[mac:{host.mac()}]"
    world.announced(rd, f"{mac} [{L2_VNI}] {pe.plan.vtep}", f"[VXLAN], [{asn}:{L2_VNI}]}}")
    for address in (host.v4, host.v6):
        world.announced(
            rd,
            f"{mac}[ip:{address}] [{L2_VNI},{L3_VNI}] {pe.plan.vtep}",
            f"[VXLAN], [{asn}:{L2_VNI}], [{asn}:{L3_VNI}], [router's mac: {world.router_mac()}]",
        )


def test_type_2_routes_are_advertised_for_hosts_only(world: World) -> None:
    """Not for the bridge that Dualpath created on the node, nor for the ends of legs."""
    told = [line for line in world.gobgp.routes("evpn") if "[type:macadv]" in line]
    macs = {found[1] for line in told if (found := re.search(r"\[mac:(\S+?)\]", line))}
    assert macs == {world.pe.bridged.mac()}


def test_type_5_route_is_advertised_per_local_prefix(world: World) -> None:
    pe, asn = world.pe, world.pe.plan.asn
    for prefix in (f"{pe.routed.v4}/32", f"{pe.routed.v6}/128", "10.110.0.0/24"):
        world.announced(
            f"[type:Prefix][rd:{pe.plan.router_id}:",
            f"[prefix:{prefix}] [{L3_VNI}] {pe.plan.vtep}",
            f"[VXLAN], [{asn}:{L3_VNI}], [router's mac: {world.router_mac()}]",
        )


def test_injected_types_2_and_3_are_programmed(world: World) -> None:
    pe = world.pe
    common = f"etag 0 rd {ROUTER_ID}:{L2_VNI} rt {SPINE_ASN}:{L2_VNI} encap vxlan"
    world.inject(f"multicast {VTEP} {common} pmsi ingress-repl {L2_VNI} {VTEP}")
    world.inject_host()
    wait_until(lambda: f"00:00:00:00:00:00 dst {VTEP}" in world.fdb(), "the flood entry", 20)
    wait_until(lambda: f"{HOST_MAC} dst {VTEP}" in world.fdb(), "the MAC", 20)
    for address in (HOST, HOST6):
        neighbor = f"{address} lladdr {HOST_MAC}"
        shown = partial(pe.forwarding.ip, "neigh", "show", "dev", f"br{L2_VNI}")
        wait_until(lambda ask=shown, it=neighbor: it in ask(), neighbor, 20)  # type: ignore[misc]
        pe.bridged.wait_for_ping(address)


def ethernet_a_d(number: int) -> tuple[str, str]:
    """Return the two routes by which a VTEP advertises the segment, per ES and per EVI."""
    to = f"rt {SPINE_ASN}:{L2_VNI} encap vxlan"
    per_segment = f"a-d {SEGMENT} etag 4294967295 label 0 rd {ROUTER_ID}:9{number} {to}"
    per_instance = f"a-d {SEGMENT} etag 0 label {L2_VNI} rd {ROUTER_ID}:{number} {to}"
    return f"{per_segment} esi-label 0 all-active", per_instance


def kernel_takes_what_zebra_writes(scenario: Scenario) -> bool:
    """Return whether a dynamic FDB entry may have a nexthop group (OPERATIONS, FRR versions)."""
    space = scenario.namespace("probe")
    space.ip_batch(
        f"nexthop add id 1 via {VTEP} fdb",
        "nexthop add id 2 group 1 fdb",
        f"link add vx type vxlan id 1 local {VTEP2} dstport 4789",
    )
    entry = ["bridge", "-n", space.name, "fdb", "add", HOST_MAC, "dev", "vx", "nhid", "2", "self"]
    try:
        run([*entry, "dynamic", "extern_learn"])
    except CommandFailed as error:
        if "cannot be dynamic" not in str(error):
            raise
        return False
    return True


def test_mac_behind_an_ethernet_segment_is_reached_by_all_vteps(world: World) -> None:
    """All its VTEPs reach it if zebra can install the entry; otherwise the failure is reported."""
    pe = world.pe
    wait_until(pe.is_live, "nothing is held any more", 90)
    for number, vtep in enumerate((VTEP, VTEP2), 1):
        for route in ethernet_a_d(number):
            world.inject(route, vtep)
    world.inject_host(SEGMENT)
    if kernel_takes_what_zebra_writes(world.scenario):
        reached_by_all_vteps(world)
    else:
        told_as_missing(world)
    world.inject_host()
    wait_until(lambda: f"dst {VTEP}" in world.way_to(HOST_MAC), "single-homed again", 20)
    pe.bridged.wait_for_ping(HOST)
    pe.wait_for_clean_audit(20)


def reached_by_all_vteps(world: World) -> None:
    """RFC 7432 section 8.4, aliasing; a VTEP leaves and returns without loss."""
    host = world.pe.bridged
    wait_until(lambda: world.vteps_of(HOST_MAC) == {VTEP, VTEP2}, "both VTEPs", 20)
    for address in (HOST, HOST6):
        host.wait_for_ping(address)
    with flows((host.namespace, HOST), (host.namespace, HOST6)) as results:
        for route in ethernet_a_d(1):
            world.gobgp.withdraw(route, "evpn")
        wait_until(lambda: world.vteps_of(HOST_MAC) == {VTEP2}, "one VTEP", 20)
        for route in ethernet_a_d(1):
            world.inject(route)
        wait_until(lambda: world.vteps_of(HOST_MAC) == {VTEP, VTEP2}, "both VTEPs", 20)
    assert [result.lost for result in results] == [0, 0], results


def told_as_missing(world: World) -> None:
    missing = f"mac {L2_VNI} {HOST_MAC}"
    wait_until(lambda: missing in re.sub(" +", " ", world.pe.audit()), f"missing {missing}", 20)
    world.pe.bridged.wait_for_ping(HOST)  # its frames are flooded


def test_injected_type_5_is_programmed(world: World) -> None:
    pe = world.pe
    common = f"etag 0 label {L3_VNI} rd {ROUTER_ID}:{L3_VNI} rt {SPINE_ASN}:{L3_VNI} encap vxlan"
    for subnet, overlay_index in ((SUBNET, "0.0.0.0"), (SUBNET6, "::")):  # RFC 9136: none
        world.inject(f"prefix {subnet} gw {overlay_index} {common} router-mac {ROUTER_MAC}")
    for address in (INSIDE, INSIDE6):
        pe.routed.wait_for_ping(address)
    rows = {row["prefix"]: row for row in pe.dualpath_json("routes", "--vrf", TENANT_VRF)}
    assert {rows[subnet]["state"] for subnet in (SUBNET, SUBNET6)} == {"ROW_STATE_PROGRAMMED"}
    assert f"{VTEP} lladdr {ROUTER_MAC}" in pe.forwarding.ip("neigh", "show", "dev", f"br{L3_VNI}")


def test_withdrawn_routes_are_removed(world: World) -> None:
    pe = world.pe
    wait_until(pe.is_live, "nothing is held any more", 90)
    world.gobgp.withdraw(f"prefix {SUBNET} gw 0.0.0.0 etag 0 rd {ROUTER_ID}:{L3_VNI}", "evpn")
    gone = f"{SUBNET} is gone"
    wait_until(lambda: SUBNET not in pe.forwarding.ip("route", "show", "vrf", TENANT_VRF), gone, 20)
    assert pe.routed.ping(INSIDE6)
