"""Writes resources as manifests, to be stored and read by a later run. Pure.

A stored resource is complete: it contains the passwords from files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict

from controller.intent.documents import read
from controller.intent.loader import merge
from controller.intent.node import Node, NodeOverrides
from controller.intent.schema import GROUP, OUR_GROUP, Resources

Manifest = dict[str, object]

SPECIAL = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON writes unchanged, and YAML refuses or treats as a line end."""


def encode(resources: Resources) -> str:
    """Write the node and its valid resources, one document per line."""
    texts = (json.dumps(m, ensure_ascii=False) for m in _manifests(resources))
    return "".join(f"--- {SPECIAL.sub(_escaped, text)}\n" for text in texts)


def decode(text: str, source: str, overrides: NodeOverrides) -> Resources:
    """Read what `encode` wrote. Raises ManifestError."""
    return merge(read(text, source), overrides)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _manifests(resources: Resources) -> Iterator[Manifest]:
    yield _node(resources.node)
    for resource in resources.items:
        named = _metadata(resource.given_name, resource.namespace)
        yield _manifest(GROUP, resource.kind, named, resource.written)


def _node(node: Node) -> Manifest:
    spec = {
        "nodeIndex": node.index,
        "nodeName": node.name,
        "labels": dict(node.labels),
        "logLevel": node.log_level,
        "namespaces": {key: name for key, name in asdict(node.namespaces).items() if name},
    }
    return _manifest(OUR_GROUP, "Node", _metadata(node.name), spec)


def _metadata(name: str, namespace: str = "") -> Manifest:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


def _manifest(group: str, kind: str, metadata: Manifest, spec: object) -> Manifest:
    return {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}
