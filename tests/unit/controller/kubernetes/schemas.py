"""OpenAPI documents as an API server publishes them, of our definitions and of OpenPERouter's."""

from __future__ import annotations

from typing import Any

from controller.intent.schema import KINDS
from controller.kubernetes.crd import definition

Document = dict[str, Any]


def openapi(*groups: str, rows: bool = True, hash_: str = "1") -> dict[str, Document]:
    """Return the documents of these groups by path; without rows they are OpenPERouter's."""
    paths = {
        f"apis/{group}": {"serverRelativeURL": f"/openapi/v3/apis/{group}?hash={hash_}"}
        for group in groups
    }
    found: dict[str, Document] = {"/openapi/v3": {"paths": paths}}
    for group in groups:
        schemas = {f"io.{kind}": _schema(group, kind, rows=rows) for kind in KINDS}
        found[f"/openapi/v3/apis/{group}"] = {"components": {"schemas": schemas}}
    return found


def _schema(group: str, kind: str, *, rows: bool) -> Document:
    (version,) = definition(kind)["spec"]["versions"]
    schema: Document = version["schema"]["openAPIV3Schema"]
    name, number = group.split("/")
    gvk = [{"group": name, "version": number, "kind": kind}]
    status = schema["properties"]["status"] if rows else {"type": "object"}
    properties = {**schema["properties"], "status": status}
    return {"type": "object", "properties": properties, "x-kubernetes-group-version-kind": gvk}
