"""Gradual rollouts: an operator and several agents against a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from controller.intent.node import REVISION
from controller.intent.overlay import L3Vni
from controller.intent.schema import GROUP, Resources
from controller.kubernetes import agent as agents
from controller.kubernetes import gate, rollouts
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import from_kubeconfig
from controller.kubernetes.objects import Collection
from controller.operator import conductor
from controller.operator.program import Program
from controller.operator.settings import parse
from tests.fakes.waiting import until
from tests.kube.node import Node, number
from tests.kube.server import ApiServer, KubectlError
from tests.kube.test_definitions import OURS
from tests.unit.controller.intent.build import manifest, underlay

pytestmark = pytest.mark.kube

NAMES = ("n1", "n2", "n3", "n4", "n5")
PATIENCE_S = 60.0
NAMESPACE = "dualpath-system"
UNDERLAY = Collection(GROUP, "Underlay").at(("default", "underlay"))
RED = Collection(GROUP, "L3VNI").at(("default", "red"))


@pytest.fixture(scope="module")
def defined(server: ApiServer) -> ApiServer:
    server.define(*sorted(OURS.rglob("*.yaml")))
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    return server


@pytest.fixture
def cluster(defined: ApiServer) -> Iterator[ApiServer]:
    """Return a server with five Nodes, an Underlay, a VRF with VNI 100, and a Rollout."""
    for index, name in enumerate(NAMES):
        number(defined, name, index)
    defined.apply(underlay(), red(100))
    yield defined
    defined.kubectl("delete", "dualpath,nodes,rollouts", "--all")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "REPORT_S", 0.2)
    monkeypatch.setattr(conductor, "GATHER_S", 0.1)
    monkeypatch.setattr(conductor, "TICK_S", 0.5)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "ASK_S", 0.5)
    monkeypatch.setattr(gate, "STALE_S", 3.0)


def rollout(**spec: object) -> dict[str, Any]:
    spec = {"minReadySeconds": 0, **spec}
    group = {"apiVersion": "dualpath.io/v1alpha1", "kind": "Rollout"}
    return {**group, "metadata": {"name": "default"}, "spec": spec}


def red(vni: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return manifest("L3VNI", "red", vrf="red", vni=vni, hostSession=None, **more)


@asynccontextmanager
async def operator(server: ApiServer) -> AsyncIterator[None]:
    """Run an operator without a webhook for the length of a block."""
    settings = parse([f"--namespace={NAMESPACE}", "--identity=op"])
    program = Program(Client(from_kubeconfig(server.kubeconfig)), settings)
    task = asyncio.create_task(program.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def fabric(server: ApiServer, directory: Path) -> AsyncIterator[dict[str, Node]]:
    """Run an agent for each Node, which all have VNI 100 at the start."""
    async with AsyncExitStack() as stack:
        nodes = {
            name: await stack.enter_async_context(
                Node.running(name, server.kubeconfig, directory / name)
            )
            for name in NAMES
        }
        await until(lambda: all(vni(node) == 100 for node in nodes.values()), PATIENCE_S)
        yield nodes


def vni(node: Node) -> int:
    """Return the VNI that a node has, 0 for none."""
    if "node.json" not in node.files:
        return 0
    found = node.resources().items
    return next((r.spec.vni for r in found if isinstance(r.spec, L3Vni)), 0)


def vnis(nodes: dict[str, Node]) -> list[int]:
    return [vni(node) for node in nodes.values()]


async def apply(server: ApiServer, *items: dict[str, Any]) -> None:
    await asyncio.to_thread(server.apply, *items)


async def get(server: ApiServer, path: str) -> Any:  # noqa: ANN401
    def ask() -> Any:  # noqa: ANN401
        with server.http() as client:
            return client.get(path).raise_for_status().json()

    return await asyncio.to_thread(ask)


async def reaches(
    server: ApiServer, phase: str, holds: Callable[[dict[str, Any]], object] = bool
) -> list[dict[str, Any]]:
    """Wait for a phase of the Rollout; return every status that was seen until then."""
    seen: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while True:
        status = (await get(server, rollouts.PATH)).get("status", {})
        seen.append(status)
        if status.get("phase") == phase and holds(status):
            return seen
        assert loop.time() < deadline, status
        await asyncio.sleep(0.1)


async def begun(server: ApiServer, **spec: object) -> None:
    """Make the Rollout, and wait until it holds every node."""
    await apply(server, rollout(**spec))
    await reaches(server, "Complete", lambda status: status["progress"] == "5/5")


async def reasons(server: ApiServer) -> list[str]:
    uid = (await get(server, rollouts.PATH))["metadata"]["uid"]
    events = (await get(server, "/apis/events.k8s.io/v1/namespaces/default/events"))["items"]
    return [event["reason"] for event in events if event["regarding"].get("uid") == uid]


def breaks(*bad: int) -> Callable[[Resources], str]:
    """Return a fault that shows while the VNI is one of these."""

    def fault(found: Resources) -> str:
        here = (r.spec.vni for r in found.items if isinstance(r.spec, L3Vni))
        return "planted" if any(number in bad for number in here) else ""

    return fault


async def test_an_edit_reaches_one_node_after_the_other(cluster: ApiServer, tmp_path: Path) -> None:
    async with operator(cluster), fabric(cluster, tmp_path) as nodes:
        await begun(cluster)
        await apply(cluster, red(200))
        most = 0
        while set(vnis(nodes)) != {200}:
            new = [name for name in NAMES if vni(nodes[name]) == 200]
            rows = {r["name"]: r for r in await rows_of(cluster)}  # after: they may have gone on
            most = max(most, len(new) - sum(rows[n]["observedGeneration"] == 2 for n in new))
            await asyncio.sleep(0.05)
        assert most <= 1
        seen = await reaches(cluster, "Complete")
        assert seen[-1]["progress"] == "5/5"
        assert "RolloutComplete" in await reasons(cluster)
        line = (await asyncio.to_thread(cluster.kubectl, "get", "rollout")).splitlines()[1]
        assert line.split()[:5] == ["default", "Complete", "5/5", "0", "0"]


async def row_of(server: ApiServer, path: str, node: str) -> dict[str, Any]:
    rows = (await get(server, path))["status"]["nodes"]
    return next(dict(row) for row in rows if row["name"] == node)


async def rows_of(server: ApiServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await get(server, RED))["status"]["nodes"]
    return found


async def test_a_node_that_fails_stops_the_rollout_and_what_repairs_it_goes_there_first(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with fabric(cluster, tmp_path) as nodes:
        nodes["n3"].fault = breaks(300)
        async with operator(cluster):
            await begun(cluster)
            await apply(cluster, red(300))
            stopped = (await reaches(cluster, "Stopped"))[-1]
            assert stopped["degradedNodes"] == ["n3"]
            assert stopped["message"].startswith("n3: L3VNI red: planted; waiting n4, n5; ")
            assert vnis(nodes) == [300, 300, 300, 100, 100]
            assert "RolloutStopped" in await reasons(cluster)
            old = {row["name"]: row for row in await rows_of(cluster)}["n5"]
            assert (old["ready"], old["observedGeneration"]) == (True, 1)
        async with operator(cluster):  # another leader finds it as it is
            await asyncio.sleep(5.0)
            assert vnis(nodes) == [300, 300, 300, 100, 100]
            await apply(cluster, red(400))
            order: list[str] = []
            while len(order) < len(NAMES):
                order += [n for n in NAMES if n not in order and vni(nodes[n]) == 400]
                await asyncio.sleep(0.05)
            assert order[0] == "n3", order
            await reaches(cluster, "Complete")


async def test_a_datapath_that_an_underlay_names_moves_node_by_node(
    cluster: ApiServer, tmp_path: Path
) -> None:
    forwards = dict.fromkeys(NAMES, "kernel")

    def switching(name: str) -> Callable[[str], str]:
        return lambda to: "" if to in ("", forwards[name]) else f"switching to {to}: prepare: ..."

    async with operator(cluster), fabric(cluster, tmp_path) as nodes:
        for name, node in nodes.items():
            node.switching = switching(name)

        def switches(node: Node) -> bool:
            return bool(node.statuses()) and node.switching(node.datapath) != ""

        def under_way() -> list[str]:
            return [name for name, node in nodes.items() if switches(node)]

        await begun(cluster)
        with pytest.raises(KubectlError, match="Unsupported value"):
            await apply(cluster, underlay(datapath="ebpf"))
        await apply(cluster, underlay(datapath="dpdk"))
        for _ in NAMES:
            await until(lambda: bool(under_way()), PATIENCE_S)
            (name,) = under_way()
            row: dict[str, Any] = {"ready": True}
            while row["ready"]:
                await asyncio.sleep(0.1)
                row = await row_of(cluster, UNDERLAY, name)
            assert row["reason"] == "NotInForce"
            assert row["message"] == "switching to dpdk: prepare: ..."
            assert under_way() == [name]
            forwards[name] = "dpdk"
        await reaches(cluster, "Complete")
        assert {node.datapath for node in nodes.values()} == {"dpdk"}


@pytest.mark.long
async def test_edits_while_it_is_paused_come_as_one_and_a_new_node_does_not_wait(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with operator(cluster), fabric(cluster, tmp_path) as nodes:
        await begun(cluster, paused=True)
        for wanted in (200, 300, 400):
            await apply(cluster, red(wanted))
        paused = (await reaches(cluster, "Paused"))[-1]
        assert paused["waitingNodes"] == 5
        await asyncio.to_thread(number, cluster, "n6", 6)
        directory = tmp_path / "n6"
        async with Node.running("n6", cluster.kubeconfig, directory) as new:
            await until(lambda: vni(new) == 400, PATIENCE_S)
            assert set(vnis(nodes)) == {100}
            # The way back: the former manifest, while no node has anything else.
            await apply(cluster, red(100))
            await apply(cluster, rollout(maxUnavailable="50%"))
            await until(lambda: vni(new) == 100, PATIENCE_S)
            done = (await reaches(cluster, "Complete"))[-1]
            assert done["progress"] == "6/6"
            assert set(vnis(nodes)) == {100}


@pytest.mark.long
async def test_a_node_that_is_away_is_not_waited_for_and_changes_when_it_is_back(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with operator(cluster), fabric(cluster, tmp_path) as nodes:
        await begun(cluster)
        await kubelet(cluster, "n2", "Unknown")
        await apply(cluster, red(200))
        await until(lambda: vnis(nodes) == [200, 100, 200, 200, 200], PATIENCE_S)
        status = (await reaches(cluster, "Complete", lambda s: s["progress"] == "4/5"))[-1]
        assert status["message"] == "away n2; updated 4 of 5 nodes"
        await kubelet(cluster, "n2", "True")
        await reaches(cluster, "Complete", lambda s: s["progress"] == "5/5")
        await asyncio.to_thread(cluster.kubectl, "delete", "l3", "red")
        await until(lambda: set(vnis(nodes)) == {0}, PATIENCE_S)
        await asyncio.to_thread(cluster.kubectl, "delete", "node", "n5")
        await reaches(cluster, "Complete", lambda s: (s["progress"], len(s["nodes"])) == ("4/4", 4))


async def kubelet(server: ApiServer, name: str, ready: str) -> None:
    condition = {"type": "Ready", "status": ready, "reason": "Test", "message": ""}
    patch = json.dumps({"status": {"conditions": [condition]}})
    words = ("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)
    await asyncio.to_thread(server.kubectl, *words)


@pytest.mark.usefixtures("impatient")
async def test_without_an_operator_nodes_keep_what_they_have_and_say_so(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with fabric(cluster, tmp_path) as nodes:
        async with operator(cluster):
            await begun(cluster, paused=True)
        await apply(cluster, red(200))
        first = nodes["n1"]
        await until(lambda: "no operator has renewed it" in first.agent.problem, PATIENCE_S)
        assert set(vnis(nodes)) == {100}
        await asyncio.to_thread(cluster.kubectl, "delete", "rollout", "default")
        await until(lambda: set(vnis(nodes)) == {200} and not first.agent.problem, PATIENCE_S)


@pytest.mark.long
async def test_a_node_that_restarts_while_it_waits_still_waits(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with operator(cluster):
        async with fabric(cluster, tmp_path) as nodes:
            await begun(cluster, paused=True)
            await apply(cluster, red(200))
            await reaches(cluster, "Paused")
            assert set(vnis(nodes)) == {100}
        async with fabric(cluster, tmp_path) as nodes:
            rows = {row["name"]: row for row in await rows_of(cluster)}
            assert {row["observedGeneration"] for row in rows.values()} == {1}
            await asyncio.to_thread(cluster.kubectl, "delete", "rollout", "default")
            await until(lambda: set(vnis(nodes)) == {200}, PATIENCE_S)
            await until_no_annotation(cluster)


async def until_no_annotation(server: ApiServer) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while True:
        nodes = (await get(server, "/api/v1/nodes"))["items"]
        if not any(REVISION in node["metadata"]["annotations"] for node in nodes):
            return
        assert loop.time() < deadline, nodes
        await asyncio.sleep(0.1)


def test_the_definition_refuses_what_the_operator_would_not_understand(
    defined: ApiServer,
) -> None:
    for spec in ({"maxUnavailable": 0}, {"maxUnavailable": "0%"}, {"maxUnavailable": "101%"}):
        with pytest.raises(KubectlError, match="must be a number of nodes"):
            defined.apply(rollout(**spec))
    with pytest.raises(KubectlError, match="the only Rollout is called default"):
        defined.apply({**rollout(), "metadata": {"name": "other"}})
    bare = {key: value for key, value in rollout().items() if key != "spec"}
    defined.apply(bare)
    spec = json.loads(defined.kubectl("get", "rollout/default", "-o", "json"))["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["minReadySeconds"] == 10
    defined.kubectl("delete", "rollout", "default")
