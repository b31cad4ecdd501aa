"""AdmissionReview of admission.k8s.io/v1: requests to changes, verdicts to responses. Pure.

Anybody who reaches the port can send anything, so each field is checked before use.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from controller.kubernetes.client import ApiError, checked
from controller.kubernetes.objects import OURS, THEIRS, Collection, Key, Object, Target
from controller.kubernetes.reflector import key
from controller.kubernetes.statics import is_static
from controller.operator.judgement import Change, Verdict

OPERATIONS = ("CREATE", "UPDATE", "DELETE")
UNPROCESSABLE = 422
LONGEST_WARNING = 256  # characters; the API server shortens longer ones
MOST_WARNINGS = 10


class BadReview(Exception):
    """The request is not a valid AdmissionReview; the text says why."""


@dataclass(frozen=True, slots=True)
class Review:
    """One request of an API server."""

    uid: str
    change: Change | None  # None: nothing to validate
    dry_run: bool = False


def decode(data: bytes) -> Review:
    """Return the request in an AdmissionReview. Raises BadReview."""
    try:
        review = json.loads(data)
    except (ValueError, RecursionError):
        raise BadReview("not JSON") from None
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not isinstance(uid := request.get("uid"), str):
        raise BadReview("not an AdmissionReview with a request and its uid")
    return Review(uid, _change(request), request.get("dryRun") is True)


def _change(request: dict[str, Any]) -> Change | None:
    collection = _collection(request.get("kind"))
    operation = request.get("operation")
    if operation not in OPERATIONS:
        raise BadReview("the operation is neither CREATE, UPDATE nor DELETE")
    if operation == "DELETE":
        return Change(Target(collection, _key(request)), None)
    after = _object(request, "object")
    if operation == "UPDATE":
        before = _object(request, "oldObject")
        same = (before.get("spec") or {}) == (after.get("spec") or {})
        same = same and is_static(before) == is_static(after)
        if same or after["metadata"].get("deletionTimestamp"):
            return None  # labels, finalizers: the spec does not change
    return Change(Target(collection, key(after)), after)


def _collection(kind: object) -> Collection:
    if isinstance(kind, dict):
        group, version, name = (kind.get(part) for part in ("group", "version", "kind"))
        found = Collection(f"{group}/{version}", str(name))
        if found in THEIRS or found in OURS:
            return found
    raise BadReview("the object is of no kind that is validated here")


def _key(request: dict[str, Any]) -> Key:
    named = {"metadata": {name: request.get(name) for name in ("namespace", "name")}}
    try:
        return key(checked(named, "request"))
    except ApiError as error:
        raise BadReview(str(error)) from None


def _object(request: dict[str, Any], part: str) -> Object:
    try:
        return checked(request.get(part), part)
    except ApiError as error:
        raise BadReview(str(error)) from None


def answer(uid: str, verdict: Verdict) -> Object:
    """Return the AdmissionReview for a verdict."""
    response: Object = {"uid": uid, "allowed": not verdict.refused}
    if verdict.refused:
        response["status"] = {
            "message": "\n".join(verdict.refused),
            "reason": "Invalid",
            "code": UNPROCESSABLE,
        }
    elif verdict.warnings:
        response["warnings"] = [w[:LONGEST_WARNING] for w in verdict.warnings[:MOST_WARNINGS]]
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
