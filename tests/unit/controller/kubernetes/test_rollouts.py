"""Revisions, and what a node tells of them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.intent.node import REVISION
from controller.intent.reasons import Reason
from controller.kubernetes import STATIC, gate, mirror, rollouts
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.crd import rollout_definition
from controller.kubernetes.gate import Gate
from controller.kubernetes.mirror import Taken
from controller.kubernetes.objects import OURS, THEIRS, Object, Target
from controller.kubernetes.status import Row, as_taken
from dualpath.model.view import ResourceStatus
from tests.fakes.apiserver import FakeApiServer

RED = ("team", "red")


def item(name: str = "red", generation: int = 1, **spec: Any) -> Object:  # noqa: ANN401
    metadata = {"name": name, "namespace": "team", "uid": f"u-{name}", "generation": generation}
    return {"metadata": metadata, "spec": spec}


def node(name: str = "n1", revision: str | None = None, **labels: str) -> Object:
    annotations = {} if revision is None else {REVISION: revision}
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}}


def revision(*items: Object, of: Object | None = None) -> str:
    objects = {THEIRS[1]: {("team", i["metadata"]["name"]): i for i in items}}
    return rollouts.revision(objects, of or node())


def test_a_revision_changes_with_specs_and_with_what_is_there() -> None:
    red, blue = item(), item("blue")
    assert revision(red, blue) == revision(blue, red)
    recreated = item()
    recreated["metadata"]["uid"] = "other"
    others = [revision(), revision(red), revision(item(generation=2)), revision(recreated)]
    assert len({revision(red, blue), *others}) == 5


def test_a_status_a_label_and_what_shows_a_file_change_no_revision() -> None:
    told = {**item(), "status": {"nodes": []}}
    shows = item("shows")
    shows["metadata"]["labels"] = {STATIC: "n1"}
    assert revision(told, shows) == revision(item())


def test_an_object_for_other_nodes_is_not_in_a_nodes_revision() -> None:
    rack = {"matchLabels": {"rack": "a"}}
    elsewhere = item("elsewhere", nodeSelector=rack)
    assert revision(item(), elsewhere) == revision(item())
    assert revision(item(), elsewhere, of=node(rack="a")) != revision(item())


def test_an_object_in_our_group_counts_beside_the_other() -> None:
    both = {THEIRS[1]: {RED: item()}, OURS[1]: {RED: item()}}
    assert rollouts.revision(both, node()) != revision(item())


def test_a_selector_that_makes_no_sense_is_for_every_node() -> None:
    assert revision(item(nodeSelector=7)) == revision(item())


@pytest.mark.parametrize("bad", [0, -1, True, "0%", "101%", "10", "x%", "1.5%", None, [], "²%"])
def test_a_number_of_nodes_that_is_none_is_refused(bad: object) -> None:
    assert rollouts.parse({"spec": {"maxUnavailable": bad}}) is None or bad is None


def test_a_row_names_the_worst_resource_first() -> None:
    def of(name: str, reason: str) -> ResourceStatus:
        return ResourceStatus("L3VNI", name, not reason, reason, f"{name} is bad" if reason else "")

    good = rollouts.row("5f1c", [of("a", "")])
    assert (good.ready, good.reason) == (True, Reason.CONFIGURATION_SUCCESSFUL)
    waits, fails = of("a", Reason.NOT_IN_FORCE), of("b", Reason.VALIDATION_FAILED)
    bad = rollouts.row("5f1c", [waits, fails])
    assert (bad.ready, bad.reason) == (False, Reason.VALIDATION_FAILED)
    assert bad.message == "L3VNI b: b is bad; and 1 more"
    body = rollouts.row_body("n1", bad, "2026-01-01T00:00:00Z")
    assert rollouts.rows({"metadata": {}, **body}) == {"n1": bad}
    (version,) = rollout_definition()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert set(body["status"]["nodes"][0]) <= set(
        schema["properties"]["nodes"]["items"]["properties"]
    )


def test_rows_that_make_no_sense_are_none() -> None:
    for nodes in (None, 7, ["x"], [{"name": 5}]):
        assert rollouts.rows({"metadata": {}, "status": {"nodes": nodes}}) == {}


def test_what_was_taken_is_read_back_from_the_mirror(tmp_path: Path) -> None:
    assert mirror.taken(tmp_path / "none") == Taken()
    objects = {"L3VNI": {RED: item(generation=4)}}
    mirror.write(tmp_path, mirror.manifests(objects, node(), tmp_path, "5f1c"))
    (tmp_path / "bad.json").write_text("[")
    (tmp_path / "worse.json").write_text('{"metadata": {"generation": 1}}')
    assert mirror.taken(tmp_path) == Taken("5f1c", {"u-red": 4}, True)


def test_rows_are_about_the_generations_that_were_taken() -> None:
    target = Target(THEIRS[1], RED)
    other = Target(THEIRS[1], ("team", "blue"))
    objects = {THEIRS[1]: {RED: item(generation=5), other.key: item("blue")}}
    told = {target: Row(True, "", "", 5), other: Row(True, "", "", 1)}
    taken = Taken("5f1c", {"u-red": 4}, True)
    assert as_taken(objects, told, taken, waiting=True) == {target: Row(True, "", "", 4)}
    assert as_taken(objects, told, taken, waiting=False)[other] == Row(True, "", "", 1)


@pytest.fixture
async def held(server: FakeApiServer) -> AsyncIterator[Gate]:
    client = Client(Cluster(server.address, ssl.create_default_context()))
    yield Gate(client)
    await client.close()


async def test_a_node_waits_for_its_permission(server: FakeApiServer, held: Gate) -> None:
    await server.put(rollouts.ROLLOUTS.path(), rollouts.NAME, spec={})
    assert await held.opens(node(), "90ab")
    assert not await held.opens(node(revision="5f1c"), "90ab")
    assert held.waiting
    assert not held.problem
    assert await held.opens(node(revision="90ab"), "90ab")
    assert not held.waiting


async def test_a_rollout_that_is_gone_holds_nobody(server: FakeApiServer, held: Gate) -> None:
    assert await held.opens(node(revision="5f1c"), "90ab")


async def test_an_operator_that_is_gone_is_told_and_not_passed_over(
    server: FakeApiServer, held: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "ASK_S", 0.0)
    monkeypatch.setattr(gate, "STALE_S", 0.0)
    path = rollouts.ROLLOUTS.path()
    await server.put(path, rollouts.NAME, spec={}, status={"renewTime": "2026-01-01T00:00:00Z"})
    assert not await held.opens(node(revision="5f1c"), "90ab")
    await asyncio.sleep(0)
    assert not await held.opens(node(revision="5f1c"), "90ab")
    assert "no operator has renewed it" in held.problem
    await server.put(path, rollouts.NAME, spec={}, status={"renewTime": "2026-01-01T00:01:00Z"})
    assert not await held.opens(node(revision="5f1c"), "90ab")
    assert not held.problem


async def test_an_api_server_that_refuses_does_not_open(server: FakeApiServer, held: Gate) -> None:
    server.refuse = 403
    assert not await held.opens(node(revision="5f1c"), "90ab")
