"""OpenPERouter's definitions, unchanged, at a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.intent import layout
from controller.intent.loader import load
from controller.intent.schema import GROUP, OUR_GROUP
from controller.kubernetes import reflector, served
from controller.kubernetes.agent import NAMESPACE, Agent
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import from_kubeconfig
from controller.kubernetes.statics import Files
from dualpath.model.view import ResourceStatus
from tests.fakes.waiting import until
from tests.kube.node import number
from tests.kube.server import ApiServer, KubectlError
from tests.unit.controller.intent.build import manifest

pytestmark = pytest.mark.kube

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "openperouter"
THEIRS = sorted([*(VECTORS / "crds").glob("*.yaml"), *(VECTORS / "refused").glob("*.yaml")])
OURS = sorted((ROOT / "deploy" / "crds").glob("*.yaml"))
OUR_GROUPS = sorted((ROOT / "deploy" / "crds" / "dualpath.io").glob("*.yaml"))
SAMPLES = VECTORS / "samples"
NODE = "node-1"
HOME = ("-n", NAMESPACE)
PATIENCE_S = 30.0
L3VNIS, OUR_L3VNIS = (f"l3vnis.{g.partition('/')[0]}" for g in (GROUP, OUR_GROUP))


class Node:
    """An agent, and statuses of files and mirror; without FRR and devices."""

    def __init__(self, server: ApiServer, directory: Path) -> None:
        self._config, self._mirror = directory / "config", directory / "mirror"
        self._config.mkdir()
        self.files = Files()
        self.more: tuple[ResourceStatus, ...] = ()
        self.agent = Agent(
            Client(from_kubeconfig(server.kubeconfig)),
            NODE,
            self._mirror,
            self.statuses,
            files=lambda: self.files,
        )

    @property
    def manifests(self) -> Path:
        return self._mirror / "manifests"

    def text(self, name: str) -> str:
        path = self.manifests / name
        return path.read_text() if path.exists() else ""

    def statuses(self) -> tuple[ResourceStatus, ...]:
        if not (self.manifests / "node.json").exists():
            return ()
        found = load([self._config, self.manifests])
        return (*layout.compile(found, found.node, 1500).statuses, *self.more)

    def write(self, **specs: dict[str, Any]) -> None:
        """Make the files have these L3VNIs, and no others."""
        for path in self._config.iterdir():
            path.unlink()
        for name, spec in specs.items():
            text = {"apiVersion": GROUP, "kind": "L3VNI", "metadata": {"name": name}, "spec": spec}
            (self._config / f"{name}.json").write_text(json.dumps(text))
        found = load([self._config])
        self.files = Files(found.items, frozenset(s.owner for s in found.rejected))


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """Run a server of its own for each test: definitions are replaced."""
    with ApiServer.started() as started:
        started.define(*THEIRS)
        started.kubectl("create", "namespace", NAMESPACE)
        number(started, NODE, 3)
        yield started


@pytest.fixture
async def node(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Node]:
    monkeypatch.setattr(reflector, "ABSENT_S", (0.5, 1.0))
    # A stream of a definition that was replaced may stay silent until its end.
    monkeypatch.setattr(reflector, "STREAM_S", (4, 8))
    monkeypatch.setattr(served, "LOOK_S", (0.5, 1.0))
    made = Node(server, tmp_path)
    task = asyncio.create_task(made.agent.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def run(server: ApiServer, *arguments: str, given: str | None = None) -> str:
    """Run kubectl while the node works."""
    return await asyncio.to_thread(lambda: server.kubectl(*arguments, given=given))


async def get(server: ApiServer, *arguments: str) -> Any:  # noqa: ANN401
    """Return an object, {} if there is none."""
    try:
        return json.loads(await run(server, "get", *arguments, "-o", "json"))
    except KubectlError as error:
        if "not found" not in str(error):
            raise
        return {}


async def shown(server: ApiServer, condition: Callable[[Any], bool], *arguments: str) -> Any:  # noqa: ANN401
    """Wait until an object fulfils a condition; return it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not condition(found := await get(server, *arguments)):
        assert loop.time() < deadline, found
        await asyncio.sleep(0.1)
    return found


REPORT = (*HOME, "routernodeconfigurationstatus", NODE)


def failures(report: Any) -> list[Any]:  # noqa: ANN401
    return list(report.get("status", {}).get("failedResources", ()))


def messages(report: Any) -> set[str]:  # noqa: ANN401
    return {c["message"] for c in report.get("status", {}).get("conditions", ())}


def is_ready(value: str) -> Callable[[Any], bool]:
    opposite = {"True": "False", "False": "True"}[value]

    def check(item: Any) -> bool:  # noqa: ANN401
        conditions = item.get("status", {}).get("conditions", ())
        found = {c["type"]: c["status"] for c in conditions}
        return found == {"Ready": value, "Degraded": opposite}

    return check


async def test_openperouters_samples_are_in_force_and_the_node_reports(
    server: ApiServer, node: Node
) -> None:
    for sample in ("underlay.yaml", "l3vni.yaml", "l2vni.yaml"):
        await run(server, "apply", "-f", str(SAMPLES / sample))
    await until(lambda: len(node.statuses()) == 4, PATIENCE_S)
    found = await shown(server, is_ready("True"), *REPORT)
    assert {c["reason"] for c in found["status"]["conditions"]} == {"ConfigurationSuccessful"}
    (owner,) = found["metadata"]["ownerReferences"]
    uid = (await get(server, "node", NODE))["metadata"]["uid"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Node", NODE, uid)
    table = await run(server, "get", *REPORT)
    assert table.split()[:4] == ["NAME", "READY", "DEGRADED", "AGE"]
    assert (await get(server, *HOME, "l3vni", "red")).get("status", {}) == {}


async def test_a_cni_device_and_what_is_bad_are_named_beside_what_is_good(
    server: ApiServer, node: Node
) -> None:
    await run(server, "apply", "-f", str(SAMPLES / "underlay.yaml"))
    await run(server, "apply", "-f", str(SAMPLES / "l3vni.yaml"))
    clash = manifest("L3VNI", "z-clash", vrf="green", vni=100, hostSession=None)
    raw = manifest("RawFRRConfig", "raw", rawConfig="hostname x")
    for each in (clash, raw):
        each["metadata"]["namespace"] = NAMESPACE
    await asyncio.to_thread(server.apply, clash, raw)
    node.more = (
        ResourceStatus("RawFRRConfig", "raw", False, "FrrConfigurationFailed", "ä" * 600),
        ResourceStatus("L2VNI", "x" * 300, False, "OverlayAttachmentFailed", "no bridge"),
        ResourceStatus("L2VNI", "y", False, "UnderlayFailed", ""),
        ResourceStatus("L3VPN", "z", False, "ValidationFailed", "not supported"),
        ResourceStatus("L3VNI", "w", False, "NotInForce", "FRR does not answer"),
    )
    expected = {"z-clash", "raw", "x" * 253, "y"}
    found = await shown(server, lambda o: {f["name"] for f in failures(o)} == expected, *REPORT)
    assert is_ready("False")(found)
    failed = {f["name"]: f for f in found["status"]["failedResources"]}
    assert failed["z-clash"]["message"] == "spec.vni: VNI 100 is already used by L3VNI red"
    assert (failed["raw"]["kind"], len(failed["raw"]["message"])) == ("FrrConfiguration", 500)
    assert {f["reason"] for f in failed.values()} == {
        "ValidationFailed",
        "FrrConfigurationFailed",
        "OverlayAttachmentFailed",
        "DependencyFailed",
    }
    (message,) = messages(found)
    assert "L3VPN z: not supported; FRR does not answer" in message
    node.more = ()
    await run(server, "delete", *HOME, "l3vni", "z-clash")
    await shown(server, is_ready("True"), *REPORT)
    old = yaml.safe_load((SAMPLES / "underlay-cni-dhcp.yaml").read_text())
    old["spec"]["interfaces"][0]["cniDevice"]["rawConfig"]["cniVersion"] = "0.4.0"
    await asyncio.to_thread(server.apply, old)
    found = await shown(server, is_ready("False"), *REPORT)
    told = {f["kind"]: f["message"] for f in found["status"]["failedResources"]}
    assert "`cniVersion` must be a text" in told["Underlay"]
    assert {c["reason"] for c in found["status"]["conditions"]} == {"UnderlayFailed"}
    await run(server, "delete", *REPORT[:2], *REPORT[2:])
    await shown(server, is_ready("False"), *REPORT)


async def test_an_l3vpn_is_reported_and_nobody_else_suffers(server: ApiServer, node: Node) -> None:
    spec = {
        "vrf": "vpn",
        "rdAssignedNumber": 5,
        "importRTs": ["64514:5"],
        "exportRTs": ["64514:5"],
        "hostSession": {"asn": 64514, "hostASN": 64515, "localCIDR": {"ipv4": "10.9.0.0/24"}},
    }
    l3vpn = {
        "apiVersion": GROUP,
        "kind": "L3VPN",
        "metadata": {"name": "vpn", "namespace": NAMESPACE},
        "spec": spec,
    }
    await run(server, "apply", "-f", str(SAMPLES / "underlay.yaml"))
    await asyncio.to_thread(server.apply, l3vpn)
    message = "L3VPN vpn: kind: L3VPN (SRv6) is not supported yet; use an L3VNI"
    await shown(server, lambda o: messages(o) == {message}, *REPORT)
    assert {s.kind: s.ready for s in node.statuses()} == {"Underlay": True, "L3VPN": False}


async def test_definitions_that_are_replaced_while_the_agent_runs_are_used(
    server: ApiServer, node: Node
) -> None:
    await run(server, "apply", "-f", str(SAMPLES / "underlay.yaml"))
    await run(server, "apply", "-f", str(SAMPLES / "l3vni.yaml"))
    await shown(server, is_ready("True"), *REPORT)
    files = [f"--filename={path}" for path in OURS]
    await run(server, "apply", "--server-side", "--force-conflicts", *files)
    red = (*HOME, L3VNIS, "red")
    found = await shown(server, lambda o: bool(o.get("status", {}).get("nodes")), *red)
    (row,) = found["status"]["nodes"]
    assert (row["name"], row["ready"], row["reason"]) == (NODE, True, "ConfigurationSuccessful")
    patch = '{"spec": {"nodeSelector": {"matchLabels": {"rack": "z"}}}}'
    await run(server, "patch", *red, "--type=merge", "-p", patch)
    await shown(server, lambda o: not o.get("status", {}).get("nodes"), *red)
    files = [f"--filename={path}" for path in THEIRS]
    await run(server, "apply", "--server-side", "--force-conflicts", *files)
    await run(server, "patch", *red, "--type=merge", "-p", patch.replace('"z"', '"a"'))
    await until(lambda: '"a"' in node.text(f"l3vni.{NAMESPACE}.red.json"), PATIENCE_S)
    assert (await get(server, *red)).get("status", {}) == {}


async def test_fields_that_only_we_have_live_in_our_group(server: ApiServer, node: Node) -> None:
    await run(server, "apply", "-f", str(SAMPLES / "underlay.yaml"))
    await run(server, "apply", "-f", str(SAMPLES / "l3vni.yaml"))
    await asyncio.to_thread(server.define, *OUR_GROUPS)
    ours = manifest("L3VNI", "red", vrf="red", vni=100, hostSession=None, hostNetns="tenant")
    ours["metadata"]["namespace"] = NAMESPACE
    with pytest.raises(KubectlError, match="hostNetns"):
        await run(
            server, "apply", "--server-side", "--validate=strict", "-f", "-", given=yaml.dump(ours)
        )
    ours["apiVersion"] = OUR_GROUP
    await asyncio.to_thread(server.apply, ours)
    await until(lambda: "hostNetns" in node.text(f"l3vni.{NAMESPACE}.red.json"), PATIENCE_S)
    red = (*HOME, OUR_L3VNIS, "red")
    found = await shown(server, lambda o: bool(o.get("status", {}).get("nodes")), *red)
    assert found["status"]["nodes"][0]["ready"] is True
    await shown(server, is_ready("True"), *REPORT)
    await run(server, "delete", *HOME, OUR_L3VNIS, "red")
    await until(lambda: "hostNetns" not in node.text(f"l3vni.{NAMESPACE}.red.json"), PATIENCE_S)


async def test_files_are_shown_and_edits_are_put_back(server: ApiServer, node: Node) -> None:
    await asyncio.to_thread(server.define, *OURS)
    await run(server, "apply", "-f", str(SAMPLES / "underlay.yaml"))
    red = {"vrf": "red", "vni": 100}
    node.write(red=red)
    statics = (*HOME, L3VNIS, "-l", "dualpath.io/static=node-1")
    listed = await shown(server, lambda o: len(o["items"]) == 1, *statics)
    name = listed["items"][0]["metadata"]["name"]
    one = (*HOME, L3VNIS, name)
    spec = listed["items"][0]["spec"]
    assert spec.items() >= red.items()
    await shown(server, lambda o: o.get("status", {}).get("nodes", [{}])[0].get("ready"), *one)
    generation = (await get(server, *one))["metadata"]["generation"]
    patch = '{"spec": {"vni": 7, "nodeSelector": {"matchLabels": {"rack": "z"}}}}'
    await run(server, "patch", *one, "--type=merge", "-p", patch)
    found = await shown(
        server,
        lambda o: o["spec"] == spec and o["metadata"]["generation"] > generation,
        *one,
    )
    await run(server, "label", *one, "dualpath.io/static-")
    await shown(server, lambda o: "dualpath.io/static" in o["metadata"].get("labels", {}), *one)
    assert node.text(f"l3vni.{NAMESPACE}.{name}.json") == ""
    await run(server, "delete", *one)
    uid = found["metadata"]["uid"]
    await shown(server, lambda o: o and o["metadata"]["uid"] != uid, *one)
    node.write()
    await shown(server, lambda o: o["items"] == [], *statics)
