"""The node agent: from API objects to files, and from statuses to the API."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.intent import layout
from controller.intent.loader import load
from controller.intent.node import NODE_INDEX
from controller.intent.overlay import L3Vni
from controller.intent.reasons import Reason
from controller.intent.schema import GROUP
from controller.kubernetes import agent as module
from controller.kubernetes import report
from controller.kubernetes.agent import Agent
from controller.kubernetes.statics import Files
from dualpath.model.view import ResourceStatus
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import underlay
from tests.unit.controller.kubernetes.world import L3VNI, L3VNIS, RED, World, serve_ours

SECRETS = "/api/v1/namespaces/team/secrets"
SESSION = {"asn": 1, "hostASN": 2, "localCIDR": {"ipv4": "10.0.0.0/24"}}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    monkeypatch.setattr(module, "REPORT_S", 0.01)
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    server = await FakeApiServer().start()
    serve_ours(server)
    await server.put(L3VNIS, "red", namespace="team", spec=RED, metadata={"generation": 2})
    made = World(server, tmp_path / "kubernetes")
    yield made
    await made.close()
    await server.stop()


async def test_objects_become_manifests_that_the_loader_accepts(world: World) -> None:
    await world.number()
    await until(lambda: world.mirrored == {"l3vni.team.red.json", "node.json"})
    found = load([world.directory / "manifests"])
    assert [(r.kind, r.name) for r in found.items] == [("L3VNI", "team/red")]
    assert (found.node.index, found.node.name) == (3, "node-1")
    assert found.node.labels == {"rack": "a"}
    await world.server.delete(L3VNIS, "red", namespace="team")
    await until(lambda: world.mirrored == {"node.json"})


async def test_nothing_is_written_before_the_node_has_an_index(world: World) -> None:
    await world.number(None)
    await until(lambda: NODE_INDEX in world.agent.problem)
    assert world.mirrored == set()
    await world.number("x")
    await world.number("7")
    await until(lambda: "l3vni.team.red.json" in world.mirrored)
    assert world.agent.problem == ""


async def test_mirrored_objects_are_kept_while_the_api_server_is_unreachable(world: World) -> None:
    await world.number()
    await until(lambda: "node.json" in world.mirrored)
    world.server.refuse = 503
    await world.server.delete(L3VNIS, "red", namespace="team")
    await world.server.compact()
    again = World(world.server, world.directory)  # as after a reboot
    await until(lambda: "its last known objects stay in force" in again.agent.problem)
    assert "l3vni.team.red.json" in world.mirrored
    await again.close()


async def test_secret_password_is_mirrored_and_readable_by_root_only(world: World) -> None:
    await world.number()
    data = {"password": base64.b64encode(b"hunter2").decode()}
    spec = {**RED, "hostSession": {**SESSION, "passwordSecret": "fabric"}}
    await world.server.put(L3VNIS, "red", namespace="team", spec=spec)
    await until(lambda: bool(world.agent._secrets))
    path = world.directory / "secrets" / "team" / "fabric"
    secret = {"type": "kubernetes.io/basic-auth", "data": data}
    await world.server.put(SECRETS, "other", namespace="team", type="Opaque", data=data)
    await world.server.put(SECRETS, "fabric", namespace="team", **secret)
    await until(lambda: path.exists() and "l3vni.team.red.json" in world.mirrored)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (red,) = load([world.directory / "manifests"]).items
    assert isinstance(red.spec, L3Vni)
    assert red.spec.host_session is not None
    assert red.spec.host_session.password is not None
    assert red.spec.host_session.password.get_secret_value() == "hunter2"
    await world.server.put(L3VNIS, "red", namespace="team", spec=RED)
    await until(lambda: not path.exists())


async def test_object_cannot_refer_to_a_file_of_the_node(world: World) -> None:
    await world.number()
    spec = {**RED, "hostSession": {**SESSION, "passwordFile": "/etc/shadow"}}
    await world.server.put(L3VNIS, "red", namespace="team", spec=spec)
    file = world.directory / "manifests" / "l3vni.team.red.json"
    await until(lambda: file.exists() and "hostSession" in file.read_text())
    assert "passwordFile" not in json.loads(file.read_text())["spec"]["hostSession"]


async def test_node_writes_its_own_status_row_and_only_when_it_changes(world: World) -> None:
    await world.number()
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: bool(world.rows("red")))
    (row,) = world.rows("red")
    assert (row["name"], row["ready"], row["observedGeneration"]) == ("node-1", True, 2)
    world.statuses = [ResourceStatus("L3VNI", "team/red", False, "ValidationFailed", "no such vrf")]
    await until(lambda: world.rows("red")[0]["ready"] is False)
    assert world.rows("red")[0]["message"] == "no such vrf"
    assert sum(request.startswith("PATCH") for request in world.server.requests) == 2


async def test_refused_status_is_applied_later(world: World) -> None:
    await world.number()
    await until(lambda: world.agent._served.with_rows is not None)
    world.server.refuse = 500
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: any(r.startswith("PATCH") for r in world.server.requests))
    world.server.refuse = 0
    await until(lambda: bool(world.rows("red")))


async def test_status_row_removed_by_others_is_applied_again(world: World) -> None:
    await world.number()
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: bool(world.rows("red")))
    world.server.applied.clear()
    status = {"nodes": [{"name": "node-2", "ready": True}]}
    await world.server.put(L3VNIS, "red", namespace="team", spec=RED, status=status)
    await until(lambda: bool(world.rows("red")))


async def test_object_with_our_status_row_is_not_written(world: World) -> None:
    await world.number()
    world.statuses = [ResourceStatus("L3VNI", "team/red", False, "ValidationFailed", "no")]
    await until(lambda: bool(world.rows("red")))
    row = world.rows("red")[0] | {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    metadata = {"generation": 2}
    status = {"nodes": [row]}
    await world.server.put(
        L3VNIS, "red", namespace="team", spec=RED, status=status, metadata=metadata
    )
    await until(lambda: world.agent.objects[L3VNI]["team", "red"].get("status") == status)
    world.server.applied.clear()
    world.statuses = [ResourceStatus("L3VNI", "team/red", False, "ValidationFailed", "other")]
    await until(lambda: bool(world.rows("red")))
    assert world.rows("red")[0]["lastTransitionTime"] == row["lastTransitionTime"]
    assert sum(request.startswith("PATCH") for request in world.server.requests) == 2


async def test_unreadable_secret_delays_no_other_object(world: World) -> None:
    await world.number()
    world.server.forbidden = SECRETS
    spec = {**RED, "hostSession": {**SESSION, "passwordSecret": "fabric"}}
    await world.server.put(L3VNIS, "red", namespace="team", spec=spec)
    file = world.directory / "manifests" / "l3vni.team.red.json"
    await until(lambda: file.exists() and "hostSession" in file.read_text())
    assert "refused here (403)" in world.agent.problem


async def test_file_takes_precedence_over_a_conflicting_object(
    world: World, tmp_path: Path
) -> None:
    await world.number()
    await until(lambda: "node.json" in world.mirrored)
    mine = {"apiVersion": GROUP, "kind": "L3VNI", "metadata": {"name": "mine"}, "spec": RED}
    (tmp_path / "fabric.json").write_text(json.dumps(underlay()))
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    found = load([tmp_path, world.directory / "manifests"])
    intent = layout.compile(found, found.node, 1500)
    told = {status.name: status.ready for status in intent.statuses}
    assert (told["mine"], told["team/red"]) == (True, False)


async def test_a_row_of_an_object_that_is_for_other_nodes_by_now_is_taken_back(
    world: World,
) -> None:
    await world.number()
    row = {"name": "node-1", "ready": True}
    status = {"nodes": [row, {"name": "node-2", "ready": True}]}
    await world.server.put(L3VNIS, "red", namespace="team", spec=RED, status=status)
    path = f"{L3VNI.at(('team', 'red'))}/status"
    await until(lambda: bool(world.server.applied[path]))
    assert world.server.applied[path]["dualpath-node-1"]["status"] == {"nodes": []}


async def test_a_row_that_a_former_definition_dropped_is_written_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "DROPPED_S", 0.05)
    await world.number()
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    write = f"PATCH {L3VNI.at(('team', 'red'))}/status"
    await until(lambda: world.server.requests.count(write) >= 2)  # it shows none of them


async def test_a_status_alone_is_no_news(world: World) -> None:
    await world.number()
    await until(lambda: "node.json" in world.mirrored)
    changed = world.agent._changed
    await until(lambda: not changed.is_set())
    status = {"nodes": [{"name": "node-2", "ready": True}]}
    metadata = {"generation": 2}
    await world.server.put(
        L3VNIS, "red", namespace="team", spec=RED, status=status, metadata=metadata
    )
    await until(lambda: world.agent.objects[L3VNI]["team", "red"].get("status") == status)
    assert not changed.is_set()


async def test_a_secret_that_is_rotated_arrives(world: World) -> None:
    await world.number()
    spec = {**RED, "hostSession": {**SESSION, "passwordSecret": "fabric"}}
    await world.server.put(L3VNIS, "red", namespace="team", spec=spec)
    path = world.directory / "secrets" / "team" / "fabric"
    for text in (b"one", b"two"):
        data = {"password": base64.b64encode(text).decode()}
        secret = {"type": "kubernetes.io/basic-auth", "data": data}
        await world.server.put(SECRETS, "fabric", namespace="team", **secret)
        await until(partial(_has, path, text))
    await world.server.delete(SECRETS, "fabric", namespace="team")
    await until(lambda: not path.exists())


def _has(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


async def test_labels_of_the_node_that_change_arrive(world: World) -> None:
    await world.number()
    await until(lambda: "node.json" in world.mirrored)
    metadata = {"annotations": {NODE_INDEX: "3"}, "labels": {"rack": "b"}}
    await world.server.put("/api/v1/nodes", "node-1", metadata=metadata)
    await until(lambda: load([world.directory / "manifests"]).node.labels == {"rack": "b"})


async def test_a_bad_object_beside_a_good_one_is_told_in_the_validator_s_words(
    world: World, tmp_path: Path
) -> None:
    await world.number()
    bad = {"vrf": "blue", "vni": 100}  # the VNI of red
    await world.server.put(L3VNIS, "worse", namespace="team", spec=bad)
    await until(lambda: {"l3vni.team.red.json", "l3vni.team.worse.json"} <= world.mirrored)
    (tmp_path / "fabric.json").write_text(json.dumps(underlay()))
    found = load([tmp_path, world.directory / "manifests"])
    world.statuses = [*layout.compile(found, found.node, 1500).statuses]
    await until(lambda: bool(world.rows("worse") and world.rows("red")))
    (good,), (told,) = world.rows("red"), world.rows("worse")
    assert (good["ready"], good["reason"]) == (True, Reason.CONFIGURATION_SUCCESSFUL)
    assert (told["ready"], told["reason"]) == (False, Reason.VALIDATION_FAILED)
    assert told["message"] == "spec.vni: VNI 100 is already used by L3VNI team/red"


async def test_a_younger_object_does_not_disturb_an_older_one(world: World, tmp_path: Path) -> None:
    await world.number()
    for name, time in (("red", "2026-01-01T00:00:00Z"), ("a", "2026-01-01T00:00:01Z")):
        metadata = {"creationTimestamp": time}
        await world.server.put(L3VNIS, name, namespace="team", spec=RED, metadata=metadata)
    await until(lambda: {"l3vni.team.red.json", "l3vni.team.a.json"} <= world.mirrored)
    (tmp_path / "fabric.json").write_text(json.dumps(underlay()))
    found = load([tmp_path, world.directory / "manifests"])
    told = {s.name: s.ready for s in layout.compile(found, found.node, 1500).statuses}
    assert (told["team/red"], told["team/a"]) == (True, False)


async def test_the_older_of_two_objects_has_the_plain_name_and_each_its_own_row(
    world: World, tmp_path: Path
) -> None:
    await world.number()
    spec = {"vrf": "blue", "vni": 5}
    elsewhere = {**spec, "vni": 6, "nodeSelector": {"matchLabels": {"rack": "z"}}}
    for namespace, time, content in (
        ("openperouter-system", "2026-01-01T00:00:00Z", spec),
        ("default", "2026-01-01T00:00:01Z", elsewhere),
    ):
        metadata = {"creationTimestamp": time}
        await world.server.put(L3VNIS, "blue", namespace=namespace, spec=content, metadata=metadata)
    names = {f"l3vni.{n}.blue.json" for n in ("default", "openperouter-system")}
    await until(lambda: names <= world.mirrored)
    (tmp_path / "fabric.json").write_text(json.dumps(underlay()))
    found = load([tmp_path, world.directory / "manifests"])
    world.statuses = [*layout.compile(found, found.node, 1500).statuses]
    assert ("L3VNI", "blue") in {s.owner for s in world.statuses}
    await until(lambda: bool(world.rows("blue", namespace="openperouter-system")))
    assert world.rows("blue", namespace="default") == []


async def test_a_number_that_files_give_is_enough(world: World) -> None:
    await world.number(None)
    await until(lambda: NODE_INDEX in world.agent.problem)
    world.files = Files(index=7)
    await until(lambda: "node.json" in world.mirrored)
    assert NODE_INDEX not in (world.directory / "manifests" / "node.json").read_text()
    assert world.agent.problem == ""
    await world.number("3")
    await until(lambda: "number 7 by its manifests, and 3 by its annotation" in world.agent.problem)


async def test_events_that_come_while_files_are_written_do_no_harm(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that writes gets a copy: a dict that grows under a loop ends the loop."""
    given: list[Any] = []
    monkeypatch.setattr(Agent, "_write", lambda _, objects, *_rest: given.append(objects))
    await world.number()
    await until(lambda: bool(given))
    before = {kind: set(items) for kind, items in given[0].items()}
    await world.server.put(L3VNIS, "green", namespace="team", spec=RED)
    await until(lambda: ("team", "green") in world.agent.objects[L3VNI])
    assert {kind: set(items) for kind, items in given[0].items()} == before
    assert ("team", "green") not in given[0]["L3VNI"]
