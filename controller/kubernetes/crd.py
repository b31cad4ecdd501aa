"""CustomResourceDefinitions of the resource models: structural OpenAPI schemas and CEL rules. Pure.

A structural schema (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/) is less
than JSON Schema: no $ref, no null type, a type at every level. The models' JSON schemas are turned
into that; what a type of field requires comes from `cel.FORMATS`, what a model requires as a whole
from `cel.RULES`. Every list has a maximal length, because the API server estimates the cost of a
rule from it and refuses a definition that could cost too much.

A list or a part that is empty by default has no default here: the API server would write it into
every object, and applying the same manifest again would show a difference. For that reason
nothing inside a list has a default: `kubectl apply` compares lists as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controller.intent.rules import Strict
from controller.intent.schema import GROUP, KINDS
from controller.intent.sessions import SessionOptions
from controller.kubernetes import rollouts
from controller.kubernetes.cel import FORMATS, RULES, Cel

Schema = dict[str, Any]

NAMES: Mapping[str, tuple[str, ...]] = {
    "Underlay": ("ul",),
    "L3VNI": ("l3",),
    "L2VNI": ("l2",),
    "L3Passthrough": ("l3p",),
    "RawFRRConfig": ("rawfrr",),
}
"""The short names of each kind, for kubectl."""

COLUMNS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "Underlay": (("ASN", "integer", ".spec.asn"),),
    "L3VNI": (("VRF", "string", ".spec.vrf"), ("VNI", "integer", ".spec.vni")),
    "L2VNI": (
        ("VNI", "integer", ".spec.vni"),
        ("Domain", "string", ".spec.routingDomain.l3vni.name"),
    ),
    "L3Passthrough": (("ASN", "integer", ".spec.hostSession.asn"),),
    "RawFRRConfig": (("Priority", "integer", ".spec.priority"),),
}
_READY = '.status.conditions[?(@.type=="Ready")]'
_MORE_COLUMNS = (
    ("Ready", "string", f"{_READY}.status"),
    ("Reason", "string", f"{_READY}.reason"),
    ("Age", "date", ".metadata.creationTimestamp"),
)

_ROLLOUT_COLUMNS = (
    ("Phase", "string", ".status.phase"),
    ("Updated", "string", ".status.progress"),
    ("Unavailable", "integer", ".status.unavailableNodes"),
    ("Waiting", "integer", ".status.waitingNodes"),
    ("Degraded", "string", ".status.degradedNodes"),
    ("Age", "date", ".metadata.creationTimestamp"),
)

MAX_ITEMS: Mapping[str, int] = {"interfaces": 32, "matchExpressions": 64, "values": 256}
MAX_LENGTH: Mapping[str, int] = {
    "key": 316,
    "matchLabels": 63,
    "name": 253,
    "rawConfig": 262144,
    "values": 63,
}
MAP_KEYS: Mapping[str, str] = {"addressFamilies": "type"}
"""Lists whose items have a key of their own, so that server-side apply merges them by it."""


def definition(kind: str, where: str = GROUP) -> Schema:
    """Return the CustomResourceDefinition of a kind in a group.

    Only one group can have the short names.
    """
    group, version = where.split("/")
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {
                "categories": ["dualpath"],
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                **({"shortNames": list(NAMES[kind])} if where == GROUP else {}),
                "singular": kind.lower(),
            },
            "scope": "Namespaced",
            "versions": [_version((*COLUMNS[kind], *_MORE_COLUMNS), spec(kind), status(), version)],
        },
    }


def rollout_definition() -> Schema:
    """Return the CustomResourceDefinition of Rollouts: there is one, of the whole cluster."""
    group, version = rollouts.ROLLOUTS.group.split("/")
    kind = rollouts.ROLLOUTS.kind
    made = _version(_ROLLOUT_COLUMNS, _model(rollouts.RolloutSpec), rollout_status(), version)
    schema = made["schema"]["openAPIV3Schema"]
    del schema["required"]  # every field has a default
    schema["properties"]["spec"]["default"] = {}
    schema["x-kubernetes-validations"] = [
        {
            "message": f"the only Rollout is called {rollouts.NAME}",
            "rule": f"self.metadata.name == '{rollouts.NAME}'",
        }
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"rollouts.{group}"},
        "spec": {
            "group": group,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": "rollouts",
                "singular": "rollout",
            },
            "scope": "Cluster",
            "versions": [made],
        },
    }


def _version(
    columns: Iterable[tuple[str, str, str]], spec: Schema, status: Schema, version: str
) -> Schema:
    return {
        "name": version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": type_, "jsonPath": path} for name, type_, path in columns
        ],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": spec,
                    "status": status,
                },
            }
        },
    }


def spec(kind: str) -> Schema:
    """Return the structural schema of a kind's spec."""
    return _model(KINDS[kind])


def _model(model: type[Strict]) -> Schema:
    schema = model.model_json_schema(by_alias=True)
    parts = schema.pop("$defs", {})
    models = {found.__name__: found for found in _parts(Strict)}
    return _Converter(parts, models).part(schema, model)


def rules(model: type[Strict]) -> Iterator[Cel]:
    """Yield the CEL rules of a model, with those that it inherits."""
    for base in reversed(model.__mro__):
        for name in vars(base):
            yield from RULES.get((base.__name__, name), ())
    if issubclass(model, SessionOptions):
        yield Cel(
            "!has(self.password) || !has(self.passwordSecret)",
            "password and passwordSecret are mutually exclusive",
        )
    yield from (Cel(f"!has(self.{n})", f"`{n}` {why}") for n, why in model.refused.items())


def _parts(model: type[Strict]) -> Iterator[type[Strict]]:
    for found in model.__subclasses__():
        yield found
        yield from _parts(found)


class _Converter:
    """Turns the JSON schema of one model into a structural schema."""

    def __init__(self, parts: Mapping[str, Schema], models: Mapping[str, type[Strict]]) -> None:
        self._parts = parts
        self._models = models

    def part(self, schema: Schema, model: type[Strict]) -> Schema:
        """Return the schema of a model: its fields, and its rules."""
        properties = {name: self._field(name, s) for name, s in schema["properties"].items()}
        properties |= {name: dict(_REFUSED.get(name, _UNCHECKED)) for name in model.refused}
        if issubclass(model, SessionOptions):
            properties["passwordSecret"] = {"type": "string", "minLength": 1, "maxLength": 253}
        made: Schema = {"type": "object", "properties": properties}
        if required := schema.get("required"):
            made["required"] = required
        if validations := _validations(rules(model)):
            made["x-kubernetes-validations"] = validations
        return made

    def _field(self, name: str, schema: Schema) -> Schema:
        made = self._typed(name, schema)
        default = schema.get("default")
        if default is not None and not isinstance(default, (list, dict)) and default != "":
            made["default"] = default
        return made

    def _typed(self, name: str, schema: Schema) -> Schema:
        if "$ref" in schema:
            model = schema["$ref"].rpartition("/")[2]
            return self.part(self._parts[model], self._models[model])
        if "anyOf" in schema:
            (only,) = (s for s in schema["anyOf"] if s.get("type") != "null")
            return self._typed(name, only)
        if "allOf" in schema:
            (only,) = schema["allOf"]
            return self._typed(name, only)
        if schema.get("format") in FORMATS:
            return _formatted(schema["format"])
        match schema["type"]:
            case "array":
                return self._list(name, schema)
            case "object":
                values = self._typed(name, schema["additionalProperties"])
                return {"type": "object", "maxProperties": 64, "additionalProperties": values}
            case _:
                return _scalar(name, schema)

    def _list(self, name: str, schema: Schema) -> Schema:
        items = _without_defaults(self._typed(name, schema["items"]))
        made: Schema = {"type": "array", "items": items}
        if "minItems" in schema:
            made["minItems"] = schema["minItems"]
        made["maxItems"] = schema.get("maxItems", MAX_ITEMS.get(name))
        assert made["maxItems"] is not None, f"{name}: how long may this list be?"
        if key := MAP_KEYS.get(name):
            made |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
        else:
            made["x-kubernetes-list-type"] = "atomic"
        return made


def _without_defaults(schema: Schema) -> Schema:
    made = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in made:
        made["properties"] = {n: _without_defaults(s) for n, s in made["properties"].items()}
    return made


_UNCHECKED: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""A field that the API has and we refuse: it must arrive, or the refusal has nothing to see."""
_REFUSED: Mapping[str, Schema] = {
    "echoMode": {"type": "boolean"},
    "echoInterval": {"type": "integer", "format": "int32"},
}

_KEPT = ("enum", "minimum", "maximum", "minLength", "maxLength", "pattern")


def _scalar(name: str, schema: Schema) -> Schema:
    if "const" in schema:
        schema = schema | {"enum": [schema["const"]]}
    made: Schema = {"type": schema["type"]}
    if made["type"] == "integer":
        made["format"] = "int64"
    made |= {key: schema[key] for key in _KEPT if key in schema}
    if made["type"] == "string" and not made.keys() & {"enum", "maxLength"}:
        made["maxLength"] = MAX_LENGTH[name]
    return made


def _formatted(name: str) -> Schema:
    found = FORMATS[name]
    made: Schema = dict(found.schema)
    if validations := _validations(iter(found.rules)):
        made["x-kubernetes-validations"] = validations
    return made


def _validations(found: Iterator[Cel]) -> list[Schema]:
    return [{"message": cel.message, "rule": cel.rule} for cel in found]


def status() -> Schema:
    """Return the schema of every kind's status.

    `conditions` are of the resource over all nodes; `nodes` has a row for each node that the
    resource selects, written by that node alone.
    """
    text = {"type": "string", "maxLength": 1024}
    node = {
        "type": "object",
        "required": ["name", "ready"],
        "properties": {
            "name": {"type": "string", "maxLength": 253},
            "ready": {"type": "boolean"},
            "reason": text,
            "message": {"type": "string", "maxLength": 4096},
            "observedGeneration": _COUNT,
            "lastTransitionTime": {"type": "string", "format": "date-time"},
        },
    }
    return {
        "type": "object",
        "properties": {
            "observedGeneration": _COUNT,
            "conditions": _conditions(),
            "nodes": _map_of(node, "name", 5000),
        },
    }


def rollout_status() -> Schema:
    """Return the schema of a Rollout's status: the operator's, and a row of each node."""
    node = {
        "type": "object",
        "required": ["name", "revision", "ready"],
        "properties": {
            "name": {"type": "string", "maxLength": 253},
            "revision": {"type": "string", "maxLength": 64},
            "ready": {"type": "boolean"},
            "reason": {"type": "string", "maxLength": 1024},
            "message": {"type": "string", "maxLength": 4096},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
        },
    }
    names = {
        "type": "array",
        "items": {"type": "string", "maxLength": 253},
        "maxItems": 100,
        "x-kubernetes-list-type": "atomic",
    }
    return {
        "type": "object",
        "properties": {
            "observedGeneration": _COUNT,
            "phase": {"type": "string", "maxLength": 32},
            "message": {"type": "string", "maxLength": 4096},
            "progress": {"type": "string", "maxLength": 32},
            "updatedNodes": _COUNT,
            "unavailableNodes": _COUNT,
            "waitingNodes": _COUNT,
            "degradedNodes": names,
            "renewTime": {"type": "string", "format": "date-time"},
            "conditions": _conditions(),
            "nodes": _map_of(node, "name", 5000),
        },
    }


_COUNT: Schema = {"type": "integer", "format": "int64", "minimum": 0}


def _conditions() -> Schema:
    condition = {
        "type": "object",
        "required": ["lastTransitionTime", "message", "reason", "status", "type"],
        "properties": {
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "message": {"type": "string", "maxLength": 32768},
            "observedGeneration": _COUNT,
            "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "type": {"type": "string", "maxLength": 316},
        },
    }
    return _map_of(condition, "type", 16)


def _map_of(items: Schema, key: str, most: int) -> Schema:
    return {
        "type": "array",
        "items": items,
        "maxItems": most,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
    }
