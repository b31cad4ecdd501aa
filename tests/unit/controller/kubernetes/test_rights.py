"""The agent on an API server that keeps a log: it asks for nothing beyond the rights of deploy/."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import yaml

from controller.intent.loader import load
from controller.kubernetes import agent as module
from controller.kubernetes.agent import NAMESPACE
from controller.kubernetes.statics import Files
from tests.fakes import rights
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import underlay
from tests.unit.controller.kubernetes.world import L3VNIS, RED, World, serve_ours, serve_theirs

DEPLOY = Path(__file__).parents[4] / "deploy"
POD = "dualpath-system"
PATIENCE_S = 30.0  # three exchanges with a server, one after the other
GIVEN = rights.rules([DEPLOY / "node/node.yaml"], name="dualpath")


def refused(requests: list[str], given: list[rights.Rule]) -> list[str]:
    """Return the requests that the rules do not allow, in an agent's pod of `POD`."""
    asked = [
        request.replace(f"/namespaces/{NAMESPACE}/", f"/namespaces/{POD}/") for request in requests
    ]
    return [request for request in asked if not rights.allowed(request, given)]


@pytest.fixture(params=[serve_ours, serve_theirs])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    monkeypatch.setattr(module, "REPORT_S", 0.01)
    server = await FakeApiServer().start()
    serve: Callable[[FakeApiServer], None] = request.param
    serve(server)
    made = World(server, tmp_path / "kubernetes")
    yield made
    await made.close()
    await server.stop()


async def test_every_request_is_among_the_rights_of_deploy(world: World, tmp_path: Path) -> None:
    session = {"asn": 1, "hostASN": 2, "localCIDR": {"ipv4": "10.0.0.0/24"}}
    spec = {**RED, "hostSession": {**session, "passwordSecret": "fabric"}}
    data = {"password": base64.b64encode(b"hunter2").decode()}
    secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    kind = "kubernetes.io/basic-auth"
    await world.server.put(secrets, "fabric", namespace=NAMESPACE, type=kind, data=data)
    await world.server.put(L3VNIS, "red", namespace=NAMESPACE, spec=spec)
    await world.number()
    file = tmp_path / "node.yaml"
    file.write_text(yaml.safe_dump(underlay()))
    world.files = Files(load([file]).items)
    log = world.server.requests
    await until(lambda: any(r.startswith("POST") and NAMESPACE in r for r in log), PATIENCE_S)
    await until(lambda: any("/secrets" in r for r in log), PATIENCE_S)
    world.files = Files()
    await until(lambda: any(r.startswith("DELETE") for r in log), PATIENCE_S)
    assert refused(log, GIVEN) == []


def test_rights_beyond_those_are_not_given() -> None:
    node, secret = "/api/v1/nodes/n", "/api/v1/namespaces/team/secrets"
    ours = f"/apis/network.openperouter.io/v1alpha1/namespaces/{POD}/l3vnis"
    team = "/apis/network.openperouter.io/v1alpha1/namespaces/team/l3vnis"
    asked = [f"PATCH {node}", f"GET {secret}", f"POST {team}", f"DELETE {team}/red"]
    assert refused(asked, GIVEN) == asked
    assert refused([f"POST {ours}", f"DELETE {ours}/red", f"GET {node}"], GIVEN) == []
    assert not any("*" in (*r["verbs"], *r["resources"], *r["apiGroups"]) for _, r in GIVEN)
