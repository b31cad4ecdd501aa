"""One condition out of the rows of many nodes."""

from __future__ import annotations

from typing import Any

import pytest

from controller.kubernetes.crd import status as schema
from controller.kubernetes.objects import THEIRS, Target
from controller.kubernetes.statics import NODE
from controller.operator import conditions
from controller.operator.conditions import Condition

RED = Target(THEIRS[1], ("team", "red"))


def row(name: str, ready: bool = True, reason: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    reason = reason or ("ConfigurationSuccessful" if ready else "ValidationFailed")
    return {"name": name, "ready": ready, "reason": reason, "observedGeneration": 2, **more}


def item(*rows: dict[str, Any], **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "metadata": {"name": "red", "namespace": "team", "generation": 2},
        "spec": spec,
        "status": {"nodes": list(rows)},
    }


def of(*rows: dict[str, Any], nodes: str = "a b") -> Condition:
    return conditions.ready(item(*rows), set(nodes.split()))


def test_an_object_is_ready_when_every_selected_node_says_so() -> None:
    found = of(row("a"), row("b"))
    assert found == Condition("True", "ConfigurationSuccessful", "in force on 2 nodes", 2)


def test_a_node_without_a_row_is_waited_for_and_named() -> None:
    found = of(row("a"), nodes="a b c")
    assert found == Condition("False", "Progressing", "waiting for b, c", 2)


def test_a_row_of_an_earlier_version_says_nothing_about_this_one() -> None:
    failed = row("b", False, message="VNI 5 is taken") | {"observedGeneration": 1}
    assert of(row("a"), failed) == Condition("False", "Progressing", "waiting for b", 2)


def test_a_failure_names_the_nodes_and_gives_their_message_once() -> None:
    rows = [row(n, False, message="VNI 5 is taken") for n in "bcdef"]
    found = of(row("a"), *rows, nodes="a b c d e f")
    assert (found.status, found.reason) == ("False", "ValidationFailed")
    assert found.message == "5 of 6 nodes: b, c, d and 2 more: VNI 5 is taken"


def test_the_reason_is_the_most_telling_of_several() -> None:
    waits = row("a", False, "NotInForce", message="x")
    found = of(waits, row("b", False, "UnderlayFailed", message="y"))
    assert found.reason == "UnderlayFailed"
    assert found.message == "2 of 2 nodes: b: y; a: x"


def test_a_reason_that_is_not_in_the_list_does_not_reach_it() -> None:
    assert of(row("a", False, "SomethingNew"), row("b")).reason == "NodeFailed"


def test_a_failed_node_and_one_that_is_waited_for_are_both_named() -> None:
    found = of(row("a", False, message="no"))
    assert found.message == "1 of 2 nodes: a: no; waiting for b"


def test_an_object_for_no_node_is_neither_ready_nor_failed() -> None:
    found = of(row("gone"), nodes="")
    assert (found.status, found.reason) == ("Unknown", "NoMatchingNode")


def test_a_row_of_a_node_that_is_gone_does_not_count_and_is_removed() -> None:
    found = item(row("a"), row("gone", False))
    assert conditions.ready(found, {"a"}).status == "True"
    assert conditions.leftover(found, {"a"}) == ["gone"]


def test_a_message_fits_whatever_nodes_say() -> None:
    rows = [row(f"n{i}", False, message=f"{i}" * 5000) for i in range(9)]
    found = of(*rows, nodes=" ".join(f"n{i}" for i in range(9)))
    assert (
        len(found.message)
        <= schema()["properties"]["conditions"]["items"]["properties"]["message"]["maxLength"]
    )


def test_a_selector_is_compared_with_the_labels_that_the_node_compares() -> None:
    nodes: list[dict[str, Any]] = [
        {"metadata": {"name": "a", "labels": {"rack": "1"}}},
        {"metadata": {"name": "b", "labels": None}},
    ]
    rack = {"matchLabels": {"rack": "1"}}
    assert conditions.selected(item(nodeSelector=rack), nodes) == {"a"}
    host = {"matchLabels": {"kubernetes.io/hostname": "b"}}
    assert conditions.selected(item(nodeSelector=host), nodes) == {"b"}
    assert conditions.selected(item(), nodes) == {"a", "b"}
    assert conditions.selected(item(nodeSelector={"x": 5}), nodes) == {"a", "b"}


def test_an_object_that_shows_a_file_is_of_the_node_with_that_file() -> None:
    nodes: list[dict[str, Any]] = [{"metadata": {"name": name}} for name in "ab"]
    shown = item()
    shown["metadata"]["annotations"] = {NODE: "b"}
    assert conditions.selected(shown, nodes) == {"b"}


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"nodes": "x", "conditions": 5},
        {"nodes": [5, {}, {"name": 7}], "conditions": [None, {"type": "Ready"}]},
        {"nodes": [{"name": "a", "observedGeneration": "2"}], "conditions": [{"type": 5}]},
    ],
)
def test_nonsense_in_a_status_is_as_if_it_were_absent(status: Any) -> None:  # noqa: ANN401
    found = item() | {"status": status}
    assert conditions.ready(found, {"a"}).reason == "Progressing"
    condition, since = conditions.condition_of(found)
    assert condition in (None, Condition("", "", "", 0))
    assert since == ""


def test_what_is_applied_is_read_again_as_it_was() -> None:
    wanted = Condition("False", "Progressing", "waiting for b", 2)
    told = conditions.body(RED, wanted, "2026-01-01T00:00:00Z")
    assert told["metadata"] == {"name": "red", "namespace": "team"}
    assert conditions.condition_of(told) == (wanted, "2026-01-01T00:00:00Z")


def test_every_reason_is_in_the_list() -> None:
    assert len(set(conditions.REASONS)) == len(conditions.REASONS)
