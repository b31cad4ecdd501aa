"""The devices of the forwarding namespace, on a real kernel without VRFs."""

from __future__ import annotations

import errno

import pytest

from datapaths.base import Unavailable
from datapaths.kernel.layout import Layout
from datapaths.linux.links import Links
from datapaths.linux.marks import DEVICE_GROUP
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port, Vni
from tests.netns.layouts import addresses, bridged, routed, upsert, withdraw
from tests.netns.namespaces import link, names, ping, run, watching
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.netns

VNI = Vni(
    110,
    local=bytes([100, 64, 0, 1]),
    mac=bytes.fromhex("00f30000006f"),
    gateways=(Address.parse("10.110.0.1/24"), Address.parse("fd00:110::1/64")),
)
DETACHED = Vni(111, local=bytes.fromhex("fd00" + "00" * 13 + "01"), mtu=1430)
LOOPBACK = Port("lo", addresses=(Address.parse("100.64.0.1/32"),), loopback=True)


@rule("Layout.bridge", "Layout.vxlan")
def test_vni_reads_back_as_its_record(layout: Layout) -> None:
    assert upsert(layout, VNI, DETACHED) == []
    assert layout.dump(Kind.VNI) == [VNI, DETACHED]


@rule("Layout.vxlan")
def test_vxlan_device_does_not_learn_and_suppresses_neighbors(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    upsert(layout, VNI)
    shown = link(namespaces[0], "vx110")
    port = shown["linkinfo"]["info_slave_data"]
    assert shown["master"] == "br110"
    assert shown["inet6_addr_gen_mode"] == "none"
    assert (port["learning"], port["neigh_suppress"]) == (False, True)
    assert not shown["linkinfo"]["info_data"]["learning"]


def test_each_fdb_entry_is_listed_once(layout: Layout, namespaces: tuple[str, str]) -> None:
    """With a default VLAN the kernel lists it twice, although the bridge has no VLANs."""
    upsert(layout, VNI)
    run(f"bridge -n {namespaces[0]} fdb add 02:00:00:00:00:99 dev vx110 master extern_learn")
    shown = run(f"bridge -n {namespaces[0]} fdb show br br110").splitlines()
    assert len([line for line in shown if "02:00:00:00:00:99" in line]) == 1


@rule("Layout.twice")
def test_second_apply_writes_nothing(layout: Layout, namespaces: tuple[str, str]) -> None:
    records = (VNI, DETACHED), (LOOPBACK, routed(namespaces[1]), bridged(namespaces[1]))
    for batch in records:
        assert upsert(layout, *batch) == []
    with watching(namespaces[0]) as events:
        for batch in records:
            assert upsert(layout, *batch) == []
        assert events() == []


def test_ports_read_back_as_their_records(layout: Layout, namespaces: tuple[str, str]) -> None:
    ports = LOOPBACK, routed(namespaces[1]), bridged(namespaces[1])
    upsert(layout, VNI)
    assert upsert(layout, *ports) == []
    assert layout.dump(Kind.PORT) == list(ports)


@rule("Layout.leg", "Layout.leg.routed")
def test_routed_leg_carries_both_families(layout: Layout, namespaces: tuple[str, str]) -> None:
    assert upsert(layout, routed(namespaces[1])) == []
    assert ping(namespaces[1], "192.168.9.1")
    assert ping(namespaces[1], "fd00:9::1")


def test_leg_can_take_tc_filters_without_losing_a_packet(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    """The kernel drops what a device sends while it gets a clsact qdisc; so it gets it when new."""
    forwarding, host = namespaces
    assert upsert(layout, routed(host)) == []
    assert "clsact" in run(f"tc -n {forwarding} qdisc show dev {routed(host).name}")


@rule("Layout.leg", "Layout.leg.bridged", "Layout.gateway", "Layout.hostBridge")
def test_bridged_leg_reaches_the_anycast_gateway(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    upsert(layout, VNI)
    assert upsert(layout, bridged(namespaces[1])) == []
    run(f"ip -n {namespaces[1]} addr add 10.110.0.9/24 dev br-hs-110")
    run(f"ip -n {namespaces[1]} addr add fd00:110::9/64 dev br-hs-110 nodad")
    assert ping(namespaces[1], "10.110.0.1")
    assert ping(namespaces[1], "fd00:110::1")


def test_host_bridge_half_made_before_a_crash_is_owned(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    run(f"ip -n {namespaces[1]} link add br-hs-110 type bridge")
    run(f"ip -n {namespaces[1]} link set br-hs-110 group {DEVICE_GROUP}")
    upsert(layout, VNI)
    assert upsert(layout, bridged(namespaces[1])) == []
    run(f"ip -n {namespaces[1]} addr add 10.110.0.9/24 dev br-hs-110")
    assert ping(namespaces[1], "10.110.0.1")
    withdraw(layout, bridged(namespaces[1]))
    assert "br-hs-110" not in run(f"ip -n {namespaces[1]} link show")


@rule("Layout.remove", "Layout.vtep", "Layout.hostBridge", "Differs.marks")
def test_withdrawal_removes_owned_objects_only(layout: Layout, namespaces: tuple[str, str]) -> None:
    run(f"ip -n {namespaces[0]} link add foreign type bridge")
    run(f"ip -n {namespaces[0]} addr add 100.64.9.9/32 dev lo")
    ports = LOOPBACK, routed(namespaces[1]), bridged(namespaces[1])
    upsert(layout, VNI)
    upsert(layout, *ports)
    assert withdraw(layout, *ports) == []
    assert withdraw(layout, VNI) == []
    assert withdraw(layout, VNI) == []
    assert names(namespaces[0]) == {"lo", "foreign"}
    assert names(namespaces[1]) == {"lo"}
    shown = run(f"ip -n {namespaces[0]} addr show dev lo")
    assert "100.64.9.9" in shown
    assert "100.64.0.1" not in shown
    assert layout.dump(Kind.PORT) == []


@pytest.mark.parametrize(
    "device",
    [
        "vx110 type vxlan id 7 dstport 8472 local 10.9.9.9",
        "br110 type bridge",
        "br110 type veth peer name x",
    ],
)
def test_foreign_device_is_neither_adopted_nor_removed(
    layout: Layout, namespaces: tuple[str, str], device: str
) -> None:
    name = device.split()[0]
    run(f"ip -n {namespaces[0]} link add {device}")
    run(f"ip -n {namespaces[0]} link set {name} alias theirs")
    before = link(namespaces[0], name)
    [failure] = upsert(layout, VNI)
    assert (failure.errno, name in failure.reason) == (errno.EEXIST, True)
    assert failure.reason.endswith("is not Dualpath's: rename or delete it")
    assert withdraw(layout, VNI) == []
    assert link(namespaces[0], name) == before


def test_unmarked_device_left_by_a_crash_is_adopted(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    with Links(namespaces[0]) as links:
        links.create(VNI.bridge, "bridge")
        links.create(VNI.device, "vxlan", vxlan_id=VNI.vni, vxlan_port=VNI.port)
    assert upsert(layout, VNI) == []
    assert layout.dump(Kind.VNI) == [VNI]
    assert {link(namespaces[0], name)["group"] for name in (VNI.bridge, VNI.device)} == {
        str(DEVICE_GROUP)
    }  # its mark was changed, so it is kept


def test_changed_record_writes_differences_only(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    upsert(layout, VNI)
    before = link(namespaces[0], "vx110")["ifindex"]
    moved = Vni(110, local=VNI.local, mac=VNI.mac, gateways=VNI.gateways[1:], mtu=1400)
    assert upsert(layout, moved) == []
    assert layout.dump(Kind.VNI) == [moved]
    assert link(namespaces[0], "vx110")["ifindex"] == before


def test_damage_by_others_is_shown_and_repaired(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    leg = routed(namespaces[1])
    upsert(layout, VNI)
    upsert(layout, leg)
    for damage in (
        f"ip -n {namespaces[0]} link del vx110",
        f"ip -n {namespaces[0]} addr del 10.110.0.1/24 dev br110",
        f"ip -n {namespaces[0]} link set br110 down",
        f"ip -n {namespaces[0]} link del br110",
    ):
        run(damage)
        assert layout.dump(Kind.VNI) != [VNI], damage
        assert upsert(layout, VNI) == []
        assert layout.dump(Kind.VNI) == [VNI], damage
    for damage in (
        f"ip -n {namespaces[1]} addr flush dev eth0",
        f"ip -n {namespaces[0]} link set pe0 down",
        f"ip -n {namespaces[1]} link del eth0",
    ):
        run(damage)
        assert layout.dump(Kind.PORT) != [leg], damage
        assert upsert(layout, leg) == []
        assert layout.dump(Kind.PORT) == [leg], damage


@pytest.mark.parametrize(("name", "new"), [("br110", "mine"), ("br110", "0"), ("vx110", "mine")])
def test_renamed_device_is_recreated_and_the_old_one_removed(
    layout: Layout, namespaces: tuple[str, str], name: str, new: str
) -> None:
    upsert(layout, VNI, DETACHED)
    before = names(namespaces[0])
    run(f"ip -n {namespaces[0]} link set {name} down")
    run(f"ip -n {namespaces[0]} link set {name} name {new}")
    assert {DETACHED} == {record for record in layout.dump(Kind.VNI) if record in (VNI, DETACHED)}
    assert upsert(layout, VNI) == []
    assert set(layout.dump(Kind.VNI)) == {VNI, DETACHED}
    assert names(namespaces[0]) == before


def test_renamed_device_is_removed_with_its_vni(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    upsert(layout, VNI)
    for name in ("br110", "vx110"):
        run(f"ip -n {namespaces[0]} link set {name} down")
        run(f"ip -n {namespaces[0]} link set {name} name {name}-x")
    assert withdraw(layout, VNI) == []
    assert names(namespaces[0]) == {"lo"}


@rule("Layout.nic", "Differs.marks")
def test_nic_is_moved_in_with_its_addresses_and_given_back(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    forwarding, host = namespaces
    run(f"ip -n {host} link add eth7 type veth peer name wire")
    run(f"ip -n {host} link set eth7 alias uplink")
    for text in ("192.0.2.0/31", "2001:db8::/127"):
        run(f"ip -n {host} addr add {text} dev eth7")
    port = Port(
        "eth7", addresses=addresses("10.9.9.1/32", "192.0.2.0/31"), source_netns="", twin=True
    )
    assert upsert(layout, port) == []
    assert upsert(layout, port) == []
    assert layout.dump(Kind.PORT) == [port]
    assert "eth7" not in names(host)
    shown = run(f"ip -n {forwarding} addr show dev eth7")
    for text in ("192.0.2.0/31", "2001:db8::/127", "10.9.9.1/32", "fe80::"):
        assert text in shown
    assert withdraw(layout, port) == []
    assert names(forwarding) == {"lo"}
    shown = run(f"ip -n {host} addr show dev eth7")
    for text in ("192.0.2.0/31", "2001:db8::/127"):
        assert text in shown
    assert "alias uplink" in run(f"ip -n {host} link show dev eth7")
    assert "10.9.9.1" not in shown


@rule("Layout.failure")
def test_failed_row_is_reported_and_stops_no_other(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    bad = [
        Port("eth9"),
        Port("pe9", host=HostEnd("dp-dev-none", "eth0")),
        Port("pe8", host=HostEnd(namespaces[1], "eth8", bridge="br-none")),
        bridged(namespaces[1]),
    ]
    failures = upsert(layout, *bad, LOOPBACK)
    assert [(failure.index, failure.errno) for failure in failures] == [
        (0, errno.ENODEV),
        (1, errno.ENOENT),
        (2, errno.ENOENT),
        (3, errno.ENODEV),
    ]
    assert "eth9" in failures[0].reason
    assert LOOPBACK in layout.dump(Kind.PORT)


def test_ports_are_listed_with_their_counters(layout: Layout, namespaces: tuple[str, str]) -> None:
    upsert(layout, routed(namespaces[1]))
    assert ping(namespaces[1], "192.168.9.1")
    [state] = layout.ports()
    assert (state.name, state.up, state.mtu) == ("pe0", True, 1450)
    assert {"192.168.9.1/24", "fd00:9::1/64"} <= set(state.addresses)
    assert state.rx_packets > 0
    assert state.tx_bytes > 0


def test_missing_forwarding_namespace_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="dp-dev-none"):
        Layout("dp-dev-none").dump(Kind.VNI)
