"""Host devices that differ from OpenPERouter's, and which of their properties may change."""

from __future__ import annotations

from controller.intent.layout import Intent
from dualpath.model.links import Address, Port, Vni
from tests.unit.controller.intent.build import intent, manifest, session, underlay
from tests.unit.controller.intent.rulebook import rule

RED = manifest("L3VNI", "red")
SEGMENT = manifest("L2VNI", "segment")
HIGHEST = 2**24 - 1


def port(result: Intent, name: str) -> Port:
    return next(p for p in result.ports if p.name == name)


@rule("Differs.names")
def test_device_names_contain_the_vni_and_fit_for_the_highest_vni() -> None:
    assert (Vni(110).bridge, Vni(110).device) == ("br110", "vx110")
    assert max(len(Vni(HIGHEST).bridge), len(Vni(HIGHEST).device)) <= 15


@rule("Layout.vrf", "Differs.table")
def test_vrf_table_is_derived_from_the_vni() -> None:
    highest = manifest("L3VNI", "red", vni=HIGHEST)
    assert [v.table for v in intent(underlay(), RED).vrfs] == [1_000_100]
    assert [v.table for v in intent(underlay(), highest).vrfs] == [1_000_000 + HIGHEST]


@rule("Layout.leg")
def test_both_ends_of_a_host_leg_are_named_after_the_vni() -> None:
    result = intent(underlay(), RED, SEGMENT)
    legs = {p.name: p.host.name for p in result.ports if p.host is not None}
    assert legs == {"pe-e-100": "host-e-100", "pe-e-110": "host-e-110"}


@rule("Differs.narrow")
def test_overlay_mtu_follows_an_underlay_below_the_ipv6_minimum() -> None:
    result = intent(underlay(), RED, mtu=1300)
    assert [vni.mtu for vni in result.vnis] == [1250]
    assert port(result, "pe-e-100").mtu == 1250


@rule("Differs.immutable")
def test_changed_pool_readdresses_the_same_host_leg() -> None:
    pool = session(localCIDR={"ipv4": "10.99.0.0/24"})
    before, after = (
        port(intent(underlay(), red), "pe-e-100")
        for red in (RED, manifest("L3VNI", "red", hostSession=pool))
    )
    assert before.name == after.name
    assert after.addresses == (Address.parse("10.99.0.1/24"),)
    assert after.host is not None
    assert after.host.addresses == (Address.parse("10.99.0.3/24"),)


@rule("Underlay.one")
def test_underlay_of_another_node_is_ignored() -> None:
    other = manifest("Underlay", "other", nodeSelector={"matchLabels": {"rack": "b"}})
    result = intent(other, underlay())
    assert [(s.name, s.ready) for s in result.statuses] == [("underlay", True)]
