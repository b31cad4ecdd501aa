"""What an AdmissionReview may be, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.kubernetes import STATIC
from controller.kubernetes.objects import OURS, THEIRS, Target
from controller.operator import admission
from controller.operator.admission import BadReview
from controller.operator.judgement import Verdict

KIND = {"group": "network.openperouter.io", "version": "v1alpha1", "kind": "L3VNI"}
RED: dict[str, Any] = {"metadata": {"name": "red", "namespace": "team"}, "spec": {"vni": 1}}


def review(**changes: Any) -> bytes:  # noqa: ANN401
    request = {"uid": "u", "kind": KIND, "operation": "CREATE", "object": RED, **changes}
    return json.dumps({"kind": "AdmissionReview", "request": request}).encode()


def test_a_creation_is_a_change_of_its_object() -> None:
    found = admission.decode(review())
    assert found.uid == "u"
    assert found.change is not None
    assert found.change.target == Target(THEIRS[1], ("team", "red"))
    assert found.change.after == RED
    assert not found.dry_run
    assert admission.decode(review(dryRun=True)).dry_run


def test_a_deletion_has_no_object_afterwards() -> None:
    data = review(operation="DELETE", object=None, name="red", namespace="team")
    found = admission.decode(data).change
    assert found is not None
    assert (found.target.key, found.after) == (("team", "red"), None)


def test_an_update_of_anything_but_the_spec_is_not_judged() -> None:
    labelled = {**RED, "metadata": {**RED["metadata"], "labels": {"a": "b"}}}
    data = review(operation="UPDATE", object=labelled, oldObject=RED)
    assert admission.decode(data).change is None
    edited = {**RED, "spec": {"vni": 2}}
    assert admission.decode(review(operation="UPDATE", object=edited, oldObject=RED)).change


def test_an_object_of_our_group_is_judged() -> None:
    found = admission.decode(review(kind={**KIND, "group": "dualpath.io"})).change
    assert found is not None
    assert found.target.collection == OURS[1]


def test_an_object_that_becomes_intent_by_losing_its_label_is_judged() -> None:
    shown = {**RED, "metadata": {**RED["metadata"], "labels": {STATIC: "n0"}}}
    data = review(operation="UPDATE", object=RED, oldObject=shown)
    assert admission.decode(data).change is not None


def test_an_object_that_is_being_deleted_is_not_judged() -> None:
    going = {**RED["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    edited = {"metadata": going, "spec": {"vni": 2}}
    data = review(operation="UPDATE", object=edited, oldObject=RED)
    assert admission.decode(data).change is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"request": 5}',
        b'{"request": {"uid": 5}}',
        review(kind=None),
        review(kind={**KIND, "kind": "Pod"}),
        review(kind={**KIND, "kind": ["L3VNI"]}),
        review(kind={**KIND, "group": "apps"}),
        review(operation="CONNECT"),
        review(operation=["CREATE"]),
        review(object=None),
        review(object={"metadata": {"name": "../x"}}),
        review(object={**RED, "spec": 5}),
        review(operation="UPDATE"),
        review(operation="DELETE", name="../x"),
        review(operation="DELETE"),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadReview):
        admission.decode(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(["kind", "operation", "object", "oldObject", "name", "dryRun"]), JSON)
def test_no_part_of_a_review_raises_anything_else(part: str, value: object) -> None:
    for operation in admission.OPERATIONS:
        try:
            admission.decode(review(**{"operation": operation, "oldObject": RED, part: value}))
        except BadReview:
            continue


def test_a_refusal_has_all_lines() -> None:
    found = admission.answer("u", Verdict(("a", "b"), ("w",)))["response"]
    assert (found["uid"], found["allowed"]) == ("u", False)
    assert found["status"]["message"] == "a\nb"
    assert "warnings" not in found


def test_an_admission_has_its_warnings_within_limits() -> None:
    found = admission.answer("u", Verdict(warnings=("w" * 999,) * 99))["response"]
    assert found["allowed"] is True
    assert found["warnings"] == ["w" * 256] * 10
