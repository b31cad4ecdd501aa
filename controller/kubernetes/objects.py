"""The API server's collections that a node reads, and the names of objects. Pure.

Each kind exists in two groups: OpenPERouter's, and `dualpath.io` with the fields that only Dualpath
has, for clusters that keep OpenPERouter's definitions, whose schemas drop such fields. Of two
objects with the same kind, namespace and name, the one in `dualpath.io` is in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from controller.intent.schema import GROUP, KINDS, OUR_GROUP

Object = dict[str, Any]

Key = tuple[str, str]
"""The namespace and the name of an object; "" is the namespace of what has none."""

L3VPN = "L3VPN"
NODE_STATUS = "RouterNodeConfigurationStatus"


class Collection(NamedTuple):
    """All objects of one kind in one group."""

    group: str  # with the version
    kind: str

    def path(self, namespace: str = "") -> str:
        """Return the path of the objects of all namespaces, or of one."""
        within = f"/namespaces/{namespace}" if namespace else ""
        plural = f"{self.kind.lower()}{'es' if self.kind.endswith('s') else 's'}"
        return f"/apis/{self.group}{within}/{plural}"

    def at(self, key: Key) -> str:
        """Return the path of an object."""
        return f"{self.path(key[0])}/{key[1]}"


class Target(NamedTuple):
    """One object."""

    collection: Collection
    key: Key


THEIRS = tuple(Collection(GROUP, kind) for kind in KINDS)
OURS = tuple(Collection(OUR_GROUP, kind) for kind in KINDS)
UNSUPPORTED = (Collection(GROUP, L3VPN),)
"""Followed so that their objects are refused by name."""
NODE_STATUSES = Collection(GROUP, NODE_STATUS)

Objects = Mapping[Collection, Mapping[Key, Object]]
"""The objects of each collection."""


def owned_by(node: Object) -> list[Object]:
    """Return the owner references of an object that is deleted together with its Node."""
    metadata = node["metadata"]
    uid = metadata.get("uid") or ""
    return [{"apiVersion": "v1", "kind": "Node", "name": metadata["name"], "uid": uid}]


def effective(objects: Objects) -> dict[str, dict[Key, Object]]:
    """Return the objects in force, by kind: ours replaces OpenPERouter's of the same name."""
    found: dict[str, dict[Key, Object]] = {}
    for collection in (*THEIRS, *UNSUPPORTED, *OURS):
        found.setdefault(collection.kind, {}).update(objects.get(collection, {}))
    return found


def replaced(objects: Objects) -> set[Target]:
    """Return the objects of OpenPERouter's group that one of ours replaces."""
    return {
        Target(theirs, key)
        for theirs, ours in zip(THEIRS, OURS, strict=True)
        for key in objects.get(theirs, {}).keys() & objects.get(ours, {}).keys()
    }
