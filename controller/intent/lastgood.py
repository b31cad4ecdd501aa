"""What a resource was before it was spoilt: an edit that is rejected takes nothing down. Pure."""

from __future__ import annotations

from dataclasses import replace

from controller.intent.schema import Resources
from controller.model.view import ResourceStatus


def keep_last_good(before: Resources, now: Resources) -> Resources:
    """Return `now` with the earlier version of every resource that it rejects.

    A resource that is absent was deleted and is gone; one that is there and broken stays as it
    was, and its rejection says so.
    """
    present = {(r.kind, r.name) for r in now.items}
    earlier = {(r.kind, r.name): r for r in before.items}
    kept = [
        earlier[key]
        for key in dict.fromkeys((s.kind, s.name) for s in now.rejected)
        if key in earlier and key not in present
    ]
    keys = {(r.kind, r.name) for r in kept}
    return Resources(
        (*kept, *now.items),  # first, so that no newcomer pushes out what was there
        tuple(_remark(s) if (s.kind, s.name) in keys else s for s in now.rejected),
        now.node,
    )


def _remark(status: ResourceStatus) -> ResourceStatus:
    return replace(status, message=f"{status.message}; its earlier version stays")
