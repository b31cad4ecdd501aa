"""Operator and agent with the roles of deploy/, at an API server that enforces them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.intent.loader import load
from controller.intent.schema import GROUP, OUR_GROUP
from controller.kubernetes import rollouts
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import from_kubeconfig
from controller.kubernetes.mirror import SECRET_TYPE
from controller.kubernetes.objects import NODE_STATUSES, Collection
from controller.kubernetes.statics import Files
from controller.operator.program import Program
from controller.operator.settings import parse
from tests.fakes.ports import free_port
from tests.fakes.waiting import until
from tests.kube.node import Node
from tests.kube.server import Account, ApiServer
from tests.unit.controller.intent.build import manifest, session, underlay

pytestmark = pytest.mark.kube

DEPLOY = Path(__file__).parents[2] / "deploy"
REPORTS = Path(__file__).parents[1] / "vectors" / "openperouter"
HOME = "dualpath-system"
OPERATOR, AGENT = Account(HOME, "dualpath-operator"), Account(HOME, "dualpath")
PATIENCE_S = 60.0
NODE = "node-1"
UNDERLAY, L3VNI = Collection(GROUP, "Underlay"), Collection(GROUP, "L3VNI")
OURS = Collection(OUR_GROUP, "L3VNI")
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases"
SECRETS = "/api/v1/namespaces/{}/secrets"

DENIED_TO_BOTH = (
    ("POST", L3VNI.path("team")),
    ("PUT", L3VNI.at(("team", "red"))),
    ("PATCH", L3VNI.at(("team", "red"))),
    ("DELETE", L3VNI.at(("team", "red"))),
    ("DELETE", L3VNI.path("team")),
    ("PATCH", rollouts.PATH),
    ("DELETE", rollouts.PATH),
    ("POST", rollouts.ROLLOUTS.path()),
    ("POST", "/api/v1/nodes"),
    ("DELETE", f"/api/v1/nodes/{NODE}"),
    ("PATCH", f"/api/v1/nodes/{NODE}/status"),
    ("GET", "/api/v1/secrets"),
    ("GET", SECRETS.format("kube-system")),
    ("GET", "/api/v1/pods"),
    ("POST", "/api/v1/namespaces/team/pods"),
    ("GET", "/api/v1/configmaps"),
    ("POST", f"/api/v1/namespaces/{HOME}/serviceaccounts"),
    ("DELETE", HOOKS),
    ("POST", DEFINITIONS),
    ("PATCH", f"{DEFINITIONS}/l3vnis.network.openperouter.io"),
    ("GET", ROLES),
    ("POST", ROLES),
    ("PATCH", f"{ROLES}/dualpath"),
    ("GET", "/metrics"),
)
DENIED = {
    OPERATOR: (
        *DENIED_TO_BOTH,
        ("POST", OURS.path(HOME)),
        ("DELETE", OURS.at((HOME, "static-red"))),
        ("GET", f"{SECRETS.format(HOME)}/other"),
        ("GET", SECRETS.format(HOME)),
        ("DELETE", f"{SECRETS.format(HOME)}/dualpath-operator-webhook"),
        ("PUT", f"{LEASES}/other"),
        ("GET", LEASES),
        ("PUT", f"{HOOKS}/other"),
        ("GET", DEFINITIONS),
        ("GET", NODE_STATUSES.path(HOME)),
    ),
    AGENT: (
        *DENIED_TO_BOTH,
        ("PATCH", f"/api/v1/nodes/{NODE}"),
        ("GET", rollouts.ROLLOUTS.path()),
        ("POST", SECRETS.format(HOME)),
        ("DELETE", f"{SECRETS.format(HOME)}/fabric"),
        ("GET", LEASES),
        ("POST", LEASES),
        ("GET", HOOKS),
        ("GET", DEFINITIONS),
        ("POST", "/apis/events.k8s.io/v1/namespaces/default/events"),
        ("GET", NODE_STATUSES.path("team")),
        ("POST", OURS.path("team")),
        ("DELETE", NODE_STATUSES.at((HOME, NODE))),
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer.started((OPERATOR, AGENT)) as started:
        # Both reports: rows by our definitions, and OpenPERouter's report of the node.
        started.define(*sorted((DEPLOY / "crds").rglob("*.yaml")), *sorted(reports()))
        started.apply(*roles(started))
        yield started


def reports() -> Iterator[Path]:
    for path in REPORTS.rglob("*.yaml"):
        if "crds" in path.parts or "refused" in path.parts:
            document = yaml.safe_load(path.read_text())
            if document["spec"]["names"]["kind"] in ("RouterNodeConfigurationStatus", "L3VPN"):
                yield path


def roles(server: ApiServer) -> Iterator[dict[str, Any]]:
    """Yield what deploy/ says about rights, and what the operator writes to."""
    for part in ("operator", "node"):
        for found in yaml.safe_load_all(server.kubectl("kustomize", str(DEPLOY / part))):
            if found["kind"] not in ("Deployment", "Service", "DaemonSet", "ConfigMap"):
                yield found


@asynccontextmanager
async def operator(server: ApiServer) -> AsyncIterator[None]:
    """Run an operator for the length of a block; API servers do not reach its webhook."""
    words = [f"--namespace={HOME}", "--identity=op", f"--webhook=127.0.0.1:{free_port()}"]
    program = Program(Client(from_kubeconfig(server.kubeconfig_of(OPERATOR))), parse(words))
    task = asyncio.create_task(program.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def seen(server: ApiServer, path: str, holds: Callable[[Any], object]) -> None:
    """Wait until an object that an administrator sees is so."""

    def ask() -> bool:
        with server.http() as client:
            answer = client.get(path)
        return answer.is_success and bool(holds(answer.json()))

    async def holds_now() -> bool:
        return await asyncio.to_thread(ask)

    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not await holds_now():
        assert asyncio.get_running_loop().time() < deadline, path
        await asyncio.sleep(0.2)


def is_ready(item: Any) -> bool:  # noqa: ANN401
    conditions = item.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


async def test_the_roles_are_enough_for_all_that_operator_and_agent_do(
    server: ApiServer, tmp_path: Path
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "fabric", "namespace": HOME},
        "type": SECRET_TYPE,
        "data": {"password": base64.b64encode(b"hunter2").decode()},
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    with_password = session(passwordSecret="fabric")
    red = manifest("L3VNI", "red", hostSession=with_password)
    red["metadata"]["namespace"] = HOME
    await asyncio.to_thread(
        server.apply,
        node,
        underlay(),
        red,
        secret,
        {**_rollout(), "spec": {"minReadySeconds": 0}},
    )
    file = tmp_path / "blue.yaml"
    file.write_text(json.dumps(manifest("L3VNI", "blue", vrf="blue", vni=7, hostSession=None)))
    files = Files(load([file]).items)
    config = server.kubeconfig_of(AGENT)
    async with operator(server), Node.running(NODE, config, tmp_path / "disk", files) as agent:
        await until(lambda: agent.has("underlay.default.underlay", f"l3vni.{HOME}.red"), PATIENCE_S)
        await seen(server, UNDERLAY.at(("default", "underlay")), is_ready)
        await seen(server, L3VNI.at((HOME, "red")), is_ready)
        assert (tmp_path / "disk" / "secrets" / HOME / "fabric").read_bytes() == b"hunter2"
        await seen(server, NODE_STATUSES.at((HOME, NODE)), is_ready)
        await seen(server, L3VNI.path(HOME), lambda found: len(found["items"]) == 2)
        await seen(server, rollouts.PATH, lambda found: found["status"]["phase"] == "Complete")
        hook = f"{HOOKS}/dualpath-operator"
        await seen(server, hook, lambda found: found["webhooks"][0]["clientConfig"]["caBundle"])
        events = "/apis/events.k8s.io/v1/namespaces/default/events"
        await seen(server, events, lambda found: len(found["items"]) >= 2)
        await asyncio.to_thread(edit_what_shows_a_file, server)
        shown = L3VNI.path(HOME)
        await seen(server, shown, lambda f: {i["spec"]["vni"] for i in f["items"]} == {100, 7})
        agent.files_of_node = Files()
        await seen(server, shown, lambda found: len(found["items"]) == 1)
    assert server.denied(OPERATOR) == []
    assert server.denied(AGENT) == []


def _rollout() -> dict[str, Any]:
    return {"apiVersion": OUR_GROUP, "kind": "Rollout", "metadata": {"name": rollouts.NAME}}


def edit_what_shows_a_file(server: ApiServer) -> None:
    words = ("-n", HOME, "-l", "dualpath.io/static", "-o", "name")
    (name,) = server.kubectl("get", "l3", *words).split()
    patch = ("--type=merge", "-p", '{"spec": {"vni": 8}}')
    server.kubectl("patch", "-n", HOME, name, *patch)


@pytest.mark.parametrize("account", DENIED, ids=lambda account: account.name)
def test_the_roles_give_no_other_right(server: ApiServer, account: Account) -> None:
    allowed = []
    with server.http(account) as client:
        for method, path in DENIED[account]:
            answer = client.request(method, path, json={} if method != "GET" else None)
            if answer.status_code != 403:
                allowed.append((method, path, answer.status_code))
        assert client.get("/openapi/v3").is_success
    assert allowed == []
    assert len(server.denied(account)) >= len(DENIED[account])


def test_no_role_has_a_wildcard(server: ApiServer) -> None:
    for found in roles(server):
        for rule in found.get("rules", ()):
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]), found
