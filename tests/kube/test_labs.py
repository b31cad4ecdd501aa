"""The manifests of labs/ against a real API server with our definitions, strictly."""

from __future__ import annotations

import pytest
import yaml

from tests.kube.chart import Manifest, objects
from tests.kube.server import ApiServer, KubectlError
from tests.kube.test_definitions import OURS
from tests.lab.documented import CHECKOUT

pytestmark = pytest.mark.kube

LABS = CHECKOUT / "labs"
OBJECTS = ("kind/manifests/dualpath.yaml", "kind/manifests/web.yaml")
FILES = ("clab/pe1.yaml", "clab/pe2.yaml", "kind/edge.yaml")
"""Of nodes without Kubernetes. All but Node is also a kind of the API."""


@pytest.fixture(scope="module")
def cluster(server: ApiServer) -> ApiServer:
    server.define(*sorted(OURS.glob("*.yaml")))
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dualpath-system"}})
    return server


def apply(server: ApiServer, found: list[Manifest]) -> None:
    server.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "-f", "-"),
        given=yaml.safe_dump_all(found),
    )


@pytest.mark.parametrize("name", [*OBJECTS, *FILES])
def test_api_server_takes_every_object_strictly(cluster: ApiServer, name: str) -> None:
    apply(cluster, [o for o in objects((LABS / name).read_text()) if o["kind"] != "Node"])


@pytest.mark.parametrize("name", OBJECTS)
def test_api_server_refuses_a_field_that_does_not_exist(cluster: ApiServer, name: str) -> None:
    found = objects((LABS / name).read_text())
    found[0]["spec"]["wrong"] = 1
    with pytest.raises(KubectlError, match="wrong"):
        apply(cluster, found)
