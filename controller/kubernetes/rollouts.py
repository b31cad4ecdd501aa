"""Gradual rollouts: the version of the API's objects that a node has, and the permitted one. Pure.

An operator permits a revision on a node: a hash over uid and generation of every object that
selects the node. Operator and agent compute it from their own watches. Objects for other nodes are
not included, so an edit affects only the nodes that it selects.

    Node node-3, annotation dualpath.io/revision: 5f1c...   the operator permits this revision
    the agent sees objects that make 5f1c...                it takes them
    the agent sees objects that make 90ab...                it keeps what it has, until 90ab...
                                                            is permitted

A node without the annotation applies every change at once. Each node reports the revision in force
in its row of the Rollout's status.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema

from controller.intent.fields import NodeSelector
from controller.intent.node import REVISION, api_node, permitted_revision
from controller.intent.reasons import Reason
from controller.intent.rules import Strict
from controller.intent.schema import OUR_GROUP
from controller.kubernetes.objects import OURS, THEIRS, Collection, Object, Objects
from controller.kubernetes.statics import is_static
from dualpath.model.view import ResourceStatus

ROLLOUTS = Collection(OUR_GROUP, "Rollout")
NAME = "default"  # the only one: its definition refuses other names
PATH = ROLLOUTS.at(("", NAME))
DAY_S = 86_400
LONGEST = 1024  # characters of a row's message


def _counted(value: object) -> object:
    """Return a number of nodes or a percentage of them. Raises ValueError."""
    if type(value) is int and value >= 1:
        return value
    if isinstance(value, str) and value.endswith("%"):
        share = value[:-1]
        if share.isascii() and share.isdecimal() and len(share) <= 3 and 1 <= int(share) <= 100:
            return value
    raise ValueError("must be a number of nodes from 1, or a percentage such as 10%")


IntOrPercent = Annotated[
    Any, BeforeValidator(_counted), WithJsonSchema({"type": "string", "format": "int-or-percent"})
]


class RolloutSpec(Strict):
    """The spec of a Rollout."""

    max_unavailable: IntOrPercent = 1
    min_ready_seconds: int = Field(default=10, ge=0, le=DAY_S)
    progress_deadline_seconds: int = Field(default=300, ge=10, le=DAY_S)
    paused: bool = False

    def at_once(self, nodes: int) -> int:
        """Return how many of `nodes` may change at once; at least one."""
        if isinstance(self.max_unavailable, int):
            return self.max_unavailable
        return max(1, nodes * int(self.max_unavailable[:-1]) // 100)


def parse(item: Object) -> RolloutSpec | None:
    """Return the spec of a Rollout, None if it is invalid."""
    try:
        return RolloutSpec.model_validate(item.get("spec") or {})
    except ValidationError:
        return None


# -- revisions ----------------------------------------------------------------------------------


def revisions(objects: Objects, nodes: Iterable[Object]) -> dict[str, str]:
    """Return the revision that each Node should have, by its name."""
    selectors: list[NodeSelector] = []
    numbers: dict[str, int] = {}  # of selectors, by their text
    identities: list[tuple[str, int]] = []
    for collection in (*THEIRS, *OURS):
        for item in objects.get(collection, {}).values():
            if is_static(item):
                continue
            given = (item.get("spec") or {}).get("nodeSelector")
            number = numbers.setdefault(repr(given), len(selectors))
            if number == len(selectors):
                selectors.append(_selector(given))
            identities.append((_identity(collection, item), number))
    identities.sort()
    found: dict[str, str] = {}
    by_choice: dict[tuple[bool, ...], str] = {}
    for item in nodes:
        node = api_node(item["metadata"])
        choice = tuple(selector.matches(node.selectable) for selector in selectors)
        if choice not in by_choice:
            by_choice[choice] = _hash(text for text, number in identities if choice[number])
        found[node.name] = by_choice[choice]
    return found


def revision(objects: Objects, node: Object) -> str:
    """Return the revision that a Node should have."""
    return revisions(objects, (node,))[node["metadata"]["name"]]


def permitted(node: Object) -> str | None:
    """Return the revision that an operator permits on a Node; None without a rollout."""
    return permitted_revision(node["metadata"].get("annotations") or {}) or None


def permission(wanted: str | None) -> Object:
    """Return the merge patch that permits a revision on a Node; None removes the annotation."""
    return {"metadata": {"annotations": {REVISION: wanted}}}


def _selector(given: object) -> NodeSelector:
    try:
        return NodeSelector.model_validate({} if given is None else given)
    except ValidationError:  # every node rejects the object
        return NodeSelector()


def _identity(collection: Collection, item: Object) -> str:
    metadata = item["metadata"]
    what = (metadata.get(name) or "" for name in ("namespace", "name", "uid", "generation"))
    return " ".join((*collection, *map(str, what)))


def _hash(lines: Iterator[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


# -- rows: what nodes report ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A node's report, without its time, which only marks transitions."""

    revision: str  # in force there
    ready: bool  # all of it
    reason: str
    message: str


def row(revision: str, statuses: Iterable[ResourceStatus]) -> Row:
    """Return the row of a node with these resources."""
    bad = sorted(
        (status for status in statuses if not status.ready),
        key=lambda status: (status.reason == Reason.NOT_IN_FORCE, status.owner),
    )
    if not bad:
        return Row(revision, True, Reason.CONFIGURATION_SUCCESSFUL, "")
    first = bad[0]
    more = f"; and {len(bad) - 1} more" if len(bad) > 1 else ""
    text = f"{first.kind} {first.name}: {first.message or first.reason}"
    return Row(revision, False, first.reason, text[: LONGEST - len(more)] + more)


def rows(item: Object) -> dict[str, Row]:
    """Return the rows of a Rollout by node; skip malformed ones."""
    found = (item.get("status") or {}).get("nodes")
    return {
        entry["name"]: Row(
            str(entry.get("revision") or ""),
            entry.get("ready") is True,
            str(entry.get("reason") or ""),
            str(entry.get("message") or ""),
        )
        for entry in (found if isinstance(found, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    }


def row_body(node: str, reported: Row, since: str) -> Object:
    """Return the object that a node applies to the Rollout's status; `since` is RFC 3339."""
    written = {
        "name": node,
        "revision": reported.revision,
        "ready": reported.ready,
        "reason": reported.reason,
        "message": reported.message,
        "lastTransitionTime": since,
    }
    return {**nothing(), "status": {"nodes": [written]}}


def nothing() -> Object:
    """Return the object that a manager applies to give up its fields."""
    return {"apiVersion": OUR_GROUP, "kind": ROLLOUTS.kind, "metadata": {"name": NAME}}
