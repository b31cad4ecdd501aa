"""Rules about host devices that need a real kernel; the others are in test_layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.node.mtu import underlay_mtu
from datapaths.kernel.layout import Layout
from datapaths.linux import sysctls
from datapaths.linux.netns import entered
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port, Vni
from tests.netns.layouts import routed, upsert, withdraw
from tests.netns.namespaces import link, names, run
from tests.netns.test_layout import DETACHED, VNI
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.netns


@rule("Layout.sysctls")
def test_forwarding_namespace_has_its_sysctls(layout: Layout, namespaces: tuple[str, str]) -> None:
    missing = layout.prepare()
    with entered(namespaces[0]):
        for key, value in sysctls.FORWARDING.items():
            if key not in missing:
                assert Path("/proc/sys", key).read_text().split() == [str(value)], key


@rule("Layout.mtu")
def test_both_ends_of_a_leg_have_its_mtu(layout: Layout, namespaces: tuple[str, str]) -> None:
    assert upsert(layout, routed(namespaces[1])) == []
    assert link(namespaces[0], "pe0")["mtu"] == link(namespaces[1], "eth0")["mtu"] == 1450


@rule("Layout.mtu.narrowest")
def test_lowest_nic_mtu_counts_in_any_namespace(namespaces: tuple[str, str]) -> None:
    for space, name, mtu in ((namespaces[0], "eth1", 9000), (namespaces[1], "eth2", 1400)):
        run(f"ip -n {space} link add {name} mtu {mtu} type veth peer name {name}-x")
    nics = [Port(name, source_netns="") for name in ("eth1", "eth2")]
    assert underlay_mtu(nics, namespaces) == 1400
    assert underlay_mtu(nics[:1], namespaces) == 9000


@rule("Layout.mtu", "Layout.passthrough")
def test_leg_without_an_mtu_keeps_the_kernels_default(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    assert upsert(layout, Port("pt-ns", host=HostEnd(namespaces[1], "pt-host"))) == []
    assert link(namespaces[0], "pt-ns")["mtu"] == link(namespaces[1], "pt-host")["mtu"] == 1500


@rule("Layout.gateway")
def test_gateway_is_on_the_bridge_with_its_mac(layout: Layout, namespaces: tuple[str, str]) -> None:
    upsert(layout, VNI)
    assert link(namespaces[0], "br110")["address"] == "00:f3:00:00:00:6f"
    shown = run(f"ip -n {namespaces[0]} addr show dev br110")
    assert "10.110.0.1/24" in shown
    assert "fd00:110::1/64" in shown


@rule("Layout.bridge")
def test_bridge_without_gateways_has_no_address(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    upsert(layout, replace(DETACHED, layer=3))
    assert link(namespaces[0], "br111")["inet6_addr_gen_mode"] == "none"
    assert "inet" not in run(f"ip -n {namespaces[0]} addr show dev br111")


@rule("Differs.vxlanLink")
def test_vxlan_device_leaves_the_outgoing_device_to_the_route(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    upsert(layout, VNI)
    shown = link(namespaces[0], "vx110")
    assert "link" not in shown["linkinfo"]["info_data"]
    assert (shown["linkinfo"]["info_data"]["id"], shown["linkinfo"]["info_data"]["port"]) == (
        *(110, 4789),
    )


@rule("Layout.nic.prefixRoute")
def test_address_without_a_prefix_route_has_one_after_the_move(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    forwarding, host = namespaces
    run(f"ip -n {host} link add eth7 type veth peer name wire")
    run(f"ip -n {host} addr add 192.0.2.1/24 dev eth7 noprefixroute")
    run(f"ip -n {host} addr add 2001:db8::1/64 dev eth7 noprefixroute nodad")
    assert upsert(layout, Port("eth7", source_netns="")) == []
    assert "192.0.2.0/24" in run(f"ip -n {forwarding} route show dev eth7")
    assert "2001:db8::/64" in run(f"ip -n {forwarding} -6 route show dev eth7")

    assert withdraw(layout, Port("eth7", source_netns="")) == []
    for family, prefix in (("-4", "192.0.2.1/24"), ("-6", "2001:db8::1/64")):
        (shown,) = [x for x in run(f"ip -n {host} {family} -o addr").splitlines() if prefix in x]
        assert "noprefixroute" in shown


@rule("Layout.hostBridge")
def test_existing_bridge_is_kept_when_its_leg_is_removed(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    run(f"ip -n {namespaces[1]} link add br0 type bridge")
    leg = Port("pe-e-110", vni=110, host=HostEnd(namespaces[1], "host-e-110", bridge="br0"))
    upsert(layout, VNI)
    assert upsert(layout, leg) == []
    assert link(namespaces[1], "host-e-110")["master"] == "br0"
    assert withdraw(layout, leg) == []
    assert names(namespaces[1]) == {"lo", "br0"}


@rule("Differs.immutable")
def test_renumbering_keeps_the_devices(layout: Layout, namespaces: tuple[str, str]) -> None:
    leg = routed(namespaces[1])
    upsert(layout, leg)
    upsert(layout, VNI)
    before = link(namespaces[0], "pe0")["ifindex"], link(namespaces[0], "br110")["ifindex"]
    moved = replace(leg, addresses=(Address.parse("192.168.77.1/24"),))
    gateway = Vni(110, local=VNI.local, mac=VNI.mac, gateways=(Address.parse("10.77.0.1/24"),))
    assert upsert(layout, moved) == upsert(layout, gateway) == []
    assert layout.dump(Kind.PORT) == [moved]
    assert layout.dump(Kind.VNI) == [gateway]
    assert (
        link(namespaces[0], "pe0")["ifindex"],
        link(namespaces[0], "br110")["ifindex"],
    ) == before
