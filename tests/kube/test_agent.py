"""The node agent against a real API server that restarts, freezes, forgets and is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.intent.overlay import L3Vni
from controller.intent.schema import GROUP
from controller.kubernetes import MANIFESTS
from controller.kubernetes import client as client_module
from controller.kubernetes import reflector as reflector_module
from controller.settings import parse
from controller.start import kubernetes
from tests.fakes.waiting import until
from tests.kube.node import Node, number
from tests.kube.server import ApiServer
from tests.kube.test_definitions import OURS
from tests.unit.controller.intent.build import manifest, underlay

pytestmark = pytest.mark.kube

NODE = "node-1"
PATIENCE_S = 30.0
SOON_S = 2  # of a stream, and of silence, where a test has to wait for it
L3VNIS = f"l3vnis.{GROUP.partition('/')[0]}"
UNDERLAY, RED, BLUE = "underlay.default.underlay", "l3vni.default.red", "l3vni.default.blue"
VRFS = 500


@pytest.fixture(scope="module")
def defined(server: ApiServer) -> ApiServer:
    server.define(*sorted(OURS.glob("*.yaml")))
    number(server, NODE, 3)
    return server


@pytest.fixture
def cluster(defined: ApiServer) -> Iterator[ApiServer]:
    """Return a server with an Underlay and a VRF."""
    defined.apply(underlay(), vrf("red", 100))
    yield defined
    defined.kubectl("delete", "dualpath", "--all")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let streams be short, and silence long soon."""
    monkeypatch.setattr(reflector_module, "STREAM_S", (SOON_S, SOON_S))
    monkeypatch.setattr(client_module, "SLACK_S", float(SOON_S))


def vrf(name: str, vni: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return manifest("L3VNI", name, vrf=name, vni=vni, hostSession=None, **changes)


async def run(server: ApiServer, *arguments: str) -> str:
    """Run kubectl while the node works."""
    return await asyncio.to_thread(server.kubectl, *arguments)


async def row(server: ApiServer, resource: str, **fields: object) -> dict[str, Any]:
    """Wait until this node's row of an object's status has these fields; return the row."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while True:
        told = json.loads(await run(server, "get", resource, "-o", "json")).get("status", {})
        for found in told.get("nodes", ()):
            if found["name"] == NODE and fields.items() <= found.items():
                return dict(found)
        assert loop.time() < deadline, f"{resource}: {told}, not {fields}"
        await asyncio.sleep(0.1)


async def test_objects_their_edits_and_their_deletion_reach_the_node(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with Node.running(NODE, cluster.kubeconfig, tmp_path) as node:
        await until(lambda: node.has(UNDERLAY, RED), PATIENCE_S)
        found = node.resources()
        assert (found.node.name, found.node.index) == (NODE, 3)
        assert found.node.labels["rack"] == "a"
        patch = '{"spec": {"vni": 777}}'
        await run(cluster, "patch", "l3", "red", "--type=merge", "-p", patch)
        await until(lambda: 777 in vnis(node), PATIENCE_S)
        await run(cluster, "annotate", "node", NODE, "--overwrite", "openpe.io/nodeindex=4")
        await until(lambda: node.resources().node.index == 4, PATIENCE_S)
        await run(cluster, "delete", "l3", "red")
        await until(lambda: node.has(UNDERLAY), PATIENCE_S)


def vnis(node: Node) -> set[int]:
    return {r.spec.vni for r in node.resources().items if isinstance(r.spec, L3Vni)}


async def test_a_bad_resource_beside_good_ones_says_why_in_its_status(
    cluster: ApiServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(cluster.apply, vrf("violet", 100))  # red has this VNI
    async with Node.running(NODE, cluster.kubeconfig, tmp_path):
        assert (await row(cluster, "l3/red", ready=True))["reason"] == "ConfigurationSuccessful"
        refused = await row(cluster, "l3/violet", ready=False)
        assert "100" in refused["message"], refused
        await asyncio.to_thread(cluster.apply, vrf("violet", 200))
        healed = await row(cluster, "l3/violet", ready=True, observedGeneration=2)
        await asyncio.to_thread(cluster.apply, vrf("violet", 201))
        edited = await row(cluster, "l3/violet", ready=True, observedGeneration=3)
        assert edited["lastTransitionTime"] == healed["lastTransitionTime"]


async def test_a_deletion_that_the_server_forgot_is_seen_by_comparing(
    cluster: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with Node.running(NODE, cluster.kubeconfig, tmp_path) as node:
        await until(lambda: node.has(UNDERLAY, RED), PATIENCE_S)
        cluster.kill()
        cluster.forget(L3VNIS, "default", "red")
        cluster.compact()
        await asyncio.to_thread(cluster.start)
        await until(lambda: node.has(UNDERLAY), PATIENCE_S)
        assert "(410); listing again" in caplog.text
        await asyncio.to_thread(cluster.apply, vrf("blue", 200))
        await until(lambda: node.has(UNDERLAY, BLUE), PATIENCE_S)


@pytest.mark.usefixtures("impatient")
async def test_a_frozen_server_is_noticed_and_followed_again_when_it_thaws(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with Node.running(NODE, cluster.kubeconfig, tmp_path) as node:
        await until(lambda: node.has(UNDERLAY, RED), PATIENCE_S)
        with cluster.frozen():
            await until(lambda: "in force" in node.agent.problem, 4 * SOON_S + 2)
            assert node.has(UNDERLAY, RED)
        await asyncio.to_thread(cluster.apply, vrf("blue", 200))
        await until(lambda: node.has(UNDERLAY, RED, BLUE) and not node.agent.problem, PATIENCE_S)


async def test_a_node_starts_from_its_mirror_while_the_server_is_dead(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with Node.running(NODE, cluster.kubeconfig, tmp_path / "kubernetes") as node:
        await until(lambda: node.has(UNDERLAY, RED), PATIENCE_S)
    cluster.kill()
    try:
        settings = parse(
            [
                "--datapath=kernel",
                "--kubernetes",
                f"--kubeconfig={cluster.kubeconfig}",
                f"--mirror={tmp_path}",
            ]
        )
        kubernetes.wait(settings)  # returns, as there is something to start from
        assert settings.config == (tmp_path / "kubernetes" / MANIFESTS,)
        async with Node.running(NODE, cluster.kubeconfig, tmp_path / "kubernetes") as node:
            await until(lambda: "in force" in node.agent.problem, PATIENCE_S)
            assert vnis(node) == {100}
            await asyncio.to_thread(cluster.start)
            await asyncio.to_thread(cluster.apply, vrf("blue", 200))
            await until(lambda: node.has(UNDERLAY, RED, BLUE), PATIENCE_S)
    finally:
        cluster.start()


async def test_hundreds_of_vrfs_at_once_are_mirrored_and_each_gets_its_status(
    cluster: ApiServer, tmp_path: Path
) -> None:
    many = [vrf(f"v{number}", 1000 + number) for number in range(VRFS)]
    async with Node.running(NODE, cluster.kubeconfig, tmp_path) as node:
        await asyncio.to_thread(cluster.apply, *many, server_side=True)
        await until(lambda: len(node.files) == VRFS + 3, PATIENCE_S)  # the Node, the Underlay, red
        await row(cluster, f"l3/v{VRFS - 1}", ready=True)
        assert vnis(node) == {100, *range(1000, 1000 + VRFS)}
        await run(cluster, "delete", "l3", "--all", "--wait=false")
        await until(lambda: node.has(UNDERLAY), PATIENCE_S)
