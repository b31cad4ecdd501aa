"""The manifests of PEs as objects of one API: each for its node, with a name of its own. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from controller.intent.node import NODE_INDEX
from tests.lab import manifests
from tests.lab.plan import PePlan

Object = dict[str, Any]

HOSTNAME = "kubernetes.io/hostname"


def node(pe: PePlan) -> Object:
    """Return the Node of a PE, which has its number."""
    metadata = {
        "name": pe.name,
        "annotations": {NODE_INDEX: str(pe.index)},
        "labels": {HOSTNAME: pe.name},
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def node_file(pe: PePlan) -> str:
    """Return what a PE's file says: where it forwards. Its number is the API's."""
    document = yaml.safe_load(manifests.node(pe))
    del document["spec"]["nodeIndex"]
    return yaml.safe_dump(document)


def objects(pe: PePlan, text: str) -> Iterator[Object]:
    """Yield the resources of a manifest for one PE alone; `red` of pe1 is called red-pe1."""
    for found in yaml.safe_load_all(text):
        if found is None or found["kind"] == "Node":
            continue
        found["metadata"]["name"] += f"-{pe.name}"
        spec = found["spec"]
        spec["nodeSelector"] = {"matchLabels": {HOSTNAME: pe.name}}
        if "routingDomain" in spec:
            spec["routingDomain"]["l3vni"]["name"] += f"-{pe.name}"
        yield found
