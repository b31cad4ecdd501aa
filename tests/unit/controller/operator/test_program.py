"""The whole operator against a small API server, with no more rights than deploy/operator gives."""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.intent.node import NODE_INDEX
from controller.intent.schema import GROUP, KINDS, OUR_GROUP
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.crd import definition
from controller.kubernetes.objects import OURS, THEIRS
from controller.operator import certificate, definitions, numberer, reporter, rotation, webhook
from controller.operator.__main__ import main
from controller.operator.program import Program
from controller.operator.settings import Settings, parse
from tests.fakes import rights
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.ports import free_port
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import underlay
from tests.unit.controller.kubernetes.schemas import openapi

DEPLOY = Path(__file__).parents[4] / "deploy" / "operator"
NAMESPACE, NAME = "dualpath-system", "dualpath-operator"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
NODES = "/api/v1/nodes"
UNDERLAYS = THEIRS[0].path()


def deployed(kind: str) -> list[dict[str, Any]]:
    files = (path.read_text() for path in DEPLOY.glob("*.yaml"))
    found = (item for text in files for item in yaml.safe_load_all(text))
    return [item for item in found if item["kind"] == kind]


def arguments() -> list[str]:
    (deployment,) = deployed("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return list(container["args"])


def settings(*more: str) -> Settings:
    return parse([f"--namespace={NAMESPACE}", "--identity=a", *arguments(), *more])


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApiServer]:
    monkeypatch.setattr(reporter, "GATHER_S", 0.01)
    monkeypatch.setattr(numberer, "GATHER_S", 0.01)
    monkeypatch.setattr(rotation, "SPREAD_S", 0.0)
    made = await FakeApiServer().start()
    for collection in THEIRS:
        served = definition(collection.kind, collection.group)
        rest = {name: part for name, part in served.items() if name != "metadata"}
        await made.put(definitions.DEFINITIONS, definitions.name_of(collection), **rest)
    made.absent = {collection.path() for collection in OURS}
    made.documents = openapi(GROUP)
    (configuration,) = deployed("ValidatingWebhookConfiguration")
    await made.put(rotation.CONFIGURATIONS, NAME, webhooks=configuration["webhooks"])
    yield made
    await made.stop()


@pytest.fixture
async def running(server: FakeApiServer) -> AsyncIterator[FakeApiServer]:
    client = Client(Cluster(server.address, ssl.create_default_context()))
    task = asyncio.create_task(
        Program(client, settings(f"--webhook=127.0.0.1:{free_port()}")).run()
    )
    yield server
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def index(server: FakeApiServer, name: str) -> str | None:
    metadata = server.objects[NODES][f"/{name}"]["metadata"]
    found = metadata.get("annotations", {}).get(NODE_INDEX)
    return found if found is None else str(found)


def bundle(server: FakeApiServer) -> str:
    (hook,) = server.objects[rotation.CONFIGURATIONS][f"/{NAME}"]["webhooks"]
    return str(hook["clientConfig"].get("caBundle", ""))


def stored(server: FakeApiServer) -> dict[str, str]:
    secret = server.objects[SECRETS].get(f"{NAMESPACE}/{NAME}-webhook", {"data": {}})
    return dict(secret["data"])


async def test_a_leader_numbers_nodes_and_tells_why(running: FakeApiServer) -> None:
    await running.put(NODES, "n0")
    await running.put(NODES, "n1", metadata={"annotations": {NODE_INDEX: "0"}})
    await until(lambda: index(running, "n0") == "1")
    assert index(running, "n1") == "0"
    await until(lambda: bool(running.objects[EVENTS]))
    (event,) = running.objects[EVENTS].values()
    assert (event["reason"], event["note"]) == ("NodeNumbered", "number 1: it had none")


async def test_a_leader_writes_a_condition_once_and_again_when_nodes_change(
    running: FakeApiServer,
) -> None:
    await running.put(NODES, "n0", metadata={"annotations": {NODE_INDEX: "0"}})
    spec = underlay()["spec"]
    path = f"/apis/{GROUP}/namespaces/team/underlays/u/status"

    def told() -> dict[str, Any]:
        status = running.applied[path].get("dualpath-operator", {}).get("status", {})
        return dict(status.get("conditions", [{}])[0])

    await running.put(UNDERLAYS, "u", namespace="team", spec=spec, metadata={"generation": 1})
    await until(lambda: told().get("reason") == "Progressing")
    row = {"name": "n0", "ready": True, "reason": "ConfigurationSuccessful"}
    status = {"nodes": [{**row, "observedGeneration": 1}, {"name": "gone", "ready": False}]}
    await running.put(
        UNDERLAYS, "u", namespace="team", spec=spec, metadata={"generation": 1}, status=status
    )
    await until(lambda: told().get("status") == "True")
    assert "status" not in running.applied[path]["dualpath-gone"]
    writes = sum(request.startswith(f"PATCH {path}") for request in running.requests)
    await running.put(UNDERLAYS, "v", namespace="team", spec=spec)
    await until(lambda: any("/underlays/v/status" in request for request in running.requests))
    assert sum(r.startswith(f"PATCH {path}") for r in running.requests) == writes


async def test_the_certificate_is_made_stored_and_told(running: FakeApiServer) -> None:
    await until(lambda: bool(bundle(running)))
    assert bundle(running) == stored(running)["ca.crt"]


async def test_a_ca_that_somebody_removes_is_written_again(running: FakeApiServer) -> None:
    await until(lambda: bool(bundle(running)))
    (configuration,) = deployed("ValidatingWebhookConfiguration")
    await running.put(rotation.CONFIGURATIONS, NAME, webhooks=configuration["webhooks"])
    await until(lambda: bundle(running) == stored(running)["ca.crt"])


async def test_the_api_server_knows_both_cas_before_the_new_certificate_is_stored(
    running: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: bool(bundle(running)))
    first = stored(running)
    monkeypatch.setattr(rotation, "SPREAD_S", 0.3)
    monkeypatch.setattr(certificate, "RENEW_BEFORE", certificate.LIFE)
    secret = running.objects[SECRETS][f"{NAMESPACE}/{NAME}-webhook"]
    somebodys = {
        "labels": {"looked": "at"}
    }  # without a change nobody looks before the hour is over
    await running.put(
        SECRETS, f"{NAME}-webhook", namespace=NAMESPACE, metadata=somebodys, **_rest(secret)
    )
    await until(lambda: bundle(running) != first["ca.crt"])
    told = base64.b64decode(bundle(running))
    assert told.endswith(base64.b64decode(first["ca.crt"]))
    assert stored(running) == first
    monkeypatch.setattr(certificate, "RENEW_BEFORE", certificate.LIFE / 3)
    await until(lambda: stored(running) != first)
    assert base64.b64decode(stored(running)["ca.crt"]) == told


def _rest(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "metadata"}


# -- deploy/operator ------------------------------------------------------------------------------


RULES = rights.rules(DEPLOY.glob("operator.yaml"), name=NAME)
BY_NAME = {"leases", "secrets", "validatingwebhookconfigurations"}  # listed by name only


def allowed(request: str) -> bool:
    return rights.allowed(request, RULES, by_name=BY_NAME)


async def test_every_request_is_among_the_rights_of_deploy(running: FakeApiServer) -> None:
    await running.put(NODES, "n0")
    await running.put(UNDERLAYS, "u", namespace="team", spec=underlay()["spec"])
    await until(lambda: bool(bundle(running)) and bool(running.objects[EVENTS]))
    await until(lambda: any(r.startswith("PATCH /apis/network") for r in running.requests))
    await until(lambda: any("watch" in r for r in running.requests))
    assert len(running.requests) > 20
    assert [request for request in running.requests if not allowed(request)] == []


def test_rights_beyond_those_are_not_given() -> None:
    assert not allowed("POST /api/v1/nodes")
    assert not allowed("GET /api/v1/namespaces/team/secrets")
    assert not allowed("PUT /apis/network.openperouter.io/v1alpha1/namespaces/x/l3vnis/red")
    assert not allowed("GET /api/v1/namespaces/dualpath-system/secrets/other")
    assert not any("*" in (*r["verbs"], *r["resources"], *r["apiGroups"]) for _, r in RULES)


def test_the_manifests_and_the_defaults_of_the_program_agree() -> None:
    told = settings()
    (service,) = deployed("Service")
    (configuration,) = deployed("ValidatingWebhookConfiguration")
    (hook,) = configuration["webhooks"]
    metadata = service["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (told.service, told.namespace)
    assert configuration["metadata"]["name"] == told.configuration
    assert hook["clientConfig"]["service"]["name"] == told.service
    assert hook["clientConfig"]["service"]["path"] == webhook.PATH
    assert hook["timeoutSeconds"] > webhook.REQUEST_S
    (rule,) = hook["rules"]
    assert rule["apiVersions"] == ["v1alpha1"]
    assert [f"{group}/v1alpha1" for group in rule["apiGroups"]] == [GROUP, OUR_GROUP]
    assert set(rule["resources"]) == {f"{kind.lower()}s" for kind in KINDS}
    assert told.webhook is not None
    (deployment,) = deployed("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == told.webhook[1]


def test_the_namespace_and_the_identity_come_from_the_pod(tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("theirs\n")
    told = parse([], {"POD_NAME": "op-7"}, tmp_path)
    assert (told.namespace, told.identity, told.webhook) == ("theirs", "op-7", None)


def test_outside_a_pod_a_namespace_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([], {}, Path("/nonexistent"))
    assert ended.value.code == 2
    assert "--namespace: give one" in capsys.readouterr().err


def test_without_its_libraries_the_program_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = ("aiohttp", "controller.operator.webhook", "controller.operator.program")
    for name in [module for module in sys.modules if module.startswith(late)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.setattr(sys, "argv", ["dualpath-operator", "--namespace=x"])
    with pytest.raises(SystemExit, match="dualpath\\[operator\\]"):
        main()
