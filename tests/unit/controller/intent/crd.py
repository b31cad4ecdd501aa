"""OpenPERouter's CRD schemas: their fields, and what they accept. A small API server.

`verdict` says whether a spec would be admitted: types, bounds, patterns, lists by key, and the CEL
rules, each of which is written in Python in crd_cel. It covers neither
rules about changes of an object nor unknown fields, which the API server drops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.unit.controller.intent.crd_cel import RULES

Schema = Mapping[str, Any]
Place = tuple[str | int, ...]

VECTORS = Path(__file__).parents[3] / "vectors" / "openperouter"
TRANSITION = "oldSelf"  # in a rule about the change of an object
BITS = {"int32": 31, "int64": 63}


def _load() -> dict[str, Schema]:
    found = {}
    for path in sorted((VECTORS / "crds").glob("*.yaml")):
        spec = yaml.safe_load(path.read_text())["spec"]
        (version,) = spec["versions"]
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        found[spec["names"]["kind"]] = properties["spec"]
    return found


SCHEMAS = _load()


def fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield every field below a schema by its path: `L2VNI.gatewayIPs[]`."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from fields(inner, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from fields(schema["items"], f"{path}[]")


FIELDS = {path: schema for kind in SCHEMAS for path, schema in fields(SCHEMAS[kind], kind)}
CHOICES = [f"{path}={value}" for path, s in FIELDS.items() for value in s.get("enum", ())]
"""Every value of an enumeration, as if it were a field."""


def places(value: Any, path: str, place: Place = ()) -> Iterator[tuple[str, Place]]:  # noqa: ANN401
    """Yield the path and the location of every part of a spec, and of every enum value."""
    if path in FIELDS:
        yield path, place
        if value in FIELDS[path].get("enum", ()):
            yield f"{path}={value}", place
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, f"{path}.{name}", (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, f"{path}[]", (*place, index))


def verdict(schema: Schema, value: Any) -> bool:  # noqa: ANN401 - whatever YAML gave
    """Return whether the schema accepts a value and everything in it."""
    return _taken(schema, value) and _parts(schema, value) and not broken(schema, value)


def broken(schema: Schema, value: Any) -> list[str]:  # noqa: ANN401
    """Return the CEL rules of a schema, without those of its parts, that a value violates."""
    rules = [entry["rule"] for entry in schema.get("x-kubernetes-validations", ())]
    return [rule for rule in rules if TRANSITION not in rule and not RULES[rule](value)]


def _parts(schema: Schema, value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return all(verdict(known[k], v) for k, v in value.items() if k in known)
    if isinstance(value, list):
        return all(verdict(schema["items"], item) for item in value)
    return True


def _taken(schema: Schema, value: Any) -> bool:  # noqa: ANN401
    kind: str = schema["type"]
    if kind == "integer":
        return type(value) is int and _in_range(schema, value) and _chosen(schema, value)
    if kind == "string":
        return type(value) is str and _is_text(schema, value) and _chosen(schema, value)
    if kind == "array":
        return type(value) is list and _is_list(schema, value)
    assert kind == "object"
    return type(value) is dict and set(schema.get("required", ())) <= value.keys()


def _chosen(schema: Schema, value: object) -> bool:
    return "enum" not in schema or value in schema["enum"]


def _in_range(schema: Schema, value: int) -> bool:
    limit = 1 << BITS[schema["format"]]
    low: int = schema.get("minimum", -limit)
    high: int = schema.get("maximum", limit - 1)
    return low <= value <= high


def _is_text(schema: Schema, value: str) -> bool:
    pattern = schema.get("pattern", "").replace(r"\S", r"[^\t\n\f\r ]")  # RE2's, which is ASCII
    long_enough = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    return long_enough and re.search(pattern, value) is not None


def _is_list(schema: Schema, value: list[Any]) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return False
    keys = schema.get("x-kubernetes-list-map-keys", ())
    seen = [repr([item.get(k) for k in keys]) for item in value if isinstance(item, dict) and keys]
    return len(set(seen)) == len(seen)


def all_broken(schema: Schema, value: Any) -> set[str]:  # noqa: ANN401
    """Return the CEL rules that a value of the right types, or any part of it, violates."""
    found = set(broken(schema, value))
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name in schema.get("properties", {}):
            found |= all_broken(schema["properties"][name], inner)
    for inner in value if isinstance(value, list) else ():
        found |= all_broken(schema["items"], inner)
    return found


RULES_ASKED = {
    entry["rule"]
    for schema in (*SCHEMAS.values(), *FIELDS.values())
    for entry in schema.get("x-kubernetes-validations", ())
    if TRANSITION not in entry["rule"]
}
