"""One condition for an object, summarized from the rows of its nodes. Pure.

Each node that the object selects reports in its row (`controller.kubernetes.status`). The operator
summarizes them: `Ready`, a reason of `REASONS`, and a message that names nodes.

    node-1 ready, node-2 ready                          True   ConfigurationSuccessful
    node-1 ready, node-2 silent or of another version   False  Progressing
    node-1 ready, node-2 failed                         False  the reason of node-2
    no Node matches the selector                        Unknown  NoMatchingNode

A row describes one generation of the spec. A row of an earlier generation does not count, so the
condition waits for that node. The operator removes rows of deleted Nodes; an existing node removes
its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from controller.intent.fields import NodeSelector
from controller.intent.node import api_node
from controller.intent.reasons import Reason
from controller.kubernetes.objects import Object, Target
from controller.kubernetes.statics import NODE, is_static
from dualpath.model.words import counted

PROGRESSING, NO_NODE, FAILED = "Progressing", "NoMatchingNode", "NodeFailed"
FAILURES: tuple[str, ...] = (
    Reason.VALIDATION_FAILED,
    Reason.UNDERLAY_FAILED,
    Reason.OVERLAY_ATTACHMENT_FAILED,
    Reason.FRR_CONFIGURATION_FAILED,
    Reason.DEPENDENCY_FAILED,
    Reason.NOT_IN_FORCE,
    FAILED,
)
"""The reasons of a failure, the most telling first; FAILED stands for any that is not here."""
REASONS = (Reason.CONFIGURATION_SUCCESSFUL, PROGRESSING, NO_NODE, *FAILURES)
MANAGER = "dualpath-operator"
NAMED = 3  # nodes that a message names
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition `Ready`, without its time."""

    status: str  # "True", "False", "Unknown"
    reason: str
    message: str
    generation: int


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one node."""

    node: str
    ready: bool
    reason: str
    message: str
    generation: int


def rows(item: Object) -> list[Row]:
    """Return the rows of an object; skip malformed ones."""
    found = (item.get("status") or {}).get("nodes")
    return [
        Row(
            entry["name"],
            entry.get("ready") is True,
            str(entry.get("reason") or ""),
            str(entry.get("message") or ""),
            _generation(entry),
        )
        for entry in (found if isinstance(found, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    ]


def selected(item: Object, nodes: Iterable[Object]) -> set[str]:
    """Return the names of the Nodes that an object selects; all if the selector is invalid.

    An object that shows a file selects the node with that file.
    """
    given = (item.get("spec") or {}).get("nodeSelector")
    try:
        selector = NodeSelector.model_validate({} if given is None else given)
    except ValidationError:  # a node rejects the object for the same reason
        selector = NodeSelector()
    every = (api_node(node["metadata"]) for node in nodes)
    found = {node.name for node in every if selector.matches(node.selectable)}
    if is_static(item):
        return found & {str((item["metadata"].get("annotations") or {}).get(NODE))}
    return found


def ready(item: Object, nodes: set[str]) -> Condition:
    """Return the condition that an object should have, given the Nodes that it selects."""
    generation = item["metadata"].get("generation") or 0
    if not nodes:
        return Condition("Unknown", NO_NODE, "no Node matches the nodeSelector", generation)
    mine = {row.node: row for row in rows(item) if row.node in nodes}
    current = {n: r for n, r in mine.items() if r.generation == generation}
    failed = [row for row in current.values() if not row.ready]
    waiting = sorted(nodes - current.keys())
    if failed:
        parts = [*_failures(failed), *([_waiting(waiting)] if waiting else [])]
        text = f"{len(failed)} of {counted(len(nodes), 'node')}: {'; '.join(parts)}"
        return Condition("False", _worst(failed), text[:LONGEST], generation)
    if waiting:
        return Condition("False", PROGRESSING, _waiting(waiting)[:LONGEST], generation)
    return Condition(
        "True",
        Reason.CONFIGURATION_SUCCESSFUL,
        f"in force on {counted(len(nodes), 'node')}",
        generation,
    )


def condition_of(item: Object) -> tuple[Condition | None, str]:
    """Return the condition that an object has, and since when its status is so."""
    found = (item.get("status") or {}).get("conditions")
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict) and entry.get("type") == "Ready":
            status, reason, message = (
                str(entry.get(key) or "") for key in ("status", "reason", "message")
            )
            condition = Condition(status, reason, message, _generation(entry))
            return condition, str(entry.get("lastTransitionTime") or "")
    return None, ""


def body(target: Target, condition: Condition, since: str) -> Object:
    """Return the object that server-side apply sends for its status; `since` is RFC 3339."""
    ready = {
        "type": "Ready",
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.generation,
        "lastTransitionTime": since,
    }
    status = {"observedGeneration": condition.generation, "conditions": [ready]}
    return {**nothing(target), "status": status}


def nothing(target: Target) -> Object:
    """Return the object that a manager applies to give up its fields."""
    (group, kind), (namespace, name) = target
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
    }


def leftover(item: Object, nodes: set[str]) -> list[str]:
    """Return the nodes with a row that are not in `nodes`."""
    return sorted({row.node for row in rows(item)} - nodes)


def names(found: Sequence[str]) -> str:
    """Return `a, b, c and 7 more`."""
    text = ", ".join(found[:NAMED])
    return f"{text} and {len(found) - NAMED} more" if len(found) > NAMED else text


def _generation(entry: Object) -> int:
    found = entry.get("observedGeneration")
    return found if type(found) is int else 0


def _failures(failed: Sequence[Row]) -> Iterator[str]:
    """Yield the messages of nodes, each once with the nodes that have it."""
    by_message: dict[str, list[str]] = {}
    for row in sorted(failed, key=lambda row: (_rank(row.reason), row.node)):
        by_message.setdefault(row.message or row.reason, []).append(row.node)
    for message, nodes in list(by_message.items())[:NAMED]:
        yield f"{names(nodes)}: {message}"
    if len(by_message) > NAMED:
        yield f"{len(by_message) - NAMED} more messages in status.nodes"


def _worst(failed: Sequence[Row]) -> str:
    reason = min((row.reason for row in failed), key=_rank)
    return reason if reason in FAILURES else FAILED


def _rank(reason: str) -> int:
    return FAILURES.index(reason) if reason in FAILURES else len(FAILURES)


def _waiting(nodes: Sequence[str]) -> str:
    return f"waiting for {names(nodes)}"
