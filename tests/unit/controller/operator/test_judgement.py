"""What is refused at admission, and in which words: those of `dualpath validate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli import compiled
from controller.cli.options import Output
from controller.intent.node import NODE_INDEX
from controller.intent.schema import OUR_GROUP, Owner
from controller.kubernetes import STATIC
from controller.kubernetes.objects import THEIRS, Collection, Key, Target
from controller.kubernetes.reflector import key
from controller.operator.judgement import Change, Judge, Unreadable, Verdict
from tests.unit.controller.intent.build import Yaml, manifest, session, underlay

RACK_A = {"matchLabels": {"rack": "a"}}


def node(name: str, index: int | None = 0, **labels: str) -> dict[str, Any]:
    annotations = {} if index is None else {NODE_INDEX: str(index)}
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}}


class World:
    """Objects that an API server has, and requests to it."""

    def __init__(self, *items: Yaml, nodes: list[dict[str, Any]] | None = None) -> None:
        self.objects: dict[Collection, dict[Key, Any]] = {}
        self.nodes = [node("n0"), node("n1", 1)] if nodes is None else nodes
        self._judge = Judge()
        self._version = 0
        for item in items:
            self.put(item)

    def put(self, item: Yaml) -> None:
        self._version += 1
        item["metadata"]["resourceVersion"] = str(self._version)
        self.objects.setdefault(collection_of(item), {})[key(item)] = item

    def apply(self, item: Yaml) -> Verdict:
        change = Change(Target(collection_of(item), key(item)), item)
        return self._judge.judge(self.objects, self.nodes, change)

    def delete(self, kind: str, name: str) -> Verdict:
        (collection,) = (c for c in THEIRS if c.kind == kind)
        change = Change(Target(collection, ("", name)), None)
        return self._judge.judge(self.objects, self.nodes, change)


def collection_of(item: Yaml) -> Collection:
    return Collection(item["apiVersion"], item["kind"])


def red(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L3VNI", "red", **changes)


def blue(**changes: Any) -> Yaml:  # noqa: ANN401
    local = session(localCIDR={"ipv4": "10.9.0.0/24"})
    return manifest("L3VNI", "blue", **{"vrf": "blue", "vni": 200, "hostSession": local, **changes})


def segment(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L2VNI", "web", **changes)


def test_a_good_object_beside_good_ones_is_admitted() -> None:
    world = World(underlay(), red())
    assert world.apply(blue()) == Verdict()
    assert world.apply(segment()) == Verdict()


def test_a_conflict_is_the_fault_of_the_new_object_whatever_its_name() -> None:
    world = World(underlay(), red())
    found = world.apply(blue(vni=100))
    assert found.refused == ("L3VNI blue: spec.vni: VNI 100 is already used by L3VNI red",)


def test_an_edit_is_compared_with_the_others_and_not_with_its_former_self() -> None:
    world = World(underlay(), red())
    assert world.apply(red(vni=101)) == Verdict()
    assert world.apply(red(vni=0)).refused


def test_an_object_without_its_underlay_is_admitted_with_a_warning() -> None:
    found = World().apply(red())
    assert found.refused == ()
    assert found.warnings == ("L3VNI red: spec: this node has no Underlay, or it was rejected",)


def test_an_l3vni_cannot_be_deleted_under_an_l2vni() -> None:
    world = World(underlay(), red(), segment())
    (line,) = world.delete("L3VNI", "red").refused
    assert line.startswith("L2VNI web: spec.routingDomain.l3vni.name: routingDomain L3VNI red is")
    assert world.delete("L2VNI", "web") == Verdict()


def test_an_underlay_cannot_be_deleted_under_tenants_but_alone() -> None:
    world = World(underlay(), red())
    assert world.delete("Underlay", "underlay").refused
    assert World(underlay()).delete("Underlay", "underlay") == Verdict()


def test_an_edit_that_breaks_another_object_is_refused() -> None:
    world = World(underlay(), red(), segment())
    (line,) = world.apply(red(hostSession=session(localCIDR={"ipv4": "10.110.0.0/24"}))).refused
    assert line.startswith("L2VNI web: spec.gatewayIPs[0]: gateway 10.110.0.1/24 overlaps")


def test_what_was_rejected_before_does_not_keep_others_out() -> None:
    world = World(underlay(), red(), manifest("L3VNI", "zzz", vni=100, vrf="zzz"))
    assert world.apply(blue()) == Verdict()
    assert world.delete("L3VNI", "zzz") == Verdict()


def test_a_refusal_names_the_nodes_if_it_is_not_about_all() -> None:
    world = World(
        underlay(),
        red(nodeSelector=RACK_A),
        nodes=[node("n0", rack="b"), node("n1", 1, rack="a")],
    )
    (line,) = world.apply(blue(vni=100)).refused
    assert line.endswith("is already used by L3VNI red (on n1)")


def test_objects_of_different_nodes_may_share_a_vni() -> None:
    nodes = [node("n0", rack="b"), node("n1", 1, rack="a")]
    world = World(underlay(), red(nodeSelector=RACK_A), nodes=nodes)
    other = {"matchLabels": {"rack": "b"}}
    assert world.apply(blue(vni=100, nodeSelector=other)) == Verdict()


def test_the_highest_number_decides_whether_a_pool_is_large_enough() -> None:
    world = World(underlay(), nodes=[node("n0"), node("n200", 200)])
    small = red(hostSession=session(localCIDR={"ipv4": "10.9.0.0/28"}))
    (line,) = world.apply(small).refused
    assert "hostSession.localCIDR" in line


def test_a_neighbor_with_the_address_of_any_nodes_vtep_is_refused() -> None:
    world = World(nodes=[node("n0"), node("n1", 1), node("n2", 2)])
    near = [{"asn": 65000, "address": "100.64.0.1"}]
    (line,) = world.apply(underlay(neighbors=near)).refused
    assert "has the address of this node's own VTEP (on n1)" in line


def test_nodes_without_a_number_and_clusters_without_nodes_are_judged_too() -> None:
    for nodes in ([node("n0", None)], []):
        world = World(underlay(), red(), nodes=nodes)
        assert world.apply(blue(vni=100)).refused
        assert world.apply(blue()) == Verdict()


def test_a_password_in_a_secret_is_left_to_the_nodes() -> None:
    world = World(underlay())
    assert world.apply(red(hostSession=session(passwordSecret="fabric"))) == Verdict()
    both = red(hostSession=session(passwordSecret="fabric", password="x"))
    (line,) = world.apply(both).refused
    assert "mutually exclusive" in line


def test_names_in_two_namespaces_are_two_objects() -> None:
    theirs = red()
    theirs["metadata"]["namespace"] = "team"
    world = World(underlay(), red(), theirs)
    edit = red(vni=55)
    edit["metadata"]["namespace"] = "team"
    assert any("VRF red is already used" in line for line in world.apply(edit).refused)


def test_an_object_that_shows_a_file_is_not_judged_and_counts_for_nothing() -> None:
    shown = blue(vni=100)
    shown["metadata"]["labels"] = {STATIC: "n0"}
    world = World(underlay(), shown)
    assert world.apply(red()) == Verdict()
    again = blue(vni=0)
    again["metadata"]["labels"] = {STATIC: "n0"}
    assert world.apply(again) == Verdict()


def test_an_object_of_our_group_is_judged_in_place_of_the_other() -> None:
    ours = red(vni=300)
    ours["apiVersion"] = OUR_GROUP
    world = World(underlay(), red(), ours)
    assert world.apply(red(vni=0)) == Verdict()
    assert world.apply(blue(vni=100)) == Verdict()
    assert "VNI 300 is already used" in world.apply(blue(vni=300)).refused[0]


def test_a_selector_that_is_wrong_is_refused_and_nothing_else_happens() -> None:
    world = World(underlay())
    assert world.apply(red(nodeSelector={"matchLabels": 5})).refused


def test_what_is_no_manifest_is_unreadable() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(Unreadable):
        World().apply(red(vrf=deep))


BROKEN: list[tuple[Owner, Yaml]] = [
    (("L3VNI", "red"), red(vni=0)),
    (("L3VNI", "red"), red(vrf="1red")),
    (("L3VNI", "red"), red(hostSession=session(localCIDR={"ipv4": "10.9.0.0/33"}))),
    (("L3VNI", "red"), red(vfr="red")),
    (("L2VNI", "web"), segment(gatewayIPs=["10.110.0.0/24"])),
    (
        ("L2VNI", "web"),
        segment(gatewayIPs=["10.9.0.1/24"], routingDomain=None, vrf="blue"),
    ),
    (("L2VNI", "web"), segment(vni=200)),
    (("Underlay", "other"), manifest("Underlay", "other")),
    (("L3Passthrough", "pt"), manifest("L3Passthrough", "pt", hostSession=session(asn=5))),
]


@pytest.mark.parametrize(("owner", "item"), BROKEN, ids=lambda v: str(v)[:40])
def test_the_words_are_those_of_dualpath_validate(
    owner: Owner, item: Yaml, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [underlay(), blue()]
    refused = World(*others, nodes=[node("n0")]).apply(item).refused
    files = []
    for number, one in enumerate([*others, item]):
        one["metadata"] = {"name": one["metadata"]["name"]}
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(one))
    with pytest.raises(SystemExit):
        compiled.validate(files, None, 0, tmp_path, Output.TABLE)
    printed = capsys.readouterr().out.splitlines()
    said = [line.split(": ", 1)[1] for line in printed if line.startswith(str(tmp_path))]
    assert said
    assert list(refused) == said
