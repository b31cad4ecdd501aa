"""The objects by which the webhook is tested: every rule between resources refuses one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from controller.intent import validate
from controller.intent.accepted import Accepted, Unmet
from controller.intent.layout import judge
from controller.intent.node import NodeOverrides
from controller.intent.rules import Complaint
from controller.intent.schema import Resource
from controller.intent.validate import CHECKS, Check
from tests.unit.controller.intent.build import resources
from tests.unit.controller.operator.refusals import REFUSED

ADMITTED = {
    "_underlay_is_there": "the Underlay may come later: admitted, with a warning",
    "_vtep_is_there": "so may its tunnelEndpoint",
}

Complained = set[tuple[str, str]]


@pytest.fixture
def complained(monkeypatch: pytest.MonkeyPatch) -> Complained:
    """Return the rules that have complained about something other than a missing object."""
    found: Complained = set()

    def watched(kind: str, check: Check) -> Check:
        def run(accepted: Accepted, resource: Resource[Any]) -> Iterable[Complaint]:
            complaints = list(check(accepted, resource))
            if any(not isinstance(complaint, Unmet) for complaint in complaints):
                found.add((kind, check.__name__))
            return complaints

        return run

    watching = {spec: tuple(watched(spec.__name__, c) for c in cs) for spec, cs in CHECKS.items()}
    monkeypatch.setattr(validate, "CHECKS", watching)
    return found


def names() -> Iterator[tuple[str, str]]:
    yield from ((spec.__name__, check.__name__) for spec, cs in CHECKS.items() for check in cs)


def test_every_rule_between_resources_refuses_one_of_them(complained: Complained) -> None:
    for case in REFUSED.values():
        new = case.new["kind"], case.new["metadata"]["name"]
        others = [o for o in case.others if (o["kind"], o["metadata"]["name"]) != new]
        found = resources(*others, case.new, overrides=NodeOverrides(index=case.number))
        judge(found, found.node)
    assert {(k, n) for k, n in names() if n not in ADMITTED} - complained == set()
    assert not {name for _, name in complained} & ADMITTED.keys()
