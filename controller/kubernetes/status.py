"""What a node reports of API objects: its own row of each status, and OpenPERouter's report. Pure.

Each node applies one row of `status.nodes`, the one with its name, and owns no other field. So any
number of nodes write to one object, and none overwrites another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.intent.loader import USUAL_NAMESPACES
from controller.intent.schema import GROUP
from controller.kubernetes.client import Object
from controller.kubernetes.reflector import Key
from dualpath.model.view import ResourceStatus

LONGEST = 4096  # characters of a message: crd.status
READY = "ConfigurationSuccessful"
ALL_WELL = "All configuration applied successfully"


@dataclass(frozen=True, slots=True)
class Row:
    """This node's row of one object's status; without its time, which only marks a transition."""

    ready: bool
    reason: str
    message: str
    generation: int  # of the object's spec


def rows(
    objects: Mapping[str, Mapping[Key, Object]], statuses: Iterable[ResourceStatus]
) -> dict[tuple[str, Key], Row]:
    """Return the row of each object that this node knows the state of."""
    known = {status.owner: status for status in statuses}
    found: dict[tuple[str, Key], Row] = {}
    for kind, items in objects.items():
        for key, item in items.items():
            status = _status(known, kind, key)
            if status is not None:
                generation = int(item.get("metadata", {}).get("generation") or 0)
                found[kind, key] = _row(status, generation)
    return found


def _status(
    known: Mapping[tuple[str, str], ResourceStatus], kind: str, key: Key
) -> ResourceStatus | None:
    """Find a resource by the name that the loader gives it: see `loader._Collector._within`."""
    namespace, name = key
    whole = known.get((kind, f"{namespace}/{name}"))
    return whole or (known.get((kind, name)) if namespace in USUAL_NAMESPACES else None)


def _row(status: ResourceStatus, generation: int) -> Row:
    reason = status.reason or (READY if status.ready else "Pending")
    return Row(status.ready, reason, (status.message or ALL_WELL)[:LONGEST], generation)


def body(kind: str, key: Key, node: str, row: Row, since: str) -> Object:
    """Return what is applied to the object's status; `since` is RFC 3339."""
    namespace, name = key
    told = {
        "name": node,
        "ready": row.ready,
        "reason": row.reason[:1024],
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
