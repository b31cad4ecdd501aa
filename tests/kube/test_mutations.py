"""The mutations by themselves: the same again by the same seed, and of many sorts."""

from __future__ import annotations

from tests.kube.mutations import mutations
from tests.unit.controller.intent.crd_examples import ACCEPTED


def test_the_same_seed_gives_the_same_mutations() -> None:
    assert list(mutations(ACCEPTED, 1, 50)) == list(mutations(ACCEPTED, 1, 50))
    assert list(mutations(ACCEPTED, 1, 50)) != list(mutations(ACCEPTED, 2, 50))


def test_examples_stay_as_they_are_and_no_mutation_is_one() -> None:
    before = repr(ACCEPTED)
    found = list(mutations(ACCEPTED, 3, 500))
    assert repr(ACCEPTED) == before
    assert {kind for kind, _ in found} == {*ACCEPTED}
    assert [spec for kind, spec in found if spec in ACCEPTED[kind]] == []
