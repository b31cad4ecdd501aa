"""What a node reports of API objects: its own row of each object's status. Pure.

Each node applies one row of `status.nodes`, the one with its name, and owns no other field. So any
number of nodes write to one object, and none overwrites another. The row that an object has is
compared with the one that it should have: one that somebody removed is applied again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.intent.loader import USUAL_NAMESPACES
from controller.intent.schema import GROUP
from controller.kubernetes.client import Object
from controller.kubernetes.reflector import Key
from dualpath.model.view import ResourceStatus

Owner = tuple[str, Key]
"""The kind of an object, and its namespace and name."""

LONGEST = 4096  # characters of a message: crd.status
READY, PENDING = "ConfigurationSuccessful", "Pending"
ALL_WELL = "All configuration applied successfully"


@dataclass(frozen=True, slots=True)
class Row:
    """This node's row of one object's status; without its time, which marks a transition only."""

    ready: bool
    reason: str
    message: str
    generation: int  # of the object's spec


def rows(
    objects: Mapping[str, Mapping[Key, Object]], statuses: Iterable[ResourceStatus]
) -> dict[Owner, Row]:
    """Return the row that each object should have, where this node knows what became of it."""
    known = {status.owner: status for status in statuses}
    found: dict[Owner, Row] = {}
    for kind, items in objects.items():
        for key, item in items.items():
            status = _status(known, kind, key)
            if status is not None:
                found[kind, key] = _row(status, item["metadata"].get("generation") or 0)
    return found


def held(item: Object, node: str) -> tuple[Row | None, str]:
    """Return the row of this node that an object has, and since when; None without one."""
    nodes = (item.get("status") or {}).get("nodes")
    for told in nodes if isinstance(nodes, list) else ():
        if isinstance(told, dict) and told.get("name") == node:
            row = Row(
                told.get("ready") is True,
                str(told.get("reason")),
                str(told.get("message")),
                told.get("observedGeneration") or 0,
            )
            return row, str(told.get("lastTransitionTime") or "")
    return None, ""


def body(owner: Owner, node: str, row: Row, since: str) -> Object:
    """Return what is applied to the object's status; `since` is RFC 3339."""
    kind, (namespace, name) = owner
    told = {
        "name": node,
        "ready": row.ready,
        "reason": row.reason,
        "message": row.message,
        "observedGeneration": row.generation,
        "lastTransitionTime": since,
    }
    return {
        "apiVersion": GROUP,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "status": {"nodes": [told]},
    }


def _status(
    known: Mapping[tuple[str, str], ResourceStatus], kind: str, key: Key
) -> ResourceStatus | None:
    """Find a resource by the name that the loader gives it: see `loader._Collector._within`."""
    namespace, name = key
    whole = known.get((kind, f"{namespace}/{name}"))
    return whole or (known.get((kind, name)) if namespace in USUAL_NAMESPACES else None)


def _row(status: ResourceStatus, generation: int) -> Row:
    reason = status.reason or (READY if status.ready else PENDING)
    message = status.message or (ALL_WELL if status.ready else "")
    return Row(status.ready, reason[:1024], message[:LONGEST], generation)
