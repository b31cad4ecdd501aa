"""The operator as a program, as deploy/operator has it, against a real API server."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.cli import compiled
from controller.cli.options import Output
from controller.kubernetes.mirror import NODE_INDEX
from tests.fakes.ports import free_port
from tests.kube.node import Node, number
from tests.kube.server import ApiServer, KubectlError
from tests.kube.test_definitions import OURS
from tests.unit.controller.intent.build import Yaml, manifest, underlay
from tests.unit.controller.operator.refusals import OTHERS, REFUSED

pytestmark = pytest.mark.kube

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "operator"
NAMESPACE = "dualpath-system"
LEASE = f"lease/{'dualpath-operator'}"
LEASE_S = 6
PATIENCE_S = 30.0
DENIED = re.compile(
    r'admission webhook "validate\.dualpath\.io" denied the request: (.*)', re.DOTALL
)


class Replica:
    """One process of the operator."""

    def __init__(self, server: ApiServer, identity: str, port: int, directory: Path) -> None:
        self.identity = identity
        self._log = directory / f"{identity}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "controller.operator",
                    f"--kubeconfig={server.kubeconfig}",
                    f"--namespace={NAMESPACE}",
                    f"--identity={identity}",
                    f"--lease-seconds={LEASE_S}",
                    f"--webhook=127.0.0.1:{port}",
                ],
                cwd=ROOT,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)


def until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> float:
    """Wait for a condition, and return after how many seconds it held."""
    began = time.monotonic()
    while True:
        with suppress(KubectlError):
            if condition():
                return time.monotonic() - began
        assert time.monotonic() - began < patience_s, "it never came true"
        time.sleep(0.05)


def deployed(server: ApiServer, port: int) -> list[Yaml]:
    """Return the manifests of deploy/operator; the Service leads to `port` of this machine."""
    found = list(yaml.safe_load_all(server.kubectl("kustomize", str(DEPLOY))))
    for item in found:
        if item["kind"] == "Service":
            item["spec"] |= {"clusterIP": "127.0.0.1"}
            item["spec"]["ports"][0] |= {"port": port, "targetPort": port}
        if item["kind"] == "ValidatingWebhookConfiguration":
            item["webhooks"][0]["clientConfig"]["service"]["port"] = port
    return found


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def cluster(server: ApiServer, port: int) -> ApiServer:
    server.define(*sorted(OURS.glob("*.yaml")))
    server.apply(*deployed(server, port))
    return server


@pytest.fixture(scope="module")
def operator(
    cluster: ApiServer, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replica]:
    replica = Replica(cluster, "op", port, tmp_path_factory.mktemp("operator"))
    try:
        until(lambda: bites(cluster))
        yield replica
    finally:
        replica.stop(signal.SIGKILL)


@pytest.fixture
def clean(operator: Replica, cluster: ApiServer) -> Iterator[ApiServer]:
    """Return a server without objects and Nodes."""
    yield cluster
    for _ in range(2):  # an object that others need is deleted after them
        with suppress(KubectlError):
            cluster.kubectl("delete", "dualpath", "--all", "--all-namespaces")
    cluster.kubectl("delete", "dualpath", "--all", "--all-namespaces")
    cluster.kubectl("delete", "nodes", "--all")


def bites(server: ApiServer) -> bool:
    """Tell whether the API server asks the webhook: only that refuses an unknown VRF name."""
    return is_refused(server, manifest("L3VNI", "probe", vrf="lo", hostSession=None))


def is_refused(server: ApiServer, item: Yaml) -> bool:
    """Tell whether the webhook refuses an object; it is not stored."""
    try:
        server.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(item))
    except KubectlError as error:
        return bool(DENIED.search(str(error)))
    return False


def get(server: ApiServer, *what: str) -> Any:  # noqa: ANN401
    return json.loads(server.kubectl("get", *what, "-o", "json"))


def node(server: ApiServer, name: str, index: str | None = None) -> None:
    annotations = {} if index is None else {NODE_INDEX: index}
    metadata = {"name": name, "annotations": annotations}
    server.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata})


def refusal(server: ApiServer, item: Mapping[str, Any]) -> list[str]:
    """Apply an object that the webhook refuses; return the lines that kubectl prints."""
    with pytest.raises(KubectlError) as refused:
        server.apply(item)
    found = DENIED.search(str(refused.value))
    assert found, refused.value
    return found[1].strip().splitlines()


def said(
    items: list[Mapping[str, Any]],
    index: int,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    """Return what `dualpath validate` prints of objects in files."""
    files = [directory / f"{i}.json" for i in range(len(items))]
    for file, item in zip(files, items, strict=True):
        file.write_text(json.dumps(item))
    with pytest.raises(SystemExit):
        compiled.validate(files, None, index, directory, Output.TABLE)
    printed = capsys.readouterr().out.splitlines()
    return [line.split(": ", 1)[1] for line in printed if line.startswith(str(directory))]


def named(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


@pytest.mark.parametrize("name", REFUSED)
def test_kubectl_apply_is_refused_with_the_words_of_dualpath_validate(
    clean: ApiServer, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = REFUSED[name]
    if case.number:
        node(clean, "far", str(case.number))
    if case.others:
        clean.apply(*case.others)
    until(lambda: is_refused(clean, case.new))  # once the operator has seen all of them
    lines = refusal(clean, case.new)
    others = [item for item in case.others if named(item) != named(case.new)]
    assert sorted(lines) == sorted(said([*others, case.new], case.number, tmp_path, capsys))
    assert lines


def test_a_deletion_that_breaks_others_is_refused(clean: ApiServer) -> None:
    clean.apply(*OTHERS)
    for resource in ("l3vni/red", "underlay/underlay"):
        with pytest.raises(KubectlError, match="denied the request"):
            clean.kubectl("delete", resource)
    clean.kubectl("delete", "l2vni/web")
    clean.kubectl("delete", "l3vni/red")


def test_objects_that_need_each_other_can_be_applied_in_any_order(clean: ApiServer) -> None:
    clean.apply(*reversed(OTHERS))
    assert len(get(clean, "dualpath")["items"]) == len(OTHERS)


def test_two_objects_of_one_manifest_cannot_take_one_vni(clean: ApiServer) -> None:
    clean.apply(underlay())
    twins = [manifest("L3VNI", f"v{i}", vrf=f"v{i}", vni=9, hostSession=None) for i in range(5)]
    with pytest.raises(KubectlError, match="VNI 9 is already used by L3VNI v0"):
        clean.apply(*twins)
    assert [item["metadata"]["name"] for item in get(clean, "l3vnis")["items"]] == ["v0"]


def test_a_new_certificate_is_taken_into_use_while_the_webhook_answers(
    clean: ApiServer, port: int
) -> None:
    def presented() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    def renewed() -> bool:
        answers.append(bites(clean))
        return presented() != before

    answers: list[bool] = []
    before = presented()
    clean.kubectl("delete", "secret", "dualpath-operator-webhook", "-n", NAMESPACE)
    until(renewed)
    answers += [bites(clean) for _ in range(10)]
    assert all(answers)  # the API server knew the new authority before it saw the certificate
    stored = get(clean, "secret", "dualpath-operator-webhook", "-n", NAMESPACE)["data"]
    assert presented().strip() in base64.b64decode(stored["tls.crt"]).decode()


def index_of(server: ApiServer, name: str) -> str | None:
    annotations = get(server, f"node/{name}")["metadata"].get("annotations", {})
    found = annotations.get(NODE_INDEX)
    return found if found is None else str(found)


def test_nodes_are_numbered_and_keep_their_numbers(clean: ApiServer) -> None:
    node(clean, "a", "3")
    node(clean, "b")
    node(clean, "c", "nonsense")
    until(lambda: (index_of(clean, "b"), index_of(clean, "c")) == ("0", "1"))
    assert index_of(clean, "a") == "3"
    node(clean, "d", "0")
    until(lambda: index_of(clean, "d") == "2")
    assert index_of(clean, "b") == "0"
    clean.kubectl("delete", "node/c")
    node(clean, "e")
    until(lambda: index_of(clean, "e") == "1")
    until(lambda: "NodeNumbered" in reasons(clean, "node/e"))


def test_many_nodes_at_once_get_distinct_numbers(clean: ApiServer) -> None:
    clean.apply(
        *({"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{i}"}} for i in range(50))
    )

    def numbers() -> list[str | None]:
        return [index_of_item(item) for item in get(clean, "nodes")["items"]]

    until(lambda: None not in numbers())
    assert sorted(map(int, filter(None, numbers()))) == list(range(50))


def reasons(server: ApiServer, resource: str) -> list[str]:
    """Return the reasons of the Events about an object, and about none of its name before."""
    uid = get(server, resource)["metadata"]["uid"]
    events = get(server, "events.v1.events.k8s.io", "-n", "default")["items"]
    return [event["reason"] for event in events if event["regarding"].get("uid") == uid]


def index_of_item(item: Yaml) -> str | None:
    found = item["metadata"].get("annotations", {}).get(NODE_INDEX)
    return None if found is None else str(found)


def ready(server: ApiServer, resource: str) -> tuple[str, str]:
    """Return the columns READY and REASON, as kubectl prints them."""
    head, line = server.kubectl("get", resource).splitlines()
    at = [head.index(name) for name in ("READY", "REASON", "AGE")]
    return line[at[0] : at[1]].strip(), line[at[1] : at[2]].strip()


async def test_kubectl_get_shows_what_all_nodes_say_together(
    clean: ApiServer, tmp_path: Path
) -> None:
    async def wait(resource: str, *wanted: str) -> None:
        await asyncio.to_thread(until, lambda: ready(clean, resource) == wanted)

    number(clean, "n1", 1)
    number(clean, "n2", 2)
    clean.apply(underlay())
    await wait("underlay/underlay", "False", "Progressing")
    config = clean.kubeconfig
    async with Node.running("n1", config, tmp_path / "n1") as _:
        await asyncio.to_thread(
            until, lambda: "waiting for n2" in condition(clean, "underlay/underlay")["message"]
        )
        async with Node.running("n2", config, tmp_path / "n2"):
            await wait("underlay/underlay", "True", "ConfigurationSuccessful")
            found = condition(clean, "underlay/underlay")
            assert found["observedGeneration"] == 1
            assert found["message"] == "in force on 2 nodes"
            clean.kubectl("delete", "node/n2")
            await asyncio.to_thread(
                until,
                lambda: condition(clean, "underlay/underlay")["message"] == "in force on 1 node",
            )
            rows = get(clean, "underlay/underlay")["status"]["nodes"]
            assert [row["name"] for row in rows] == ["n1"]
            assert reasons(clean, "underlay/underlay") == ["ConfigurationSuccessful"]


def condition(server: ApiServer, resource: str) -> dict[str, Any]:
    status = get(server, resource).get("status", {})
    found = [one for one in status.get("conditions", ()) if one["type"] == "Ready"]
    return dict(found[0]) if found else {"message": "", "reason": ""}


def test_an_object_for_no_node_says_so(clean: ApiServer) -> None:
    number(clean, "n1", 1)
    clean.apply(underlay(nodeSelector={"matchLabels": {"rack": "none"}}))
    until(lambda: ready(clean, "underlay/underlay") == ("Unknown", "NoMatchingNode"))


def holder(server: ApiServer) -> str:
    lease = get(server, "lease/dualpath-operator", "-n", NAMESPACE)
    return str(lease["spec"].get("holderIdentity", ""))


def test_of_two_operators_one_leads_and_the_other_does_when_it_is_killed(
    clean: ApiServer, operator: Replica, tmp_path: Path
) -> None:
    second = Replica(clean, "second", free_port(), tmp_path)
    third: Replica | None = None
    try:
        until(lambda: "waiting for Lease" in second.log)
        assert holder(clean) == "op"
        operator.stop(signal.SIGKILL)
        took_s = until(lambda: holder(clean) == "second", 2 * LEASE_S)
        assert took_s <= LEASE_S + 2.0
        node(clean, "x")
        until(lambda: index_of(clean, "x") == "0")
        third = Replica(clean, "third", free_port(), tmp_path)
        until(lambda: "waiting for Lease" in third.log)
        began = time.monotonic()
        second.stop()
        until(lambda: holder(clean) == "third")
        assert time.monotonic() - began < LEASE_S  # it was handed over, and did not expire
        assert second.process.returncode == 0
    finally:
        for replica in filter(None, (second, third)):
            if replica.process.poll() is None:
                replica.stop(signal.SIGKILL)
