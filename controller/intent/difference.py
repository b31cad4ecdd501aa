"""Compares two plans, device by device. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dualpath.model.plan import Plan, PlannedDevice

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """One device that differs, with only the attributes that differ."""

    change: Literal["added", "removed", "changed"]
    kind: str
    name: str
    resource: str
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)


def compare(before: Plan, after: Plan) -> list[DeviceChange]:
    """Return the differences from `before` to `after`: in the order of `after`, removals last."""
    old = {(d.kind, d.name): d for d in before.devices}
    new = {(d.kind, d.name): d for d in after.devices}
    changes = [_change(old.get(key), device) for key, device in new.items()]
    gone = [_change(device, None) for key, device in old.items() if key not in new]
    return [change for change in (*changes, *gone) if change is not None]


def _change(old: PlannedDevice | None, new: PlannedDevice | None) -> DeviceChange | None:
    device = new or old
    assert device is not None
    before = old.attributes if old is not None else NOTHING
    after = new.attributes if new is not None else NOTHING
    if old is not None and new is not None and before == after:
        return None
    names = [n for n in (*before, *after) if before.get(n) != after.get(n)]
    return DeviceChange(
        "added" if old is None else "removed" if new is None else "changed",
        device.kind,
        device.name,
        device.resource,
        {name: before[name] for name in dict.fromkeys(names) if name in before},
        {name: after[name] for name in dict.fromkeys(names) if name in after},
    )
