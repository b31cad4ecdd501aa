"""Which number each Node keeps or gets."""

from __future__ import annotations

from typing import Any

import pytest

from controller.intent.node import NODE_INDEX
from controller.operator import numbering


def node(name: str, index: object = None, made: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    annotations = {} if index is None else {NODE_INDEX: index}
    metadata = {"name": name, "annotations": annotations, "creationTimestamp": made}
    return {"metadata": {**metadata, "resourceVersion": "5"}}


def given(*nodes: dict[str, Any]) -> dict[str, int]:
    return {found["metadata"]["name"]: index for found, index in numbering.missing(nodes)}


def test_nodes_without_a_number_get_the_lowest_free_ones_the_oldest_first() -> None:
    young = node("a", made="2026-03-01T00:00:00Z")
    assert given(young, node("b"), node("c", "1")) == {"b": 0, "a": 2}


def test_a_number_that_is_there_stays_whatever_it_is() -> None:
    nodes = node("a", "7"), node("b", "0"), node("c", "4294967295"), node("d", "007")
    assert given(*nodes[:3]) == {}
    assert numbering.numbers(nodes[:3]) == {"a": 7, "b": 0, "c": 4294967295}


def test_the_number_of_a_node_that_is_gone_is_given_again() -> None:
    assert given(node("a", "0"), node("c", "2"), node("d")) == {"d": 1}


def test_of_two_nodes_with_one_number_the_older_keeps_it() -> None:
    old = node("z", "3", "2025-01-01T00:00:00Z")
    young = node("a", "3", "2026-01-01T00:00:00Z")
    assert given(young, old) == {"a": 0}
    assert numbering.numbers([young, old]) == {"z": 3}


def test_of_two_nodes_of_one_age_the_first_by_name_keeps_the_number() -> None:
    assert given(node("b", "3"), node("a", "3")) == {"b": 0}


@pytest.mark.parametrize("nonsense", ["x", "", "-1", "1.5", "٣", "4294967296", "9" * 40, 5, None])
def test_what_is_no_number_is_replaced(nonsense: object) -> None:
    assert given(node("a", nonsense), node("b", "0")) == {"a": 1}


def test_numbering_ends_once_every_node_has_a_number() -> None:
    nodes = [node(name, "1") for name in "abcde"]
    for _ in range(10):
        for found, index in list(numbering.missing(nodes))[:1]:
            found["metadata"]["annotations"][NODE_INDEX] = str(index)
    kept = [n["metadata"]["annotations"][NODE_INDEX] for n in nodes]
    assert sorted(kept) == ["0", "1", "2", "3", "4"]


def test_a_patch_is_refused_if_somebody_wrote_the_node_meanwhile() -> None:
    assert numbering.patch(node("a"), 4) == {
        "metadata": {"resourceVersion": "5", "annotations": {NODE_INDEX: "4"}}
    }


@pytest.mark.parametrize(
    ("index", "why"),
    [(None, "it had none"), ("x", "'x' is not a number"), ("3", "another Node has 3")],
)
def test_the_reason_says_what_was_wrong(index: object, why: str) -> None:
    assert numbering.why(node("a", index)) == why
