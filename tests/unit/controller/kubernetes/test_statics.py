"""A node's manifest files, shown in the API as objects for reading only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.intent.loader import load
from controller.intent.schema import GROUP, OUR_GROUP
from controller.kubernetes import STATIC
from controller.kubernetes.agent import NAMESPACE
from controller.kubernetes.objects import OURS, Collection, Object
from controller.kubernetes.statics import Files, label, name, shown
from controller.settings import parse
from controller.start.statics import StaticFiles
from dualpath.model.view import ResourceStatus
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import manifest, neighbor, underlay
from tests.unit.controller.kubernetes.schemas import openapi
from tests.unit.controller.kubernetes.world import L3VNI, RED, World, serve_ours

SHOWN = L3VNI.path(NAMESPACE)


@pytest.fixture
async def world(
    tmp_path: Path,
    server: FakeApiServer,
    in_a_hurry: None,
) -> AsyncIterator[World]:
    serve_ours(server)
    made = World(server, tmp_path / "kubernetes")
    await made.number()
    yield made
    await made.close()


def l3vni(key: str, spec: object) -> object:
    return {"apiVersion": GROUP, "kind": "L3VNI", "metadata": {"name": key}, "spec": spec}


def write(directory: Path, **specs: Any) -> Files:  # noqa: ANN401
    """Return the L3VNIs of these specs as if files had them."""
    directory.mkdir(exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    for key, spec in specs.items():
        (directory / f"{key}.json").write_text(json.dumps(l3vni(key, spec)))
    found = load([directory])
    return Files(found.items, frozenset(s.owner for s in found.rejected))


def objects(world: World, path: str = SHOWN) -> list[dict[str, Any]]:
    return list(world.server.objects[path].values())


async def test_a_file_is_shown_by_an_object_that_names_its_node(
    world: World, tmp_path: Path
) -> None:
    world.files = write(tmp_path / "files", red=RED)
    await until(lambda: bool(objects(world)))
    (found,) = objects(world)
    metadata = found["metadata"]
    assert metadata["labels"] == {STATIC: "node-1"}
    assert metadata["annotations"]["dualpath.io/source"] == str(tmp_path / "files" / "red.json")
    assert metadata["ownerReferences"][0]["uid"] == "u-1"
    assert found["spec"] == RED
    assert (found["apiVersion"], found["kind"]) == (GROUP, "L3VNI")


async def test_the_object_goes_when_the_file_does(world: World, tmp_path: Path) -> None:
    world.files = write(tmp_path / "files", red=RED, blue={"vrf": "blue", "vni": 200})
    await until(lambda: len(objects(world)) == 2)
    world.files = write(tmp_path / "files", blue={"vrf": "blue", "vni": 200})
    await until(lambda: [o["spec"]["vrf"] for o in objects(world)] == ["blue"])
    world.files = Files()
    await until(lambda: objects(world) == [])


async def test_an_object_of_an_earlier_run_goes(world: World, tmp_path: Path) -> None:
    world.files = write(tmp_path / "files", red=RED)
    await until(lambda: bool(objects(world)))
    await world.close()
    again = World(world.server, world.directory)
    await until(lambda: objects(world) == [])
    await again.close()


async def test_a_foreign_edit_is_put_back(world: World, tmp_path: Path) -> None:
    world.files = write(tmp_path / "files", red=RED)
    await until(lambda: bool(objects(world)))
    (found,) = objects(world)
    metadata = {**found["metadata"], "annotations": {**found["metadata"]["annotations"], "x": "y"}}
    metadata.pop("resourceVersion")
    edited = {"spec": {**RED, "vni": 999}, "metadata": metadata}
    await world.server.put(SHOWN, metadata["name"], namespace=NAMESPACE, **edited)
    await until(lambda: objects(world)[0]["spec"] == RED)
    assert objects(world)[0]["metadata"]["annotations"]["x"] == "y"


async def test_an_edit_that_is_watched_before_the_answer_to_our_write_is_put_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = world.client.create

    async def slow(path: str, body: Object) -> Object:
        stored = await create(path, body)
        if path == SHOWN:
            name = body["metadata"]["name"]
            edited = {"spec": {**RED, "vni": 999}, "metadata": body["metadata"]}
            await world.server.put(SHOWN, name, namespace=NAMESPACE, **edited)
            statics = world.agent._statics
            await until(lambda: [i["spec"]["vni"] for i in statics.items.values()] == [999])
        return stored

    monkeypatch.setattr(world.client, "create", slow)
    world.files = write(tmp_path / "files", red=RED)
    await until(lambda: any(item["spec"]["vni"] == 999 for item in objects(world)))
    await until(lambda: objects(world)[0]["spec"] == RED)


async def test_a_label_that_somebody_took_away_is_put_back(world: World, tmp_path: Path) -> None:
    world.files = write(tmp_path / "files", red=RED)
    await until(lambda: bool(objects(world)))
    key = objects(world)[0]["metadata"]["name"]
    await world.server.delete(SHOWN, key, namespace=NAMESPACE)  # what its watch says then
    await world.server.put(SHOWN, key, namespace=NAMESPACE, spec=RED)
    await until(lambda: objects(world)[0]["metadata"].get("labels") == {STATIC: "node-1"})


async def test_an_object_that_is_right_is_left_alone(world: World, tmp_path: Path) -> None:
    world.files = write(tmp_path / "files", red=RED)
    await until(lambda: bool(objects(world)))
    before = len(world.server.requests)
    world.statuses = [ResourceStatus("L3VNI", "red", True)]
    await until(
        lambda: bool(world.rows(objects(world)[0]["metadata"]["name"], namespace=NAMESPACE))
    )
    writes = [r for r in world.server.requests[before:] if not r.startswith("GET")]
    assert [r.partition(" ")[0] for r in writes] == ["PATCH"]


async def test_what_shows_a_file_is_nobody_s_intent(world: World, tmp_path: Path) -> None:
    shown_by_another = {"labels": {STATIC: "node-2"}}
    await world.server.put(
        L3VNI.path(), "static-red-1", namespace=NAMESPACE, spec=RED, metadata=shown_by_another
    )
    unlabelled = {"annotations": {"dualpath.io/node": "node-2"}}
    await world.server.put(
        L3VNI.path(), "static-red-2", namespace=NAMESPACE, spec=RED, metadata=unlabelled
    )
    await world.server.put(L3VNI.path(), "blue", namespace=NAMESPACE, spec=RED)
    await until(lambda: world.mirrored >= {"node.json", f"l3vni.{NAMESPACE}.blue.json"})
    assert world.mirrored == {"node.json", f"l3vni.{NAMESPACE}.blue.json"}


async def test_a_resource_that_is_rejected_keeps_its_object(world: World, tmp_path: Path) -> None:
    world.files = write(tmp_path / "files", red=RED)
    await until(lambda: bool(objects(world)))
    world.files = write(tmp_path / "files", red={**RED, "vni": 0}, blue={"vrf": "b", "vni": 2})
    await until(lambda: len(objects(world)) == 2)
    assert RED in [o["spec"] for o in objects(world)]


async def test_only_our_group_s_kind_can_show_all_beside_openperouters_definitions(
    world: World, tmp_path: Path
) -> None:
    ours = Collection(OUR_GROUP, "L3VNI").path(NAMESPACE)
    world.server.documents = openapi(GROUP, rows=False, hash_="2")
    world.server.documents |= {
        path: document for path, document in openapi(OUR_GROUP).items() if path != "/openapi/v3"
    }
    index = world.server.documents["/openapi/v3"]["paths"]
    index.update(openapi(OUR_GROUP)["/openapi/v3"]["paths"])
    world.server.absent -= {c.path() for c in OURS}
    await until(lambda: world.agent._served.with_rows == frozenset(OURS))
    world.files = write(tmp_path / "files", red={**RED, "hostNetns": "blue"})
    await until(lambda: bool(objects(world, ours)))
    assert objects(world, ours)[0]["spec"] == {**RED, "hostNetns": "blue"}
    assert objects(world) == []


async def test_a_refusal_is_logged_once_and_tried_again(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await until(lambda: world.agent._served.with_rows is not None)
    world.server.forbidden = SHOWN
    world.files = write(tmp_path / "files", red=RED)
    told = "copy of a manifest in the API: "
    await until(lambda: f"{told}{SHOWN}: refused here (403); retrying" in caplog.text)
    world.server.forbidden = ""
    await until(lambda: bool(objects(world)))
    assert caplog.text.count(told) == 1


def test_passwords_are_left_out(tmp_path: Path) -> None:
    session = {"asn": 1, "hostASN": 2, "localCIDR": {"ipv4": "10.0.0.0/24"}, "password": "hunter2"}
    text = json.dumps(l3vni("red", {**RED, "hostSession": session}))
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.json").write_text(json.dumps(neighbor(password="hunter2")))
    raw = "router bgp 65001\n neighbor 10.0.0.1 password hunter2\n"
    (tmp_path / "c.json").write_text(json.dumps(manifest("RawFRRConfig", "raw", rawConfig=raw)))
    items = load([tmp_path]).items
    assert len(items) == 3
    told = json.dumps([shown(item.spec) for item in items])
    assert "hunter2" not in told
    assert '"password"' not in told


def test_a_name_is_one_of_kubernetes_and_nobody_else_s(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(l3vni("Red_1." + "x" * 240 + "1", RED)))
    (item,) = load([tmp_path]).items
    one, other = name("node-1", item), name("node-2", item)
    assert one != other
    assert len(one) <= 253
    assert one.startswith("static-red-1-xxx")


def test_a_node_s_name_that_is_no_label_is_hashed() -> None:
    assert label("node-1") == "node-1"
    assert len(label("n" * 64)) == 63
    assert label("n" * 64) != label("n" * 65)


def test_files_are_read_again_when_they_change_and_kept_when_they_break(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "a.json").write_text(json.dumps(underlay()))
    arguments = ["--datapath=kernel", "--kubernetes", "--config", str(config)]
    read = StaticFiles(parse([*arguments, "--mirror", str(tmp_path / "mirror")]), "node-1").read
    assert [r.kind for r in read().items] == ["Underlay"]
    assert read().index is None
    (config / "b.json").write_text(json.dumps({"nodeIndex": 7}))
    assert read().index == 7
    (config / "b.json").write_text("{")
    assert (read().index, len(read().items)) == (7, 1)
    (config / "b.json").unlink()
    assert read().index is None


def test_a_number_on_the_command_line_is_one(tmp_path: Path) -> None:
    settings = parse(["--datapath=kernel", "--kubernetes", "--node-index", "5"])
    assert StaticFiles(settings, "node-1").read() == Files(index=5)
