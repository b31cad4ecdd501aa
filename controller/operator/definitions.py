"""Compares the API server's CustomResourceDefinitions with this release's. Pure.

Definitions of an earlier release, or OpenPERouter's, lack fields. The API server drops such fields
from every object and warns only kubectl. So the operator compares at its start and logs
differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.kubernetes.crd import definition
from controller.kubernetes.objects import Collection, Object

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMED = 5
IGNORED = {
    "properties",
    "items",
    "metadata",
    "description",
}  # compared below, or documentation


def name_of(collection: Collection) -> str:
    group, _, plural = collection.path().removeprefix("/apis/").split("/")
    return f"{plural}.{group}"


def differences(collection: Collection, served: Object) -> list[str]:
    """Return the fields of our definition that the API server lacks or defines differently."""
    wanted = collection.group.partition("/")[2]
    made = definition(collection.kind, collection.group)
    ours, theirs = (_version(found, wanted) for found in (made, served))
    if theirs is None:
        return [f"version {wanted} is not served"]
    assert ours is not None
    found = list(_fields("", _schema(ours), _schema(theirs)))
    if "status" not in (theirs.get("subresources") or {}):
        found.append("there is no status subresource")
    return found


def sentence(collection: Collection, found: list[str]) -> str:
    """Return one line about a different definition."""
    named = "; ".join(found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{name_of(collection)}: {named}{more}"


def _version(found: Object, wanted: str) -> Object | None:
    spec = found.get("spec") or {}
    versions = spec.get("versions")
    for version in versions if isinstance(versions, list) else ():
        if isinstance(version, dict) and version.get("name") == wanted and version.get("served"):
            return version
    return None


def _schema(version: Object) -> Mapping[str, Any]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    return schema if isinstance(schema, dict) else {}


def _fields(path: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """Yield different fields, outermost first."""
    for key in sorted({*ours, *theirs} - IGNORED):
        if isinstance(ours.get(key), dict) and isinstance(theirs.get(key), dict):
            yield from _fields(f"{path}.{key}", ours[key], theirs[key])
        elif ours.get(key) != theirs.get(key):
            yield f"{path.lstrip('.') or 'the whole'}: {_change(key, ours, theirs)}"
    inner, other = ours.get("properties") or {}, theirs.get("properties") or {}
    for name in inner:
        if name in ("apiVersion", "kind", "metadata"):
            continue
        if name not in other:
            yield f"{path}.{name}".lstrip(".") + ": is missing"
        else:
            yield from _fields(f"{path}.{name}", inner[name], other[name])
    for name in sorted(other.keys() - inner.keys()):
        yield f"{path}.{name}".lstrip(".") + ": is not ours"
    if "items" in ours and isinstance(theirs.get("items"), dict):
        yield from _fields(f"{path}[]", ours["items"], theirs["items"])


def _change(key: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    if isinstance(ours.get(key) or theirs.get(key), list):
        return f"{key.removeprefix('x-kubernetes-')} differ"
    return f"{key} is {theirs.get(key, 'missing')}, and ours {ours.get(key, 'is missing')}"
