"""A VRF that L2VNIs name and no L3VNI defines: gateways on this node, no routes to other nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.intent import addressing, layout
from controller.intent.documents import read
from controller.intent.loader import merge
from controller.intent.node import Node
from controller.intent.schema import Resources
from controller.intent.verdicts import Outcome, verdicts
from dualpath.model.kinds import Kind
from dualpath.model.links import Vrf
from frr_bridge.frr_config import render
from tests.unit.controller.intent.build import Yaml, intent, manifest, status, underlay
from tests.unit.controller.intent.crd import VECTORS
from tests.unit.controller.intent.rulebook import rule


def segment(name: str, vni: int, vrf: str = "storage", **changes: Any) -> Yaml:  # noqa: ANN401
    given = {"gatewayIPs": None, "routingDomain": None, **changes}
    return manifest("L2VNI", name, vni=vni, vrf=vrf, **given)


ONE, TWO = segment("one", 300), segment("two", 301)
TABLE = addressing.local_table("storage")


@rule("L2VNI.vrf")
def test_l2vnis_with_one_vrf_name_share_a_local_vrf() -> None:
    found = intent(underlay(), ONE, TWO, segment("three", 302, "backup"))
    assert found.vrfs == (Vrf("storage", TABLE), Vrf("backup", addressing.local_table("backup")))
    assert [vni.vrf for vni in found.vnis] == ["storage", "storage", "backup"]
    assert found.owners[Kind.VRF, "storage"] == ("L2VNI", "one")


@rule("L2VNI.vrf")
def test_local_vrf_table_is_derived_from_the_name_and_above_those_of_l3vnis() -> None:
    assert (
        intent(underlay(), TWO, ONE).vrfs
        == intent(underlay(), ONE).vrfs
        == (Vrf("storage", TABLE),)
    )
    assert layout.FIRST_TABLE + 2**24 < TABLE < 2**32


@rule("L2VNI.vrf")
def test_second_local_vrf_with_the_same_table_is_rejected() -> None:
    assert addressing.local_table("v1041") == addressing.local_table("v2230")
    found = intent(underlay(), segment("one", 300, "v1041"), segment("two", 301, "v2230"))
    assert [vrf.name for vrf in found.vrfs] == ["v1041"]
    bad = status(found, "L2VNI", "two")
    assert "VRF v2230 would use the routing table of v1041: choose another name" in bad.message


@rule("L2VNI.vrf")
def test_local_vrf_has_a_remark_that_suggests_a_similar_l3vni() -> None:
    found = intent(underlay(), manifest("L3VNI", "red"), segment("one", 300, "rad"))
    ready = status(found, "L2VNI", "one")
    assert (ready.ready, ready.message) == (
        True,
        "vrf: no L3VNI on this node makes rad, so it has no routes to other nodes; did you mean "
        "red?",
    )
    assert status(intent(underlay(), segment("one", 300, "")), "L2VNI", "one").ready is False


@rule("L2VNI.vrf")
def test_local_vrf_is_not_in_frr_conf() -> None:
    lines = render(replace(intent(underlay(), ONE).frr, hostname="pe"))
    assert "storage" not in lines


@rule("L2VNI.vrf")
def test_new_l3vni_replaces_the_local_vrf() -> None:
    red = manifest("L3VNI", "red", vrf="storage")
    found = intent(underlay(), red, ONE)
    assert found.vrfs == (Vrf("storage", layout.FIRST_TABLE + 100),)
    assert status(found, "L2VNI", "one").message == ""


@rule("L2VNI.routingDomain.missing")
def test_rejected_l3vnis_vrf_is_not_replaced_by_a_local_vrf() -> None:
    red = manifest("L3VNI", "red", vrf="storage")
    taken = manifest("L3VNI", "other", vrf="other", hostSession=None)
    found = intent(underlay(), taken, red, ONE)  # VNI 100 twice
    missing = status(found, "L2VNI", "one")
    assert (missing.ready, missing.reason) == (False, "DependencyFailed")
    assert "the L3VNI that makes VRF storage is rejected" in missing.message
    assert [vrf.name for vrf in found.vrfs] == ["other"]


@rule("VRF.subnets.distinct")
def test_gateways_may_overlap_between_local_vrfs_and_not_within_one() -> None:
    gateway = ["10.3.0.1/24"]
    one = segment("one", 300, gatewayIPs=gateway)
    apart = intent(underlay(), one, segment("two", 301, "backup", gatewayIPs=gateway))
    assert all(s.ready for s in apart.statuses)
    bad = status(intent(underlay(), one, segment("two", 301, gatewayIPs=gateway)), "L2VNI", "two")
    assert "gateway 10.3.0.1/24 overlaps 10.3.0.0/24 of L2VNI one in the same VRF" in bad.message


@rule("L3VNI.vrf.free")
@pytest.mark.parametrize("name", ["default", "eth1", "br100"])
def test_local_vrf_named_like_a_device_is_rejected(name: str) -> None:
    bad = status(intent(underlay(), segment("one", 300, name)), "L2VNI", "one")
    assert f"a VRF cannot be called {name}" in bad.message


def test_failed_local_vrf_fails_all_its_l2vnis_and_a_failed_device_fails_one() -> None:
    found = intent(underlay(), ONE, TWO)

    def ready(*key: object) -> list[bool]:
        outcome = Outcome()
        outcome.blame(key[0], key[1], "no")  # type: ignore[arg-type]
        return [s.ready for s in verdicts(found, outcome) if s.kind == "L2VNI"]

    assert ready(Kind.VNI, 300) == [False, True]
    assert ready(Kind.VRF, "storage") == [False, False]


def static(name: str) -> Resources:
    return merge(read((VECTORS / "static" / name).read_text(), name))


@rule("L2VNI.vrf", "Static.layout")
def test_openperouters_systemd_mode_example_is_accepted() -> None:
    found = layout.compile(static("openpe_page.yaml"), Node(1))
    assert all(s.ready for s in found.statuses), found.statuses
    assert [vrf.name for vrf in found.vrfs] == ["red", "storage"]
    (leg,) = [port for port in found.ports if port.vni == 300]
    assert leg.host is not None
    assert (leg.host.bridge, leg.host.create_bridge) == ("br-storage", False)


@rule("L2VNI.vrf", "Static.layout")
def test_static_file_of_l2vnis_alone_is_accepted() -> None:
    found = static("openpe_l2vni.yaml")
    assert not found.rejected
    assert [r.kind for r in found.items] == ["L2VNI", "L2VNI"]


@rule("L2VNI.vrf")
@pytest.mark.parametrize("wrong", [{"vni": 99_999_999}, {"hostSession": 1}])
def test_invalid_new_l3vni_keeps_the_local_vrf(wrong: Yaml) -> None:
    found = intent(underlay(), manifest("L3VNI", "storage", vrf="storage", **wrong), ONE)
    assert status(found, "L2VNI", "one").ready
    assert found.vrfs == (Vrf("storage", TABLE),)
