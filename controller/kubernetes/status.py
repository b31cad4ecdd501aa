"""A node's report on API objects: its row in each object's status. Pure.

Each node applies the row of `status.nodes` with its name and owns no other field, so nodes do not
overwrite each other. It compares the object's row with the wanted one: it restores a removed row,
and removes its row from an object that no longer selects it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.intent.loader import USUAL_NAMESPACES, created
from controller.intent.reasons import Reason
from controller.intent.schema import OUR_GROUP, Owner
from controller.kubernetes.mirror import Taken
from controller.kubernetes.objects import Object, Objects, Target, effective, replaced
from dualpath.model.view import ResourceStatus

LONGEST = 4096  # characters of a message: crd.status
ALL_WELL = "All configuration applied successfully"


@dataclass(frozen=True, slots=True)
class Row:
    """This node's row in an object's status, without its time, which only marks transitions."""

    ready: bool
    reason: str
    message: str
    generation: int  # of the object's spec


def manager_of(node: str) -> str:
    """Return the field manager of a node's rows."""
    return f"dualpath-{node}"


def owners(objects: Objects, files: Mapping[Owner, str]) -> dict[Target, Owner]:
    """Return the resource that each object is, by the name that the loader gives it.

    `files` are the resources of the node's files, which come first, with their namespaces. This
    repeats what `loader._Collector._within` does.
    """
    alone = {owner: home for owner, home in files.items() if home in USUAL_NAMESPACES}
    places = {
        (target.collection.kind, target.key): target
        for collection, items in objects.items()
        for target in (Target(collection, key) for key in items)
        if target not in replaced(objects)
    }
    found: dict[Target, Owner] = {}
    for kind, items in effective(objects).items():
        for namespace, name in sorted(items, key=lambda key: (created(items[key]), key)):
            within = f"{namespace}/{name}"
            if namespace in USUAL_NAMESPACES:
                first = alone.setdefault((kind, name), namespace) == namespace
                within = name if first else within
            found[places[kind, (namespace, name)]] = kind, within
    return found


def without_places(
    statuses: Iterable[ResourceStatus], directory: str
) -> tuple[ResourceStatus, ...]:
    """Return statuses whose messages name no files of the mirror, which API users do not see."""
    found = []
    for status in statuses:
        message = status.message
        for violation in status.violations:
            if violation.file.startswith(directory):
                message = message.replace(f" ({violation.place})", "")
        found.append(replace(status, message=message))
    return tuple(found)


def rows(
    objects: Objects,
    named: Mapping[Target, Owner],
    statuses: Iterable[ResourceStatus],
) -> dict[Target, Row]:
    """Return the row that each object should have, if this node knows its state."""
    known = {status.owner: status for status in statuses}
    found: dict[Target, Row] = {}
    for target, owner in named.items():
        item = objects[target.collection].get(target.key)
        if item is not None and (status := known.get(owner)) is not None:
            found[target] = _row(status, _generation(item))
    for target in replaced(objects):
        item = objects[target.collection][target.key]
        text = f"the object of the same name in {OUR_GROUP} is in force in its place"
        found[target] = Row(False, Reason.VALIDATION_FAILED, text, _generation(item))
    return found


def as_taken(
    objects: Objects, reported: Mapping[Target, Row], taken: Taken, waiting: bool
) -> dict[Target, Row]:
    """Return rows with the generations that are in force on this node.

    While the node waits for a rollout, an object that it has not applied has no row.
    """
    found = {}
    for target, row in reported.items():
        uid = str(objects[target.collection][target.key]["metadata"].get("uid"))
        if uid in taken.generations:
            found[target] = replace(row, generation=taken.generations[uid])
        elif not waiting:
            found[target] = row
    return found


def row_of(item: Object, node: str) -> tuple[Row | None, str]:
    """Return the row of this node that an object has, and since when; None without one."""
    nodes = (item.get("status") or {}).get("nodes")
    for entry in nodes if isinstance(nodes, list) else ():
        if isinstance(entry, dict) and entry.get("name") == node:
            row = Row(
                entry.get("ready") is True,
                str(entry.get("reason")),
                str(entry.get("message")),
                entry.get("observedGeneration") or 0,
            )
            return row, str(entry.get("lastTransitionTime") or "")
    return None, ""


def body(target: Target, node: str, row: Row | None, since: str) -> Object:
    """Return the object to apply to the status, without a row for None; `since` is RFC 3339."""
    (group, kind), (namespace, name) = target
    nodes = [] if row is None else [_written(node, row, since)]
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "status": {"nodes": nodes},
    }


def _written(node: str, row: Row, since: str) -> Object:
    return {
        "name": node,
        "ready": row.ready,
        "reason": row.reason,
        "message": row.message,
        "observedGeneration": row.generation,
        "lastTransitionTime": since,
    }


def _row(status: ResourceStatus, generation: int) -> Row:
    reason = status.reason or Reason.CONFIGURATION_SUCCESSFUL
    message = status.message or (ALL_WELL if status.ready else "")
    return Row(status.ready, reason, message[:LONGEST], generation)


def _generation(item: Object) -> int:
    return item["metadata"].get("generation") or 0
