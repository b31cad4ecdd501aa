"""RBAC as an API server decides it: do manifests allow a request of a fake API server's log?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

Rule = tuple[str, dict[str, Any]]
"""A rule, and the namespace that it is for; "" is all."""

REQUEST = re.compile(
    r"(?P<method>\w+) /(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<resource>[a-z0-9]+)(?:/(?P<name>[^/ ]+))?(?:/(?P<sub>status))?(?P<watch> watch)?"
)
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def rules(files: Iterable[Path], *, name: str) -> list[Rule]:
    """Return the rules of the roles whose name begins with `name`."""
    found = (item for file in files for item in yaml.safe_load_all(file.read_text()))
    return [
        (role["metadata"].get("namespace", ""), rule)
        for role in found
        if role and role["kind"] in ("Role", "ClusterRole")
        if role["metadata"]["name"].startswith(name)
        for rule in role["rules"]
    ]


def allowed(request: str, given: Sequence[Rule], *, by_name: Collection[str] = ()) -> bool:
    """Tell whether rules allow a request. `by_name`: resources that are listed by name only."""
    if request.startswith("GET /openapi/v3"):  # everybody may: system:discovery
        return True
    found = REQUEST.fullmatch(request)
    assert found, request
    many = "watch" if found["watch"] else "list"
    verbs = {"GET": "get" if found["name"] else many, **VERBS}
    resource = f"{found['resource']}/{found['sub']}" if found["sub"] else found["resource"]
    return any(
        (found["group"] or "") in rule["apiGroups"]
        and resource in rule["resources"]
        and verbs[found["method"]] in rule["verbs"]
        and namespace in ("", found["namespace"])
        and _names(rule, found["name"], by_name)
        for namespace, rule in given
    )


def _names(rule: dict[str, Any], name: str | None, by_name: Collection[str]) -> bool:
    if "resourceNames" not in rule:
        return True
    if name:
        return name in rule["resourceNames"]
    return set(rule["resources"]) <= set(by_name)
