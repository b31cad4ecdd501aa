"""Specs with a mistake or two, made from good ones by a seed. Pure.

Many values are ones that another example has in the same place, so that not nearly all of the
mutations are refused at the first look.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

from controller.intent.schema import KINDS
from controller.kubernetes.crd import Schema, spec

Yaml = dict[str, Any]
Place = tuple[str | int, ...]

NAMES = "a eth1 1a a.b a-b a_b A a/b a:b -a . .. é 0000:01:00.0"
ADDRESSES = """
    10.0.0.1 192.0.2.7 0.0.0.0 127.0.0.1 224.0.0.1 255.255.255.255 10.0.0.01 fd00::1 2001:db8::7
    :: ::1 ff02::1 fe80::1 fe80::1%eth1 ::ffff:1.2.3.4
"""
PREFIXES = """
    10.0.0.0/8 10.0.0.1/24 10.0.0.0/24 10.0.0.255/24 192.0.2.6/31 192.0.2.7/32 0.0.0.0/0 ::/0
    10.0.0.1/33 10.0.0.1/ 127.0.0.0/8 224.0.0.0/4 10.0.0.0/024 10.0.0.0/255.255.255.0 fd00::/64
    fd00::1/64 2001:db8::/32 fe80::/64 ::1/128 fd00::/129 FD00::/64 fe80::1%eth1/64
"""
OTHERS = """
    65000:1 1.2.3.4:5 70000:65536 4294967296:1 1:4294967296 a:b 1:2:3 49.0001.0000.0000.0000.00
    49.0001.0000.0000.0000.01 49.0001.0000.0000.000G.00
"""
ODD = ("", "a" * 15, "a" * 16, "a" * 81, "a" * 254, "a b", "a\t", "\x00", "10.0.0.1\n", "ip nht\n")
TEXTS = (*" ".join((NAMES, ADDRESSES, PREFIXES, OTHERS)).split(), *ODD)
NUMBERS = (-1, 0, 1, 2, 3, 255, 256, 4094, 4789, 65001, 65535, 65536, 1 << 24, 1 << 32, 1 << 63)
OTHER_TYPES: tuple[Any, ...] = ("text", 5, 1.5, True, [], {}, None, [None], {"a": "b"})

SCHEMAS: Mapping[str, Schema] = {kind: spec(kind) for kind in KINDS}


def mutations(good: Mapping[str, list[Yaml]], seed: int, count: int) -> Iterator[tuple[str, Yaml]]:
    """Yield the kind and the spec of each; the same seed yields the same."""
    chance = random.Random(seed)
    donors = {kind: _values(kind, specs) for kind, specs in good.items()}
    kinds = sorted(good)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        mutated = copy.deepcopy(chance.choice(good[kind]))
        for _ in range(chance.choice((1, 1, 2))):
            _mutate(chance, mutated, SCHEMAS[kind], donors[kind])
        while mutated in good[kind]:
            _mutate(chance, mutated, SCHEMAS[kind], donors[kind])
        yield kind, mutated


def _places(value: object, place: Place = ()) -> Iterator[Place]:
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in parts:
        yield (*place, key)
        yield from _places(inner, (*place, key))


def _values(kind: str, specs: list[Yaml]) -> Mapping[Place, list[Any]]:
    """Return the values that examples have, by place; every item of a list is in the same one."""
    found: dict[Place, list[Any]] = {}
    for example in specs:
        for place in _places(example):
            found.setdefault(_general(place), []).append(_at(example, place))
    return found


def _general(place: Place) -> Place:
    return tuple("[]" if isinstance(key, int) else key for key in place)


def _at(value: Any, place: Place) -> Any:  # noqa: ANN401
    for key in place:
        value = value[key]
    return value


def _mutate(
    chance: random.Random, mutated: Yaml, schema: Schema, donors: Mapping[Place, list[Any]]
) -> None:
    places = list(_places(mutated))
    if not places:
        return
    *parents, key = place = chance.choice(places)
    whole = _at(mutated, tuple(parents))
    action = chance.random()
    if action < 0.15:
        del whole[key]
    elif action < 0.25 and isinstance(whole, list):
        whole += [
            copy.deepcopy(chance.choice(whole)) for _ in range(chance.choice((1, 1, 1, 2, 300)))
        ]
    elif action < 0.28 and isinstance(whole, dict):
        whole["unknown"] = 1
    elif action < 0.6:
        whole[key] = copy.deepcopy(chance.choice(donors.get(_general(place), OTHER_TYPES)))
    else:
        whole[key] = chance.choice(_probes(_schema(schema, place)))


def _schema(schema: Schema, place: Place) -> Schema:
    """Return the schema of a place; of one that it does not know, that of anything."""
    for key in place:
        inner = (
            schema.get("items")
            if isinstance(key, int)
            else schema.get("properties", {}).get(key, schema.get("additionalProperties"))
        )
        if not isinstance(inner, dict):
            return {"type": "string"}
        schema = inner
    return schema


def _probes(schema: Schema) -> tuple[Any, ...]:
    """Return values at and beyond the bounds of a field, and of types that it does not have."""
    if "enum" in schema:
        return (*schema["enum"], *schema["enum"], "Other", *OTHER_TYPES[:3])
    match schema["type"]:
        case "integer":
            low, high = schema.get("minimum", -(1 << 63)), schema.get("maximum", (1 << 63) - 1)
            return (low, high, low - 1, high + 1, *NUMBERS, *OTHER_TYPES)
        case "boolean":
            return (True, False, *OTHER_TYPES)
        case "string":
            return (*TEXTS, *OTHER_TYPES[1:])
        case _:
            return OTHER_TYPES
