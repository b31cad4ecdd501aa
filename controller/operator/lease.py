"""Leader election by a Lease of coordination.k8s.io/v1. Pure: the caller has clock and connection.

A Lease names its holder, which renews it every `RENEW_S`. Clocks of two machines may differ, so
nobody compares the times in it. A candidate measures with its own monotonic clock when the Lease
last changed, and may take it after `leaseDurationSeconds` without a change.

    leader      writes at 0 s, 2 s, 4 s, and is killed at 5 s
    candidate   sees the last change at 4 s, and takes the Lease at 4 s + 15 s

A leader counts from the time it sent the request: sent at 4.0 s, answered at 4.3 s, it leads until
4.0 s + `LEAD_OF_LEASE` * 15 s. So it stops before anybody else starts. All write with the Lease's
resource version, so the API server refuses one of two simultaneous writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from controller.kubernetes.objects import Object
from controller.operator import LEASE_S, LONGEST_LEASE_S

GROUP = "coordination.k8s.io/v1"
RENEW_S = 2.0
LEAD_OF_LEASE = 2 / 3  # of the duration: so long a leader leads without a renewal


@dataclass(frozen=True, slots=True)
class Lease:
    """The contents of a Lease; `version` changes with every write."""

    holder: str = ""  # "" is nobody
    duration_s: int = LEASE_S
    transitions: int = 0
    version: str = ""  # "" does not exist


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease, and when this replica first saw that version, by its monotonic clock."""

    lease: Lease = Lease()
    at_s: float = 0.0


def read(item: Object | None) -> Lease:
    """Return the contents of a Lease; ignore malformed fields."""
    if item is None:
        return Lease()
    spec = item.get("spec") or {}
    holder, duration = spec.get("holderIdentity"), spec.get("leaseDurationSeconds")
    count = spec.get("leaseTransitions")
    return Lease(
        holder if isinstance(holder, str) else "",
        min(duration, LONGEST_LEASE_S) if type(duration) is int and duration > 0 else LEASE_S,
        count if type(count) is int and count >= 0 else 0,
        str(item["metadata"].get("resourceVersion") or ""),
    )


def see(before: Seen, item: Object | None, now_s: float) -> Seen:
    """Return the Lease as seen; keep the time while its version does not change."""
    lease = read(item)
    return before if lease.version == before.lease.version else Seen(lease, now_s)


def wait_s(seen: Seen, identity: str, now_s: float) -> float:
    """Return the seconds until `identity` may take the Lease; 0 is now."""
    if seen.lease.holder in ("", identity):
        return 0.0
    return max(0.0, seen.at_s + seen.lease.duration_s - now_s)


def leads_until(sent_s: float, duration_s: int) -> float:
    """Return until when the writer of a Lease leads, if it sent the request at `sent_s`."""
    return sent_s + LEAD_OF_LEASE * duration_s


def body(
    namespace: str, name: str, before: Lease, identity: str, duration_s: int, at: datetime
) -> Object:
    """Return the Lease that `identity` writes over `before` to take or renew it."""
    taken = before.holder != identity
    return _body(
        namespace,
        name,
        before,
        {
            "holderIdentity": identity,
            "leaseDurationSeconds": duration_s,
            "leaseTransitions": before.transitions + (1 if taken and before.version else 0),
            "renewTime": micro_time(at),
            **({"acquireTime": micro_time(at)} if taken else {}),
        },
    )


def released(namespace: str, name: str, before: Lease, at: datetime) -> Object:
    """Return the Lease that its holder writes at its end; anybody may take it at once."""
    return _body(
        namespace,
        name,
        before,
        {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "leaseTransitions": before.transitions,
            "renewTime": micro_time(at),
        },
    )


def _body(namespace: str, name: str, before: Lease, spec: Object) -> Object:
    version = {"resourceVersion": before.version} if before.version else {}
    return {
        "apiVersion": GROUP,
        "kind": "Lease",
        "metadata": {"namespace": namespace, "name": name, **version},
        "spec": spec,
    }


def micro_time(at: datetime) -> str:
    """Return a time as Kubernetes' MicroTime."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
