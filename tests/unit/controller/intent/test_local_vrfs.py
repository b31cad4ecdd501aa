"""The VRF of L2VNIs that no L3VNI makes: gateways on this node, and no routes to others."""

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
def test_the_first_l2vni_of_a_vrf_makes_it_and_the_others_are_in_it() -> None:
    found = intent(underlay(), ONE, TWO, segment("three", 302, "backup"))
    assert found.vrfs == (Vrf("storage", TABLE), Vrf("backup", addressing.local_table("backup")))
    assert [vni.vrf for vni in found.vnis] == ["storage", "storage", "backup"]
    assert found.owners[Kind.VRF, "storage"] == ("L2VNI", "one")


@rule("L2VNI.vrf")
def test_the_table_follows_from_the_name_beyond_those_of_l3vnis() -> None:
    assert (
        intent(underlay(), TWO, ONE).vrfs
        == intent(underlay(), ONE).vrfs
        == (Vrf("storage", TABLE),)
    )
    assert layout.FIRST_TABLE + 2**24 < TABLE < 2**32


@rule("L2VNI.vrf")
def test_two_names_that_lead_to_one_table_are_not_both_taken() -> None:
    assert addressing.local_table("v1041") == addressing.local_table("v2230")
    found = intent(underlay(), segment("one", 300, "v1041"), segment("two", 301, "v2230"))
    assert [vrf.name for vrf in found.vrfs] == ["v1041"]
    bad = status(found, "L2VNI", "two")
    assert "VRF v2230 would use the routing table of v1041: choose another name" in bad.message


@rule("L2VNI.vrf")
def test_local_vrf_is_remarked_with_the_name_probably_meant() -> None:
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
def test_new_l3vni_takes_over_the_vrf() -> None:
    red = manifest("L3VNI", "red", vrf="storage")
    found = intent(underlay(), red, ONE)
    assert found.vrfs == (Vrf("storage", layout.FIRST_TABLE + 100),)
    assert status(found, "L2VNI", "one").message == ""


@rule("L2VNI.routingDomain.missing")
def test_the_vrf_of_an_l3vni_that_is_rejected_is_not_made_by_others() -> None:
    red = manifest("L3VNI", "red", vrf="storage")
    taken = manifest("L3VNI", "other", vrf="other", hostSession=None)
    found = intent(underlay(), taken, red, ONE)  # VNI 100 twice
    missing = status(found, "L2VNI", "one")
    assert (missing.ready, missing.reason) == (False, "DependencyFailed")
    assert "the L3VNI that makes VRF storage is rejected" in missing.message
    assert [vrf.name for vrf in found.vrfs] == ["other"]


@rule("VRF.subnets.distinct")
def test_gateways_of_one_local_vrf_do_not_overlap_and_of_two_may() -> None:
    gateway = ["10.3.0.1/24"]
    one = segment("one", 300, gatewayIPs=gateway)
    apart = intent(underlay(), one, segment("two", 301, "backup", gatewayIPs=gateway))
    assert all(s.ready for s in apart.statuses)
    bad = status(intent(underlay(), one, segment("two", 301, gatewayIPs=gateway)), "L2VNI", "two")
    assert "gateway 10.3.0.1/24 overlaps 10.3.0.0/24 of L2VNI one in the same VRF" in bad.message


@rule("L3VNI.vrf.free")
@pytest.mark.parametrize("name", ["default", "eth1", "br100"])
def test_a_local_vrf_has_a_name_that_no_device_has(name: str) -> None:
    bad = status(intent(underlay(), segment("one", 300, name)), "L2VNI", "one")
    assert f"a VRF cannot be called {name}" in bad.message


def test_what_fails_of_the_first_l2vni_fails_the_others_only_if_it_is_the_vrf() -> None:
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
def test_static_file_of_the_page_on_systemd_mode_is_accepted() -> None:
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
def test_a_new_l3vni_with_a_wrong_field_takes_no_local_vrf_away(wrong: Yaml) -> None:
    found = intent(underlay(), manifest("L3VNI", "storage", vrf="storage", **wrong), ONE)
    assert status(found, "L2VNI", "one").ready
    assert found.vrfs == (Vrf("storage", TABLE),)
