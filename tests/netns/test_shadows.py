"""The shadow devices, on a real kernel without VRFs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest

from datapaths.base import Unavailable
from datapaths.linux.links import Links
from datapaths.linux.shadows import Shadow, Shadows, shadow_of
from dualpath.model.links import Address, Port, Vni
from tests.netns.namespaces import fresh, link, names, run, watching
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.netns

VTEP = bytes([100, 64, 0, 1])
L3 = Vni(100, layer=3, local=VTEP, mac=bytes.fromhex("020000000064"))
L2 = Vni(
    110,
    local=VTEP,
    mac=bytes.fromhex("00f30000006f"),
    gateways=(Address.parse("10.110.0.1/24"), Address.parse("fd00:110::1/64")),
)
LOOPBACK = Port("lo", addresses=(Address(VTEP, 32),), loopback=True)


@pytest.fixture
def control() -> Iterator[str]:
    with fresh("ctl") as (name,):
        yield name


def build(control: str, shadow: Shadow) -> None:
    shadows = Shadows(control)
    assert shadows.ensure_base(shadow) == []
    assert shadows.ensure_overlay(shadow) == []


def test_overlay_shadows_are_created_after_the_base(control: str) -> None:
    shadow = shadow_of((), (L2,), (LOOPBACK,))
    assert Shadows(control).ensure_base(shadow) == []
    assert names(control) == {"lo"}
    assert "100.64.0.1/32" in run(f"ip -n {control} addr show lo")


def sized(mtu: int) -> Shadow:
    return shadow_of((), (replace(L2, mtu=mtu), replace(L3, mtu=mtu)), (LOOPBACK,))


def rests(control: str, shadow: Shadow) -> None:
    """Check that a shadow is created as requested, and that a second request writes nothing."""
    build(control, shadow)
    assert Shadows(control).dump() == shadow
    with watching(control) as events:
        build(control, shadow)
        assert events() == []


@pytest.mark.parametrize("mtu", [1450, 1550, 8950, 1280], ids="{0} bytes".format)
def test_second_ensure_writes_nothing(control: str, mtu: int) -> None:
    rests(control, sized(mtu))


def test_changed_mtu_is_written_once(control: str) -> None:
    for mtu in (1450, 8950, 1300):
        rests(control, sized(mtu))


def test_only_an_l2vni_has_an_access_port_and_it_cannot_send(control: str) -> None:
    build(control, shadow_of((), (L2, L3), (LOOPBACK,)))
    assert names(control) == {"lo", "br100", "vx100", "br110", "vx110", "ac110", "ac110-x"}
    for name in ("ac110", "ac110-x", "vx110"):
        assert "inet6" not in run(f"ip -n {control} addr show {name}")
        assert link(control, name)["inet6_addr_gen_mode"] == "none"
    assert link(control, "ac110")["operstate"] == "UP"
    with Links(control) as links:
        assert links.counters("ac110").rx_packets == 0


def test_mirrored_mac_is_accepted_and_kept(control: str) -> None:
    build(control, shadow_of((), (L2,), (LOOPBACK,)))
    run(f"bridge -n {control} fdb replace 02:00:00:00:00:99 dev ac110 master extern_learn")
    build(control, shadow_of((), (L2,), (LOOPBACK,)))
    shown = run(f"bridge -n {control} fdb show dev ac110")
    assert "02:00:00:00:00:99 extern_learn master br110" in shown


@rule("Layout.remove")
def test_only_unwanted_devices_are_removed(control: str) -> None:
    run(f"ip -n {control} link add foreign type bridge")
    run(f"ip -n {control} addr add 10.9.9.9/32 dev lo")
    build(control, shadow_of((), (L2, L3), (LOOPBACK,)))
    build(control, shadow_of((), (replace(L2, layer=3),), ()))
    assert names(control) == {"lo", "foreign", "br110", "vx110"}
    build(control, Shadow())
    assert names(control) == {"lo", "foreign"}
    shown = run(f"ip -n {control} addr show lo")
    assert "10.9.9.9" in shown
    assert "100.64.0.1" not in shown


def test_foreign_device_is_neither_adopted_nor_removed(control: str) -> None:
    run(f"ip -n {control} link add ac110 type veth peer name ac110-x")
    run(f"ip -n {control} link add br100 type bridge")
    shadow = shadow_of((), (L2, L3), (LOOPBACK,))
    assert Shadows(control).ensure_base(shadow) == []
    failures = Shadows(control).ensure_overlay(shadow)
    assert [(failure.name, failure.errno) for failure in failures] == [
        ("br100", errno.EEXIST),
        ("br110", errno.EEXIST),
    ]
    Shadows(control).ensure_overlay(shadow_of((), (replace(L2, layer=3), L3), ()))
    Shadows(control).ensure_base(Shadow())
    assert names(control) == {"lo", "ac110", "ac110-x", "br100"}


def test_damage_is_repaired(control: str) -> None:
    shadow = shadow_of((), (L2, L3), (LOOPBACK,))
    build(control, shadow)
    for damage in ("link del vx110", "link del br110", "link del ac110-x", "link set ac110 down"):
        run(f"ip -n {control} {damage}")
        assert Shadows(control).dump() != shadow, damage
        build(control, shadow)
        assert Shadows(control).dump() == shadow, damage


def test_address_by_which_zebra_reaches_frr_bridge_is_added_again(control: str) -> None:
    build(control, sized(1450))
    run(f"ip -n {control} addr flush dev lo")
    assert "127.0.0.1/8" not in run(f"ip -n {control} addr show lo")
    build(control, sized(1450))
    assert "127.0.0.1/8" in run(f"ip -n {control} addr show lo")


@rule("Differs.namespaces")
def test_shadow_device_never_forwards(control: str) -> None:
    run(f"ip netns exec {control} sysctl -qw net.ipv4.ip_forward=1")
    build(control, shadow_of((), (L2,), (LOOPBACK,)))
    keys = "net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.br110.forwarding"
    assert run(f"ip netns exec {control} sysctl -n {keys}").split() == ["0", "0", "0"]


def test_failed_device_is_reported_and_stops_no_other(control: str) -> None:
    shadow = shadow_of((), (replace(L2, vrf="red"), L3), ())
    assert Shadows(control).ensure_base(shadow) == []
    [failure] = Shadows(control).ensure_overlay(shadow)
    assert (failure.name, failure.errno) == ("br110", errno.ENODEV)
    assert "vx100" in names(control)


def test_missing_control_namespace_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="dp-dev-none"):
        Shadows("dp-dev-none").ensure_base(Shadow())


def test_known_devices_are_not_looked_at(control: str) -> None:
    """An edit removes and creates what differs from what is known, and reads nothing else."""
    before = shadow_of((), (L2, replace(L2, vni=111)), (LOOPBACK,))
    after = shadow_of((), (replace(L2, mtu=1400), replace(L2, vni=112)), (LOOPBACK,))
    build(control, before)
    run(f"ip -n {control} link set ac110 alias mine")  # not in `before`
    shadows = Shadows(control)
    assert shadows.ensure_base(after, before) == []
    assert {"br110", "br111"} & names(control) == {"br110"}
    assert shadows.ensure_overlay(after, before.after_base(after)) == []
    assert shadows.dump() == after
    assert link(control, "ac110")["mtu"] == 1400


def test_known_device_that_is_gone_nevertheless_is_made(control: str) -> None:
    before = shadow_of((), (L2,), (LOOPBACK,))
    build(control, before)
    run(f"ip -n {control} link del br110")
    after = shadow_of((), (replace(L2, mtu=1400),), (LOOPBACK,))
    assert not [*Shadows(control).ensure_base(after, before)]
    assert not [*Shadows(control).ensure_overlay(after, before)]
    assert Shadows(control).dump() == after


@pytest.mark.parametrize("vxlan", ["name xvx110", "gone"])
def test_renamed_bridge_of_a_vni_is_replaced(control: str, vxlan: str) -> None:
    """Whatever happened to the VXLAN device: the renamed bridge would keep the gateway."""
    shadow = shadow_of((), (L2,), (LOOPBACK,))
    build(control, shadow)
    run(f"ip -n {control} link set br110 down")
    run(f"ip -n {control} link set br110 name xbr110")
    run(f"ip -n {control} link set vx110 down")
    run(f"ip -n {control} link {'del vx110' if vxlan == 'gone' else f'set vx110 {vxlan}'}")
    build(control, shadow)
    assert Shadows(control).dump() == shadow
    assert not {"xbr110", "xvx110"} & names(control)
