"""The CustomResourceDefinitions: current, structural, and a superset of OpenPERouter's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controller.intent.rules import Strict
from controller.intent.schema import KINDS
from controller.kubernetes import generate
from controller.kubernetes.cel import FORMATS, NODE_ONLY, RULES
from controller.kubernetes.crd import Schema, definition, rules, spec
from tests.unit.controller.intent.crd import FIELDS, fields

NODE = "controller.intent.node"  # of a file on the node; no kind of the API


def models() -> set[type[Strict]]:
    found: set[type[Strict]] = set()
    todo: list[type[Strict]] = [Strict]
    while todo:
        for model in todo.pop().__subclasses__():
            if model.__module__.startswith("controller.intent.") and model.__module__ != NODE:
                found.add(model)
                todo.append(model)
    return found


def written() -> set[tuple[str, str]]:
    """Return every rule by the model that has it, and its name."""
    return {
        (model.__name__, name)
        for model in models()
        for name in vars(model)
        if getattr(vars(model)[name], "_is_rule", False)
    }


def schemas(schema: Schema) -> Iterator[Schema]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from schemas(inner)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from schemas(schema[name])


def whole(kind: str) -> Schema:
    (version,) = definition(kind)["spec"]["versions"]
    found: Schema = version["schema"]["openAPIV3Schema"]
    return found


def test_generated_files_are_current() -> None:
    assert generate.stale(generate.files()) == []


def test_every_model_rule_is_in_cel_or_has_a_reason_why_not() -> None:
    assert {*RULES} | {*NODE_ONLY} == written()
    assert not {*RULES} & {*NODE_ONLY}


def test_model_has_its_inherited_rules() -> None:
    names = {model.__name__: model for model in models()}
    told = [cel.message for cel in rules(names["Neighbor"])]
    assert "keepaliveTimeSeconds exceeds holdTimeSeconds" in told
    assert len(told) == len(set(told))


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_structural(kind: str) -> None:
    for schema in schemas(whole(kind)):
        assert schema["type"] in ("object", "array", "string", "integer", "boolean")
        assert not schema.keys() & {"$ref", "anyOf", "allOf", "oneOf", "title", "nullable"}
        assert not isinstance(schema.get("default"), (list, dict))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_inside_a_list_has_a_default(kind: str) -> None:
    lists = [schema for schema in schemas(whole(kind)) if schema["type"] == "array"]
    assert [s for each in lists for s in schemas(each["items"]) if "default" in s] == []


@pytest.mark.parametrize("kind", KINDS)
def test_cel_cost_of_a_rule_is_bounded(kind: str) -> None:
    for schema in schemas(spec(kind)):
        match schema["type"]:
            case "array":
                assert schema["maxItems"] <= 1000
            case "string":
                assert "enum" in schema or "maxLength" in schema or "pattern" in schema
            case "object" if "additionalProperties" in schema:
                assert schema["maxProperties"] <= 64


def test_every_format_is_used_by_a_field() -> None:
    used = {repr(s.get("pattern", s.get("maxLength"))) for k in KINDS for s in schemas(spec(k))}
    for name, found in FORMATS.items():
        assert repr(found.schema.get("pattern", found.schema.get("maxLength"))) in used, name


NOT_OURS = ("Underlay.srv6.", "l3vpn.", "passwordSecret")
"""Fields below one that Dualpath rejects; passwordSecret is a string in both."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_openperouter_field_is_in_the_schema(kind: str) -> None:
    ours = dict(fields(spec(kind), kind))
    theirs = {path for path in FIELDS if path.startswith(f"{kind}.")}
    missing = {p for p in theirs - ours.keys() if not any(part in p for part in NOT_OURS)}
    assert missing == set()
    types = {p: (FIELDS[p]["type"], ours[p]["type"]) for p in theirs & ours.keys()}
    assert {p: t for p, t in types.items() if t[0] != t[1]} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_every_required_field_is_required_by_openperouter_or_listed(kind: str) -> None:
    ours = dict(fields(spec(kind), kind))
    more = {
        path: {*required} - {*FIELDS[path].get("required", ())}
        for path, schema in ours.items()
        if path in FIELDS and (required := schema.get("required"))
    }
    assert {path: names for path, names in more.items() if names} == MORE_REQUIRED.get(kind, {})


MORE_REQUIRED: dict[str, Any] = {  # the only supported choice of a union
    "Underlay": {
        "Underlay.interfaces[].cniDevice": {"rawConfig"},
        "Underlay.interfaces[].cniDevice.rawConfig": {"cniVersion", "name", "plugins"},
    },
    "L2VNI": {"L2VNI.routingDomain": {"l3vni"}},
}
