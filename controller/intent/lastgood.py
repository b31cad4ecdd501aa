"""Keeps the last good version of a resource when an edit of it is rejected. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.intent.node import Node
from controller.intent.reasons import Reason
from controller.intent.resolve import select
from controller.intent.schema import Owner, Resources
from controller.intent.validate import validate
from dualpath.model.view import ResourceStatus


def keep_last_good(before: Resources, now: Resources) -> Resources:
    """Return `now` with the earlier version of every resource that it rejects.

    An absent resource was deleted, so it is removed. A broken resource keeps its earlier version,
    and the message of its rejection mentions that.
    """
    present = {r.owner for r in now.items}
    earlier = {r.owner: r for r in before.items}
    kept = [
        earlier[owner]
        for owner in dict.fromkeys(s.owner for s in now.rejected)
        if owner in earlier and owner not in present
    ]
    owners = {r.owner for r in kept}
    return replace(
        now,
        items=(*kept, *now.items),  # put them first: of two conflicting resources, the first stays
        rejected=tuple(_remark(s) if s.owner in owners else s for s in now.rejected),
    )


def settle(before: Resources, now: Resources, node: Node) -> Resources:
    """Return `now`, with earlier versions also of edits that conflict with other resources.

    Each resource returns to its earlier version once at most. If that version conflicts too, it is
    rejected later, by `layout.compile`.
    """
    taken = keep_last_good(before, now)
    earlier = {r.owner: r.spec for r in before.items}
    back: set[Owner] = set()
    while True:
        edited = {r.owner for r in taken.items if r.spec != earlier.get(r.owner, r.spec)}
        bad = {
            status.owner: status
            for status in validate(select(taken.items, node), node).statuses
            if status.reason == Reason.VALIDATION_FAILED and status.owner in edited - back
        }
        if not bad:
            return taken
        back |= bad.keys()
        taken = keep_last_good(before, _without(taken, bad))


def reject(resources: Resources, refused: Mapping[Owner, str], reason: Reason) -> Resources:
    """Return the resources with the refused ones moved to `rejected`, each with its reason."""
    statuses = {
        owner: ResourceStatus(*owner, ready=False, reason=reason, message=message)
        for owner, message in refused.items()
    }
    return _without(resources, statuses)


def _without(resources: Resources, refused: Mapping[Owner, ResourceStatus]) -> Resources:
    known = {r.owner for r in resources.items}
    return replace(
        resources,
        items=tuple(r for r in resources.items if r.owner not in refused),
        rejected=(
            *resources.rejected,
            *(status for owner, status in refused.items() if owner in known),
        ),
    )


def _remark(status: ResourceStatus) -> ResourceStatus:
    return replace(status, message=f"{status.message}; its earlier version stays")
