"""Who leads, as a Lease of coordination.k8s.io/v1 says. Pure: the caller has clock and connection.

A Lease names its holder, who writes it again every `RENEW_S`. Clocks of two machines may differ, so
nobody compares the times in it: a candidate takes note, by its own monotonic clock, when it saw the
Lease change, and may take it once it has not changed for the holder's `leaseDurationSeconds`.

    leader      writes at 0 s, 2 s, 4 s, and is killed at 5 s
    candidate   sees the last change at 4 s, and takes the Lease at 4 s + 15 s

A leader counts from before its request: it sent the renewal at 4.0 s, the answer came at 4.3 s, and
it leads until 4.0 s + `LEAD_OF_LEASE` * 15 s. So it has stopped before anybody else begins. Both
write with the Lease's resource version, so of two that write at once one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from controller.kubernetes.objects import Object
from controller.operator import LEASE_S, LONGEST_LEASE_S

GROUP = "coordination.k8s.io/v1"
RENEW_S = 2.0
LEAD_OF_LEASE = 2 / 3  # of its duration a leader leads without a renewal


@dataclass(frozen=True, slots=True)
class Lease:
    """What a Lease says; `version` changes with every write."""

    holder: str = ""  # "" is nobody
    duration_s: int = LEASE_S
    transitions: int = 0
    version: str = ""  # "" does not exist


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease, and when we saw that version first, by our monotonic clock."""

    lease: Lease = Lease()
    at_s: float = 0.0


def read(item: Object | None) -> Lease:
    """Return what a Lease says. Whatever makes no sense in it is as if it were not there."""
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
    """Return what is known of the Lease; the time stays while the Lease does."""
    lease = read(item)
    return before if lease.version == before.lease.version else Seen(lease, now_s)


def wait_s(seen: Seen, identity: str, now_s: float) -> float:
    """Return after how many seconds `identity` may take the Lease; 0 is now."""
    if seen.lease.holder in ("", identity):
        return 0.0
    return max(0.0, seen.at_s + seen.lease.duration_s - now_s)


def leads_until(sent_s: float, duration_s: int) -> float:
    """Return how long the writer of a Lease leads, if it sent that request at `sent_s`."""
    return sent_s + LEAD_OF_LEASE * duration_s


def body(
    namespace: str, name: str, before: Lease, identity: str, duration_s: int, at: datetime
) -> Object:
    """Return the Lease as `identity` writes it over `before`, to take or to renew it."""
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
    """Return the Lease as its holder writes it at its end: anybody may take it at once."""
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
