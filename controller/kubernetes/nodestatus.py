"""OpenPERouter's report of a node: its RouterNodeConfigurationStatus. Pure.

One object per node, with the node's name, in the agent's namespace, owned by the Node. With
OpenPERouter's definitions it is the only report, because their kinds have a status without fields.
Its schema has five kinds and four reasons, and the API server refuses the whole status for any
other:

    RawFRRConfig                   is reported as FrrConfiguration
    UnderlayFailed                 as DependencyFailed: a NIC is missing, or cannot be used
    NotInForce                     in the conditions only: it concerns all resources alike
    L3VPN, a file of manifests     in the conditions only: there is no kind for it

With every resource in force:
    Ready=True, Degraded=False, reason ConfigurationSuccessful
Otherwise Ready=False, Degraded=True, and both have the same reason and message:
    UnderlayFailed       an Underlay is not in force
    ConfigurationFailed  another resource is not; `failedResources` has the details
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from controller.intent.reasons import Reason
from controller.kubernetes.objects import NODE_STATUSES, Key, Object, owned_by
from dualpath.model.view import ResourceStatus

SUCCESSFUL = "ConfigurationSuccessful"
UNDERLAY_FAILED = "UnderlayFailed"
CONFIGURATION_FAILED = "ConfigurationFailed"
ALL_WELL = "All configuration applied successfully"
UNDERLAY_INVALID = "Underlay failed validation, existing FRR configuration left as-is"
SOME_FAILED = "Some resources failed validation, see status.failedResources for details"

LONGEST_CONDITION = 32768
LONGEST_MESSAGE = 500  # of a failed resource, in characters
LONGEST_NAME = 253

KINDS: Mapping[str, str] = {
    "Underlay": "Underlay",
    "L2VNI": "L2VNI",
    "L3VNI": "L3VNI",
    "L3Passthrough": "L3Passthrough",
    "RawFRRConfig": "FrrConfiguration",
}
"""The name of each kind in `failedResources`."""

REASONS: Mapping[str, str] = {
    Reason.VALIDATION_FAILED: "ValidationFailed",
    Reason.DEPENDENCY_FAILED: "DependencyFailed",
    Reason.UNDERLAY_FAILED: "DependencyFailed",
    Reason.OVERLAY_ATTACHMENT_FAILED: "OverlayAttachmentFailed",
    Reason.FRR_CONFIGURATION_FAILED: "FrrConfigurationFailed",
}
"""The name of each reason in `failedResources`; one that is absent is in the conditions only."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node's report, without the times of its conditions."""

    ready: bool
    reason: str
    message: str
    failed: tuple[tuple[str, str, str, str], ...] = ()  # kind, name, reason, message


class Condition(NamedTuple):
    """One condition, as the object has it."""

    status: str
    reason: str
    message: str
    since: str  # RFC 3339


def node_status(statuses: Iterable[ResourceStatus]) -> NodeStatus:
    """Return the report of a node with these resources."""
    bad = [status for status in statuses if not status.ready]
    if not bad:
        return NodeStatus(True, SUCCESSFUL, ALL_WELL)
    failed = tuple(
        (KINDS[s.kind], s.name[:LONGEST_NAME], REASONS[s.reason], cut(s.message or s.reason))
        for s in bad
        if s.kind in KINDS and s.reason in REASONS
    )
    beside = [s for s in bad if s.kind not in KINDS or s.reason not in REASONS]
    underlays = [s for s in bad if s.kind == "Underlay" and s not in beside]
    reason = UNDERLAY_FAILED if underlays else CONFIGURATION_FAILED
    messages = [_of_underlay(s) for s in underlays] or ([SOME_FAILED] if failed else [])
    messages += dict.fromkeys(_beside(s) for s in beside)
    return NodeStatus(False, reason, "; ".join(messages)[:LONGEST_CONDITION], failed)


def _of_underlay(status: ResourceStatus) -> str:
    return UNDERLAY_INVALID if status.reason == Reason.VALIDATION_FAILED else status.message


def _beside(status: ResourceStatus) -> str:
    if status.reason == Reason.NOT_IN_FORCE:  # the same for every resource
        return status.message or status.reason
    return f"{status.kind} {status.name}: {status.message or status.reason}"


def cut(text: str, most: int = LONGEST_MESSAGE) -> str:
    """Return at most `most` characters of a text, with a mark if it is cut."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def report_of(item: Object) -> tuple[NodeStatus | None, dict[str, Condition]]:
    """Return an object's report, None if it is not one of ours; and its conditions by type."""
    status = item.get("status") or {}
    conditions = {
        str(c.get("type")): Condition(
            str(c.get("status")),
            str(c.get("reason")),
            str(c.get("message")),
            str(c.get("lastTransitionTime")),
        )
        for c in _list(status.get("conditions"))
        if isinstance(c, dict)
    }
    failed = tuple(
        (str(f.get("kind")), str(f.get("name")), str(f.get("reason")), str(f.get("message")))
        for f in _list(status.get("failedResources"))
        if isinstance(f, dict)
    )
    found = conditions.get("Ready")
    if found is None:
        return None, conditions
    known = NodeStatus(found.status == "True", found.reason, found.message, failed)
    complete = all(
        type_ in conditions and conditions[type_][:3] == (_text(good), known.reason, known.message)
        for type_, good in _types(known)
    )
    return known if complete else None, conditions


def owned(item: Object, node: Object) -> bool:
    """Tell whether the Node owns a report, so it is deleted with the Node."""
    uid = node["metadata"].get("uid")
    owners = _list(item["metadata"].get("ownerReferences"))
    return any(isinstance(o, dict) and o.get("uid") == uid for o in owners)


def made(namespace: str, node: Object) -> Object:
    """Return a node's object to create, without its status."""
    name = node["metadata"]["name"]
    named = {"name": name, "namespace": namespace, "ownerReferences": owned_by(node)}
    return {"apiVersion": NODE_STATUSES.group, "kind": NODE_STATUSES.kind, "metadata": named}


def body(key: Key, known: NodeStatus, before: Mapping[str, Condition], now: str) -> Object:
    """Return the object that the agent applies to the status; times are RFC 3339."""
    namespace, name = key
    conditions = [
        {
            "type": type_,
            "status": _text(good),
            "reason": known.reason,
            "message": known.message,
            "lastTransitionTime": _since(before.get(type_), _text(good)) or now,
        }
        for type_, good in _types(known)
    ]
    failed = [
        dict(zip(("kind", "name", "reason", "message"), f, strict=True)) for f in known.failed
    ]
    return {
        "apiVersion": NODE_STATUSES.group,
        "kind": NODE_STATUSES.kind,
        "metadata": {"name": name, "namespace": namespace},
        "status": {"conditions": conditions, "failedResources": failed},
    }


def _types(known: NodeStatus) -> tuple[tuple[str, bool], ...]:
    return ("Ready", known.ready), ("Degraded", not known.ready)


def _since(before: Condition | None, status: str) -> str:
    """Return since when a condition has this status, "" if it had another one."""
    return before.since if before is not None and before.status == status else ""


def _text(flag: bool) -> str:
    return "True" if flag else "False"


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
