"""FRR's devices by index: names, VNIs, access ports, and what nexthops resolve to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualpath.model.nexthops import V4_MAPPED, Nexthop, NexthopType
from dualpath.netlink.numbers import AF_BRIDGE, IFF_UP
from frr_bridge.overlay.devices import Effect, ShadowDevices
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.link import LinkMessage
from tests.fakes.shadow import (
    AC110,
    BR100,
    BR110,
    ETH1,
    L2VNI,
    L3VNI,
    LINKS,
    RED,
    VTEP,
    VX100,
    VX110,
    link,
)

GATEWAY = InlineNexthop(NexthopType.GATEWAY, bytes([192, 168, 1, 2]), ETH1)
OVERLAY = InlineNexthop(NexthopType.GATEWAY, VTEP, BR100, onlink=True)


def devices(*links: LinkMessage) -> ShadowDevices:
    made = ShadowDevices()
    for one in links:
        made.learn(one)
    return made


@pytest.fixture
def shadow() -> ShadowDevices:
    return devices(*LINKS)


def test_routing_tables_have_the_names_of_their_vrfs(shadow: ShadowDevices) -> None:
    assert shadow.vrfs() == {254: "default", 1100: "red"}


def test_shadow_devices_are_found_by_vni(shadow: ShadowDevices) -> None:
    assert shadow.vnis() == {L2VNI, L3VNI}
    assert (shadow.bridge_of(L2VNI), shadow.access_port(L2VNI)) == (BR110, AC110)
    assert (shadow.bridge_of(999), shadow.access_port(999)) == (0, 0)
    assert (shadow.vni(BR110), shadow.vni(ETH1)) == (L2VNI, 0)


def test_access_port_is_the_device_that_has_the_name_now(shadow: ShadowDevices) -> None:
    port = LINKS[AC110 - 1]
    shadow.learn(replace(port, name="old110"))
    assert shadow.access_port(L2VNI) == 0
    assert not shadow.is_access_port(AC110)
    shadow.learn(replace(port, index=50))
    shadow.learn(replace(port, deleted=True))  # late: that of the old device
    assert shadow.access_port(L2VNI) == 50
    shadow.learn(replace(port, index=50, deleted=True))
    assert shadow.access_port(L2VNI) == 0


@pytest.mark.parametrize("name", ["ac", "acx", "ac1x0", "eth1"])
def test_device_with_another_name_is_no_access_port(name: str) -> None:
    assert not devices(link(20, name)).is_access_port(20)


def test_message_about_a_bridge_port_changes_no_device(shadow: ShadowDevices) -> None:
    port = LinkMessage(True, AF_BRIDGE, VX110, "vx110")
    assert shadow.learn(port) == Effect()
    assert shadow.vni(BR110) == L2VNI


@pytest.mark.parametrize(
    ("message", "effect"),
    [
        (LINKS[VX110 - 1], Effect()),
        (replace(LINKS[VX110 - 1], mtu=9000), Effect()),
        (replace(LINKS[VX110 - 1], master=0), Effect(True, (BR110,), VX110)),
        (replace(LINKS[VX110 - 1], master=BR100), Effect(True, (BR110, BR100), VX110)),
        (replace(LINKS[VX110 - 1], vxlan_id=120), Effect(True, (BR110,), VX110)),
        (replace(LINKS[VX110 - 1], deleted=True), Effect(True, (BR110,), VX110)),
        (replace(LINKS[ETH1 - 1], name="eth9"), Effect(True)),
        (replace(LINKS[ETH1 - 1], deleted=True), Effect(True)),
        (link(50, "other"), Effect(True)),
        (replace(link(50, "other"), deleted=True), Effect()),
    ],
)
def test_link_reports_what_it_changes_elsewhere(
    shadow: ShadowDevices, message: LinkMessage, effect: Effect
) -> None:
    assert shadow.learn(message) == effect


def test_removed_devices_are_returned_once(shadow: ShadowDevices) -> None:
    for _ in range(2):
        shadow.learn(replace(LINKS[RED - 1], deleted=True))
    assert [gone.name for gone in shadow.take_removed()] == ["red"]
    assert shadow.take_removed() == []


@pytest.mark.parametrize(
    "message",
    [
        replace(LINKS[VX110 - 1], flags=IFF_UP),
        replace(LINKS[BR110 - 1], flags=IFF_UP),
        replace(LINKS[AC110 - 1], flags=IFF_UP),
        replace(LINKS[AC110 - 1], master=0),
    ],
)
def test_shadow_device_that_moved_or_came_up_renews_its_vni(
    shadow: ShadowDevices, message: LinkMessage
) -> None:
    assert shadow.renewed() == {L2VNI, L3VNI}
    assert shadow.renewed() == set()
    shadow.learn(message)
    assert shadow.renewed() == {L2VNI}


def test_dump_returns_the_devices_that_it_did_not_repeat(shadow: ShadowDevices) -> None:
    shadow.begin_dump()
    for one in LINKS[:-1]:
        shadow.learn(one)
    assert shadow.take_unseen() == [ETH1]
    assert shadow.take_unseen() == []


# -- nexthops --------------------------------------------------------------------------------


def test_gateway_is_resolved_to_its_device(shadow: ShadowDevices) -> None:
    assert shadow.resolve(7, GATEWAY) == Nexthop(7, NexthopType.GATEWAY, GATEWAY.gateway, "eth1")
    device = InlineNexthop(NexthopType.DEVICE, oif=BR110)
    assert shadow.resolve(7, device) == Nexthop(7, NexthopType.DEVICE, device="br110")


def test_onlink_gateway_on_an_l3vni_s_bridge_is_a_vtep(shadow: ShadowDevices) -> None:
    expected = Nexthop(7, NexthopType.GATEWAY, VTEP, vni=L3VNI, onlink=True)
    assert shadow.resolve(7, OVERLAY) == expected
    found = shadow.resolve(7, replace(OVERLAY, gateway=V4_MAPPED + VTEP))
    assert found == replace(expected, gateway=V4_MAPPED + VTEP)
    assert found is not None
    assert found.vtep == VTEP


def test_vtep_outlives_the_vxlan_device_and_ends_with_the_bridge(shadow: ShadowDevices) -> None:
    vtep = shadow.resolve(7, OVERLAY)
    shadow.learn(replace(LINKS[VX100 - 1], deleted=True))
    assert shadow.resolve(7, OVERLAY) == vtep
    shadow.learn(replace(LINKS[BR100 - 1], deleted=True))
    assert shadow.resolve(7, OVERLAY) is None


def test_reused_index_of_a_deleted_bridge_is_no_vtep(shadow: ShadowDevices) -> None:
    shadow.learn(replace(LINKS[BR100 - 1], deleted=True))
    shadow.learn(link(BR100, "eth9"))
    assert shadow.resolve(7, OVERLAY) == Nexthop(7, NexthopType.GATEWAY, VTEP, "eth9", onlink=True)


def test_gateway_that_is_not_onlink_is_a_host_on_the_bridge(shadow: ShadowDevices) -> None:
    found = shadow.resolve(7, replace(OVERLAY, onlink=False))
    assert found == Nexthop(7, NexthopType.GATEWAY, VTEP, "br100")


def test_encapsulation_names_the_vni_without_any_device() -> None:
    nexthop = InlineNexthop(NexthopType.GATEWAY, VTEP, 99, vni=L3VNI)
    expected = Nexthop(7, NexthopType.GATEWAY, VTEP, vni=L3VNI, onlink=True)
    assert devices().resolve(7, nexthop) == expected


def test_nexthop_over_an_unknown_device_is_not_resolved() -> None:
    assert devices().resolve(7, GATEWAY) is None
    assert devices(link(99, "other")).resolve(7, GATEWAY) is None


def test_blackhole_needs_no_device() -> None:
    nexthop = InlineNexthop(NexthopType.BLACKHOLE)
    assert devices().resolve(7, nexthop) == Nexthop(7, NexthopType.BLACKHOLE)
