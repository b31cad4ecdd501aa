"""No host of one routing table reaches another table, in either direction."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from datapaths.base import Lost
from datapaths.kernel.driver import KernelDatapath
from datapaths.kernel.layout import Layout
from datapaths.linux import netns
from dualpath.model.kinds import Kind
from dualpath.model.links import HostEnd, Port, Vni, Vrf
from dualpath.model.records import Record, RecordBatch
from tests.netns.layouts import addresses, upsert, withdraw
from tests.netns.namespaces import fresh, kernel_has_vrf, ping, run

pytestmark = pytest.mark.netns

VTEP = bytes([100, 64, 0, 1])
BRIDGED = Vni(111, local=VTEP)  # belongs to no VRF and has no gateway
FAMILIES = ("-4", "-6")
ISOLATED_S = 0.5  # long enough for a reply that must not arrive

RED, BLUE = Vrf("red", 1100), Vrf("blue", 1200)
GATEWAY = Vni(
    110,
    vrf="red",
    local=VTEP,
    mac=bytes.fromhex("00f30000006f"),
    gateways=addresses("10.110.0.1/24", "fd00:110::1/64"),
)
OWN = {  # the router's addresses by VRF: only its own hosts reach them
    "": ("100.64.0.1", "fd00:64::1", "192.0.2.1", "fd00:2::1"),
    "red": ("10.1.0.1", "fd00:a1::1", "10.110.0.1", "fd00:110::1"),
    "blue": ("10.2.0.1", "fd00:a2::1"),
}
FROM = {"outside": "", "h-red": "red", "h-bridge": "red", "h-blue": "blue"}  # namespace: its table


def leg(name: str, vrf: str, host: str, own: tuple[str, str], far: tuple[str, str]) -> Port:
    end = HostEnd(host, "eth0", addresses=addresses(*far))
    return Port(name, vrf=vrf, addresses=addresses(*own), host=end)


def bridged(vni: int, host: str) -> Port:
    return Port("pe-b", vni=vni, host=HostEnd(host, "eth0"))


def loopback() -> Port:
    return Port("lo", addresses=addresses("100.64.0.1/32", "fd00:64::1/128"), loopback=True)


def underlay(host: str) -> Port:
    own, far = ("192.0.2.1/24", "fd00:2::1/64"), ("192.0.2.2/24", "fd00:2::2/64")
    return leg("eth1", "", host, own, far)


def route_all(space: str, v4: str, v6: str) -> None:
    run(f"ip -n {space} route add default via {v4}")
    run(f"ip -n {space} -6 route add default via {v6}")


def address(space: str, v4: str, v6: str) -> None:
    run(f"ip -n {space} addr add {v4} dev eth0")
    run(f"ip -n {space} addr add {v6} dev eth0 nodad")


@pytest.fixture
def bridge_only() -> Iterator[tuple[str, str, Layout]]:
    with fresh("fwd", "host") as (forwarding, host):
        layout = Layout(forwarding, host)
        layout.prepare()
        for record in (loopback(), BRIDGED, bridged(111, host)):
            assert upsert(layout, record) == []
        mac = run(f"ip netns exec {forwarding} cat /sys/class/net/br111/address").strip()
        address(host, "10.111.0.2/24", "fd00:111::2/64")
        for gateway in ("10.111.0.1", "fd00:111::1"):
            run(f"ip -n {host} neigh add {gateway} lladdr {mac} dev eth0")
        route_all(host, "10.111.0.1", "fd00:111::1")
        back = "10.111.0.0/24", "fd00:111::/64"
        for prefix in back:  # a route for the reply
            run(f"ip -n {forwarding} route add {prefix} dev br111")
        yield forwarding, host, layout


def delivered(space: str, forwarding: str, target: str) -> bool:
    """Send a datagram to the VXLAN port of the forwarding namespace; return whether it arrived."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with netns.entered(forwarding):
        listener = socket.socket(family, socket.SOCK_DGRAM)
    with netns.entered(space):
        caller = socket.socket(family, socket.SOCK_DGRAM)
    with listener, caller:
        listener.bind(("", 4790))
        listener.settimeout(ISOLATED_S)
        try:
            caller.sendto(b"frame", (target, 4790))
            return listener.recv(16) == b"frame"
        except OSError:
            return False


@pytest.mark.parametrize("target", ["100.64.0.1", "fd00:64::1"])
def test_host_of_a_bridge_without_gateway_does_not_reach_the_router(
    bridge_only: tuple[str, str, Layout], target: str
) -> None:
    forwarding, host, _ = bridge_only
    assert not delivered(host, forwarding, target)
    assert not ping(host, target, ISOLATED_S)


def test_bridge_that_gets_a_gateway_routes_again(bridge_only: tuple[str, str, Layout]) -> None:
    _, host, layout = bridge_only
    gateways = addresses("10.111.0.1/24", "fd00:111::1/64")
    assert upsert(layout, Vni(111, local=VTEP, gateways=gateways)) == []
    run(f"ip -n {host} neigh flush dev eth0 nud permanent")
    assert ping(host, "10.111.0.1")
    assert ping(host, "fd00:111::1")


def test_withdrawn_bridge_removes_its_rule(bridge_only: tuple[str, str, Layout]) -> None:
    forwarding, host, layout = bridge_only
    withdraw(layout, bridged(111, host))
    assert withdraw(layout, BRIDGED) == []
    assert all("br111" not in run(f"ip -n {forwarding} {f} rule") for f in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("change", ["add pref 0 table local", "del pref 900"])
def test_changed_rule_of_a_bridge_is_detected_and_repaired(
    bridge_only: tuple[str, str, Layout], family: str, change: str
) -> None:
    forwarding, host, layout = bridge_only
    command = f"ip -n {forwarding} {family} rule {change}"
    assert Kind.VNI in lost_after(forwarding, host, command)
    [found] = layout.dump(Kind.VNI)
    assert found != BRIDGED
    assert upsert(layout, BRIDGED) == []
    assert layout.dump(Kind.VNI) == [BRIDGED]


def lost_after(forwarding: str, host: str, command: str) -> set[Kind]:
    """Run a command beside the datapath; return the kinds that the datapath reports lost."""

    async def watch() -> set[Kind]:
        datapath = KernelDatapath(forwarding, host)
        kinds: set[Kind] = set()
        try:
            await datapath.capabilities()
            events = datapath.learned()
            run(command)
            async with asyncio.timeout(2):
                async for event in events:
                    if isinstance(event, Lost):
                        kinds.add(event.kind)
                    if {Kind.VRF, Kind.VNI} <= kinds:
                        break
        except TimeoutError:
            pass
        finally:
            await datapath.close()
        return kinds

    return asyncio.run(watch())


@pytest.fixture
def tenants() -> Iterator[tuple[dict[str, str], str, Layout]]:
    if not kernel_has_vrf():
        pytest.skip("this kernel has no VRF devices")
    names = ("fwd", *FROM)
    with fresh(*names) as full:
        space = dict(zip(names, full, strict=True))
        layout = Layout(space["fwd"], space["outside"])
        layout.prepare()
        red = leg("pe-r", "red", space["h-red"], ("10.1.0.1/24", "fd00:a1::1/64"), RED_HOST)
        blue = leg("pe-bl", "blue", space["h-blue"], ("10.2.0.1/24", "fd00:a2::1/64"), BLUE_HOST)
        records: tuple[Record, ...] = (RED, BLUE, GATEWAY, loopback(), underlay(space["outside"]))
        for record in (*records, red, blue, bridged(110, space["h-bridge"])):
            assert layout.apply(RecordBatch(record.kind, upserts=(record,))) == []
        address(space["h-bridge"], "10.110.0.2/24", "fd00:110::2/64")
        route_all(space["outside"], "192.0.2.1", "fd00:2::1")
        route_all(space["h-red"], "10.1.0.1", "fd00:a1::1")
        route_all(space["h-blue"], "10.2.0.1", "fd00:a2::1")
        route_all(space["h-bridge"], "10.110.0.1", "fd00:110::1")
        yield space, space["fwd"], layout


RED_HOST = "10.1.0.2/24", "fd00:a1::2/64"
BLUE_HOST = "10.2.0.2/24", "fd00:a2::2/64"


def test_each_vrf_is_reached_by_its_own_hosts_only(
    tenants: tuple[dict[str, str], str, Layout],
) -> None:
    space, _, _ = tenants
    for source, own in FROM.items():
        for table, targets in OWN.items():
            for target in targets:
                timeout_s = 2.0 if table == own else ISOLATED_S
                reached = ping(space[source], target, timeout_s)
                assert reached == (table == own), (source, target)


def test_hosts_of_two_vrfs_never_reach_each_other(
    tenants: tuple[dict[str, str], str, Layout],
) -> None:
    space, _, _ = tenants
    hosts = {
        "outside": ("192.0.2.2", "fd00:2::2"),
        "h-red": ("10.1.0.2", "fd00:a1::2"),
        "h-bridge": ("10.110.0.2", "fd00:110::2"),
        "h-blue": ("10.2.0.2", "fd00:a2::2"),
    }
    for source in FROM:
        for target, own in hosts.items():
            for text in own if source != target else ():
                same = FROM[source] == FROM[target]
                assert ping(space[source], text, 2.0 if same else ISOLATED_S) == same, (
                    source,
                    text,
                )


def test_datagram_of_a_tenant_reaches_no_socket_of_the_underlay(
    tenants: tuple[dict[str, str], str, Layout],
) -> None:
    space, forwarding, _ = tenants
    assert delivered(space["outside"], forwarding, "100.64.0.1")
    assert delivered(space["outside"], forwarding, "fd00:64::1")
    for source in ("h-red", "h-bridge", "h-blue"):
        for targets in OWN.values():
            for target in targets:
                assert not delivered(space[source], forwarding, target), (source, target)


def test_tenant_uses_the_addresses_of_its_router(
    tenants: tuple[dict[str, str], str, Layout],
) -> None:
    space, _, layout = tenants
    own = ("100.64.0.1/32", "fd00:64::1/128", "192.0.2.1/32", "10.2.0.1/32", "fd00:a2::1/128")
    end = HostEnd(space["h-red"], "eth9", addresses=addresses("172.16.0.2/24"))
    same = Port("pe-s", vrf="red", addresses=addresses(*own), host=end)
    assert upsert(layout, same) == []
    for target in ("100.64.0.1", "fd00:64::1", "192.0.2.1", "10.2.0.1", "fd00:a2::1"):
        assert ping(space["h-red"], target), target


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "change",
    [
        "rule add pref 0 table local",
        "rule del pref 1000",
        "rule del pref 32765",
        "route del unreachable default metric 4278198272 table 1100",
    ],
)
def test_leaking_vrf_table_is_detected_and_repaired(
    tenants: tuple[dict[str, str], str, Layout], family: str, change: str
) -> None:
    space, forwarding, layout = tenants
    command = f"ip -n {forwarding} {family} {change}"
    assert Kind.VRF in lost_after(forwarding, space["outside"], command)
    assert RED not in layout.dump(Kind.VRF)
    assert upsert(layout, RED) == []
    assert RED in layout.dump(Kind.VRF)
    assert not ping(space["h-red"], "100.64.0.1", ISOLATED_S)
    assert not ping(space["h-red"], "fd00:64::1", ISOLATED_S)
