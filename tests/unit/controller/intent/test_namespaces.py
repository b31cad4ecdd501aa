"""Resources of equal name in different Kubernetes namespaces are separate resources."""

from __future__ import annotations

from typing import Any

import pytest

from controller.intent import layout
from controller.intent.lastgood import keep_last_good
from controller.intent.node import NO_OVERRIDES
from controller.intent.written import decode, encode
from tests.unit.controller.intent.build import (
    Yaml,
    intent,
    manifest,
    resources,
    session,
    status,
    underlay,
)
from tests.unit.controller.intent.rulebook import rule


def within(namespace: object, given: Yaml) -> Yaml:
    return {**given, "metadata": {**given["metadata"], "namespace": namespace}}


def routed(namespace: str, vrf: str, number: int) -> Yaml:
    leg = session(localCIDR={"ipv4": f"10.{number}.0.0/24"})
    return within(namespace, manifest("L3VNI", "tenant", vrf=vrf, vni=number, hostSession=leg))


def bridged(namespace: str, name: str, number: int, **changes: Any) -> Yaml:  # noqa: ANN401
    domain = {"type": "L3VNI", "l3vni": {"name": name}}
    given = manifest("L2VNI", "segment", vni=number, routingDomain=domain, **changes)
    return within(namespace, given)


@rule("Manifest.name")
def test_equal_names_in_two_kubernetes_namespaces_are_two_resources() -> None:
    found = intent(underlay(), routed("team-a", "red", 101), routed("team-b", "blue", 102))
    assert [s.name for s in found.statuses if s.ready] == [
        "underlay",
        "team-a/tenant",
        "team-b/tenant",
    ]
    assert [vrf.name for vrf in found.vrfs] == ["red", "blue"]


@rule("Manifest.name")
@pytest.mark.parametrize("usual", ["", "default", "openperouter-system"])
def test_default_namespaces_are_not_shown_in_the_name(usual: str) -> None:
    (resource,) = resources(within(usual or None, manifest("L3VNI", "red"))).items
    assert (resource.name, resource.namespace) == ("red", usual)


@rule("Manifest.name")
def test_equal_names_in_two_default_namespaces_are_distinguished() -> None:
    plain = manifest("L3VNI", "red")
    given = [within("openperouter-system", plain), plain, within("default", plain)]
    found = resources(*given)
    assert [r.name for r in found.items] == ["red", "default/red"]
    (twice,) = found.rejected
    assert "already defined at pe.yaml:3" in twice.message


@rule("Manifest.name")
def test_duplicate_name_in_a_namespace_is_rejected() -> None:
    found = resources(routed("team-a", "red", 101), routed("team-a", "blue", 102))
    assert [r.name for r in found.items] == ["team-a/tenant"]
    assert [s.name for s in found.rejected] == ["team-a/tenant"]


@rule("L2VNI.routingDomain")
def test_reference_prefers_the_resource_of_its_namespace() -> None:
    tenants = [routed("team-a", "red", 101), routed("team-b", "blue", 102)]
    found = intent(underlay(), *tenants, bridged("team-b", "tenant", 103))
    assert [vni.vrf for vni in found.vnis if vni.layer == 2] == ["blue"]
    found = intent(underlay(), *tenants, bridged("team-c", "tenant", 103))
    assert [vni.vrf for vni in found.vnis if vni.layer == 2] == [
        "red"
    ]  # team-c has none of that name
    bad = intent(underlay(), *tenants, bridged("team-b", "tenent", 103))
    (violation,) = status(bad, "L2VNI", "team-b/segment").violations
    assert violation.suggestion == "tenant"


@pytest.mark.parametrize("namespace", [5, "Team", "a/b", "", "-a", "a" * 64, ["a"]])
def test_invalid_kubernetes_namespace_is_rejected(namespace: object) -> None:
    found = resources(within(namespace, manifest("L3VNI", "red")))
    (rejected,) = found.rejected
    assert not found.items
    assert "metadata.namespace: not the name of a namespace" in rejected.message


@rule("Manifest.lastGood")
def test_stored_resources_keep_their_namespace_in_any_order() -> None:
    given = [
        underlay(),
        routed("team-b", "blue", 102),
        within("default", manifest("L3VNI", "red")),
        manifest("L3VNI", "red", vrf="r", vni=5),
        bridged("team-b", "tenant", 103),
    ]
    found = resources(*given)
    kept = decode(encode(found), "last-good", NO_OVERRIDES)
    assert [r.owner for r in kept.items] == [r.owner for r in found.items]
    assert layout.compile(kept, kept.node).vnis == layout.compile(found, found.node).vnis
    edited = keep_last_good(kept, resources(*given[:1], routed("team-b", "blue", 0)))
    assert [r.name for r in edited.items] == ["team-b/tenant", "underlay"]


@rule("L2VNI.routingDomain")
@pytest.mark.parametrize("wrong", [{"vni": 101}, {"vni": 99_999_999}])
def test_rejected_resource_is_not_replaced_by_one_of_another_namespace(
    wrong: dict[str, int],
) -> None:
    mine = routed("team-b", "blue", 102)
    mine["spec"].update(wrong)
    found = intent(underlay(), routed("team-a", "red", 101), mine, bridged("team-b", "tenant", 103))
    refused = status(found, "L2VNI", "team-b/segment")
    assert (refused.ready, refused.reason) == (False, "DependencyFailed")
    assert "routingDomain L3VNI tenant is missing, rejected" in refused.message
    assert "did you mean tenant" not in refused.message
