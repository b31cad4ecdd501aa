"""Dualpath accepts and rejects what OpenPERouter's schemas accept and reject.

The differences are listed in crd_differences, and shown in docs/MANIFESTS.md.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.intent.aliases import modernise
from controller.intent.documents import read
from controller.intent.loader import merge
from controller.intent.passwords import PasswordReader
from controller.intent.rules import Complaints
from controller.intent.schema import GROUP, InvalidSpec, Resources, parse
from tests.unit.controller.intent.build import Yaml
from tests.unit.controller.intent.crd import (
    CHOICES,
    FIELDS,
    RULES_ASKED,
    SCHEMAS,
    Place,
    all_broken,
    places,
    verdict,
)
from tests.unit.controller.intent.crd_breaking import BREAKING
from tests.unit.controller.intent.crd_cel import RULES
from tests.unit.controller.intent.crd_differences import DIFFERENT, REFUSED
from tests.unit.controller.intent.crd_examples import ACCEPTED, NICS, NOT_ACCEPTED

TEXTS = ["", "a", "a" * 15, "a" * 16, "a" * 80, "a" * 81, "a" * 128, "a" * 129, "1a", "a.b"]
TEXTS += ["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.1", "fd00::1", "fd00::/64", "fe80::/64"]
TEXTS += ["127.0.0.1", "127.0.0.0/8", "224.0.0.1", "fe80::1", "fe80::1%eth1", "10.0.0.1/33"]
TEXTS += ["49.0001.0000.0000.0000.01", "a-b", "a_b", "a b", "a/b", "a:b", "-a", "é", "..", "a\t"]


LEAST: Yaml = {"asn": 65001, "interfaces": NICS, "neighbors": [{"asn": 1, "interface": "eth1"}]}
UNBREAKABLE = "!has(self.ebgpMultiHop) || self.type == 'ebgpMultiHop'"  # there is no other type


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> PasswordReader:
    directory = tmp_path_factory.mktemp("secrets")
    (directory / "fabric").touch(mode=0o600)
    (directory / "fabric").write_text("hunter2\n")
    return PasswordReader(directory)


def ours(kind: str, spec: Yaml, secrets: PasswordReader) -> Resources:
    manifest = {"apiVersion": GROUP, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    return merge(read(json.dumps(manifest), "x.json"), passwords=secrets)


def is_taken(kind: str, spec: Yaml, secrets: PasswordReader) -> bool:
    """Return whether Dualpath accepts a spec by itself, as parsed from YAML."""
    complaints = Complaints()
    modern = modernise(kind, secrets.resolve(spec, Path(), complaints), complaints)
    try:
        parse(kind, modern)
    except InvalidSpec:
        return False
    return not complaints.found


def examples(table: Any) -> list[Any]:  # noqa: ANN401
    return [
        pytest.param(kind, spec, id=f"{kind}-{at}")
        for kind, specs in table.items()
        for at, spec in enumerate(specs)
    ]


def used(kind: str, spec: Yaml) -> set[str]:
    return {path for path, _ in places(spec, kind)}


def is_refused(path: str) -> bool:
    return any(path == r or path.startswith((f"{r}.", f"{r}[", f"{r}=")) for r in REFUSED)


def test_every_field_and_enum_value_is_in_an_example_or_rejected() -> None:
    used_in_examples = {
        path for kind, specs in ACCEPTED.items() for spec in specs for path in used(kind, spec)
    }
    everything = {*FIELDS, *CHOICES}
    assert {path for path in everything if not is_refused(path)} - used_in_examples == set()
    assert {path for path in used_in_examples if is_refused(path)} == set()
    assert {*REFUSED} <= everything


@pytest.mark.parametrize(("kind", "spec"), examples(ACCEPTED))
def test_examples_valid_for_the_crd_are_accepted(
    kind: str, spec: Yaml, secrets: PasswordReader
) -> None:
    assert verdict(SCHEMAS[kind], spec)
    assert [
        str(v) for status in ours(kind, spec, secrets).rejected for v in status.violations
    ] == []


@pytest.mark.parametrize(("kind", "spec"), examples(NOT_ACCEPTED))
def test_unsupported_field_is_rejected_by_name(
    kind: str, spec: Yaml, secrets: PasswordReader
) -> None:
    assert verdict(SCHEMAS[kind], spec)
    (status,) = ours(kind, spec, secrets).rejected
    named = [path.rpartition(".")[2].partition("=")[0] for path in used(kind, spec) & {*REFUSED}]
    assert named
    assert any(v.field.endswith(name) for v in status.violations for name in named)
    assert all("support" in v.message for v in status.violations)


def test_every_unsupported_field_is_in_an_example() -> None:
    found = {p for kind, specs in NOT_ACCEPTED.items() for spec in specs for p in used(kind, spec)}
    assert {*REFUSED} <= found
    assert {path for path in {*FIELDS, *CHOICES} if is_refused(path)} <= found


def probes(path: str) -> Iterator[object]:
    """Yield values at and beyond the bounds of a field, and of wrong types."""
    schema = FIELDS[path]
    if schema["type"] == "integer":
        low, high = schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1)
        yield from (low, high, low - 1, high + 1, -1, 0, 1, 65535, 65536)
    if schema["type"] == "string":
        yield from (["Other"] if "enum" in schema else TEXTS)
    yield from ("text", 5, 1.5, True, [], {})


def changed(spec: Yaml, place: Place, value: object) -> Yaml:
    """Return the spec with the value at a location replaced."""
    copied = copy.deepcopy(spec)
    part: Any = copied
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return copied


def where(path: str) -> tuple[str, Yaml, Place]:
    """Return the first example that has a field, and the field's location."""
    kind = path.partition(".")[0]
    for spec in ACCEPTED[kind]:
        for found, place in places(spec, kind):
            if found == path:
                return kind, spec, place
    raise AssertionError(path)


def lean(spec: Yaml, place: Place) -> tuple[Yaml, Place]:
    """Return the smallest spec for a probe: thousands are parsed and judged."""
    field = str(place[0])
    needed = {**LEAST, field: spec[field]} if spec.keys() >= LEAST.keys() else spec
    if field != "nodeSelector":
        needed = {name: value for name, value in needed.items() if name != "nodeSelector"}
    if field == "neighbors" and len(place) > 1:
        return {**needed, "neighbors": [spec["neighbors"][place[1]]]}, ("neighbors", 0, *place[2:])
    return needed, place


PROBED = [path for path in FIELDS if not is_refused(path)]


@pytest.mark.parametrize("path", PROBED)
def test_field_accepts_what_the_crd_accepts_unless_the_difference_is_listed(
    path: str, secrets: PasswordReader
) -> None:
    kind, whole, there = where(path)
    spec, place = lean(whole, there)
    differing = []
    for value in probes(path):
        probe = changed(spec, place, value)
        theirs = verdict(SCHEMAS[kind], probe)
        if theirs is not is_taken(kind, probe, secrets):
            differing.append((value, "used_in_examples there" if theirs else "refused there"))
    assert bool(differing) is (path.partition(".")[2] in DIFFERENT), differing


def test_every_cross_field_rule_has_an_example_that_violates_it_alone() -> None:
    assert {*RULES} == RULES_ASKED
    alone = [all_broken(SCHEMAS[kind], spec) for kind, spec in BREAKING]
    broken = {rule for rules in alone if len(rules) == 1 for rule in rules}
    assert RULES_ASKED - broken == {UNBREAKABLE}


@pytest.mark.parametrize("at", range(len(BREAKING)))
def test_example_that_violates_a_crd_rule_is_rejected(at: int, secrets: PasswordReader) -> None:
    kind, spec = BREAKING[at]
    assert all_broken(SCHEMAS[kind], spec)
    assert ours(kind, spec, secrets).rejected
