"""OpenPERouter's definitions as they are: what the agent follows, and where it reports."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.intent import layout
from controller.intent.loader import load
from controller.intent.schema import GROUP, OUR_GROUP
from controller.kubernetes.agent import NAMESPACE
from controller.kubernetes.objects import OURS, THEIRS, Collection
from dualpath.model.view import ResourceStatus
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import underlay
from tests.unit.controller.kubernetes.schemas import openapi
from tests.unit.controller.kubernetes.world import (
    L3VNI,
    L3VNIS,
    RED,
    REPORTS,
    World,
    serve_theirs,
)

OUR_L3VNI = Collection(OUR_GROUP, "L3VNI")


@pytest.fixture
async def world(
    tmp_path: Path,
    server: FakeApiServer,
    in_a_hurry: None,
) -> AsyncIterator[World]:
    serve_theirs(server)
    await server.put(L3VNIS, "red", namespace="team", spec=RED)
    made = World(server, tmp_path / "kubernetes")
    await made.number()
    yield made
    await made.close()


def conditions(world: World) -> dict[str, str]:
    return {c["type"]: c["status"] for c in world.report.get("conditions", ())}


async def test_the_node_has_a_report_that_goes_with_it(world: World) -> None:
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: conditions(world) == {"Ready": "True", "Degraded": "False"})
    assert world.report["failedResources"] == []
    item = world.server.objects[REPORTS][f"{NAMESPACE}/node-1"]
    (owner,) = item["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "u-1"}


async def test_no_row_is_written_where_their_schema_drops_it(world: World) -> None:
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: bool(conditions(world)))
    assert world.rows("red") == []


async def test_failures_are_told_by_name_and_gone_when_they_are_over(world: World) -> None:
    world.statuses = [ResourceStatus("L3VNI", "team/red", False, "ValidationFailed", "no vrf")]
    await until(lambda: conditions(world) == {"Ready": "False", "Degraded": "True"})
    failed = {
        "kind": "L3VNI",
        "name": "team/red",
        "reason": "ValidationFailed",
        "message": "no vrf",
    }
    assert world.report["failedResources"] == [failed]
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: conditions(world) == {"Ready": "True", "Degraded": "False"})
    assert world.report["failedResources"] == []


async def test_a_report_that_is_deleted_or_changed_is_written_again(world: World) -> None:
    await until(lambda: bool(conditions(world)))
    await world.server.delete(REPORTS, "node-1", namespace=NAMESPACE)
    await until(lambda: bool(conditions(world)))
    metadata = {"ownerReferences": [{"uid": "another"}]}
    await world.server.put(REPORTS, "node-1", namespace=NAMESPACE, metadata=metadata)
    await until(lambda: conditions(world) == {"Ready": "True", "Degraded": "False"})
    item = world.server.objects[REPORTS][f"{NAMESPACE}/node-1"]
    assert item["metadata"]["ownerReferences"][0]["uid"] == "u-1"


async def test_a_report_that_is_right_is_written_once(world: World) -> None:
    await until(lambda: bool(conditions(world)))
    before = len(world.server.requests)
    await until(lambda: len(world.server.requests) > before + 20)  # others go on
    assert sum(r.startswith("PATCH") for r in world.server.requests) == 2


async def test_a_cni_device_without_a_network_list_is_told_so(world: World, tmp_path: Path) -> None:
    device = {"type": "RawConfig", "interfaceName": "net1", "rawConfig": {"plugins": []}}
    spec = {
        **underlay()["spec"],
        "interfaces": [{"type": "CNIDevice", "cniDevice": device}],
    }
    path = Collection(GROUP, "Underlay").path()
    await world.server.put(path, "fabric", namespace=NAMESPACE, spec=spec)
    await until(lambda: f"underlay.{NAMESPACE}.fabric.json" in world.mirrored)
    found = load([world.directory / "manifests"])
    world.statuses = [*layout.compile(found, found.node, 1500).statuses]
    await until(lambda: conditions(world).get("Degraded") == "True")
    told = {f["kind"]: f for f in world.report["failedResources"]}
    assert told["Underlay"]["reason"] == "ValidationFailed"
    assert "`cniVersion` must be a text" in told["Underlay"]["message"]
    (reason,) = {c["reason"] for c in world.report["conditions"]}
    assert reason == "UnderlayFailed"


async def test_an_l3vpn_is_told_to_be_unsupported(world: World) -> None:
    path = Collection(GROUP, "L3VPN").path()
    await world.server.put(path, "red", namespace="team", spec={"vrf": "red"})
    await until(lambda: "l3vpn.team.red.json" in world.mirrored)
    found = load([world.directory / "manifests"])
    world.statuses = [*layout.compile(found, found.node, 1500).statuses]
    await until(lambda: conditions(world).get("Degraded") == "True")
    (message,) = {c["message"] for c in world.report["conditions"]}
    assert message.endswith("L3VPN team/red: kind: L3VPN (SRv6) is not supported yet; use an L3VNI")


async def test_an_object_of_our_group_replaces_theirs(world: World) -> None:
    await until(lambda: "l3vni.team.red.json" in world.mirrored)
    file = world.directory / "manifests" / "l3vni.team.red.json"
    world.server.absent = set()
    world.server.documents = openapi(OUR_GROUP)
    spec = {**RED, "hostNetns": "blue"}
    await world.server.put(OUR_L3VNI.path(), "red", namespace="team", spec=spec)
    await until(lambda: "hostNetns" in file.read_text())
    (found,) = load([world.directory / "manifests"]).items
    assert found.owner == ("L3VNI", "team/red")
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: bool(world.rows("red", OUR_L3VNI)))
    await world.server.delete(OUR_L3VNI.path(), "red", namespace="team")
    await until(lambda: "hostNetns" not in file.read_text())


async def test_where_both_have_rows_the_replaced_object_says_by_whom(world: World) -> None:
    world.server.absent = set()
    world.server.documents = openapi(GROUP, OUR_GROUP)
    await world.server.put(OUR_L3VNI.path(), "red", namespace="team", spec=RED)
    world.statuses = [ResourceStatus("L3VNI", "team/red", True)]
    await until(lambda: bool(world.rows("red", L3VNI) and world.rows("red", OUR_L3VNI)))
    assert world.rows("red", OUR_L3VNI)[0]["ready"] is True
    await until(lambda: world.rows("red", L3VNI)[0]["ready"] is False)
    assert OUR_GROUP in world.rows("red", L3VNI)[0]["message"]


async def test_a_row_that_the_former_definition_s_stream_hid_is_removed(world: World) -> None:
    row = {"nodes": [{"name": "node-1", "ready": True}]}
    await until(lambda: "l3vni.team.red.json" in world.mirrored)
    world.server.objects[L3VNIS]["team/red"]["status"] = row
    world.server.documents = openapi(GROUP, hash_="2")
    path = f"{L3VNI.at(('team', 'red'))}/status"
    await until(lambda: bool(world.server.applied[path]))
    assert world.server.applied[path]["dualpath-node-1"]["status"] == {"nodes": []}


async def test_objects_of_a_kind_whose_definition_goes_are_gone(world: World) -> None:
    world.server.absent = set()
    await world.server.put(OUR_L3VNI.path(), "blue", namespace="team", spec=RED)
    await until(lambda: "l3vni.team.blue.json" in world.mirrored)
    world.server.absent = {c.path() for c in OURS}
    await world.server.compact()
    await until(lambda: "l3vni.team.blue.json" not in world.mirrored)
    assert "l3vni.team.red.json" in world.mirrored


async def test_without_openperouters_kinds_the_agent_waits_and_says_so(
    tmp_path: Path,
) -> None:
    server = await FakeApiServer().start()
    server.absent = {c.path() for c in THEIRS}
    world = World(server, tmp_path / "other")
    await world.number()
    await until(lambda: "no such kind (404)" in world.agent.problem)
    assert world.mirrored == set()
    await world.close()
    await server.stop()


def test_json_of_an_object_is_a_manifest_of_either_group(tmp_path: Path) -> None:
    for group in (GROUP, OUR_GROUP):
        manifest = {"apiVersion": group, "kind": "L3VNI", "metadata": {"name": "red"}, "spec": RED}
        (tmp_path / "red.json").write_text(json.dumps(manifest))
        assert [r.name for r in load([tmp_path]).items] == ["red"]
