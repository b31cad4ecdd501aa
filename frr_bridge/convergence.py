"""What bgpd still waits for before it has converged. Pure: bgpd's own JSON in, a reason out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

SETTLE_S = 3.0
"""How long a session without End-of-RIB must be up until its first updates have arrived."""

SILENCE_S = 10.0
"""How long FRR must report nothing new before the rows that it did not repeat are swept.

From a new VXLAN device to a type 5 route in zebra it takes several seconds on a slow machine, and
no message announces it.
"""

CLOCK_S = 1.0
"""How far ages may be off: bgpd counts whole seconds."""

START_S = 15.0
"""How long after bgpd's start to wait for a peer that was never seen established."""


SELECT_DEFER_S = 120.0
"""BGP_DEFAULT_SELECT_DEFERRAL_TIME in bgpd.h: a restarted instance selects no path for so long
while one of its peers is down (RFC 4724 section 4.1)."""

DEFER_MARGIN_S = 10.0
"""From bgpd's start until it has read its file and starts that timer."""

_MOST_MS = 1 << 63
_VNI_DIGITS = len(str(0xFF_FFFF))
_INSTANCE = re.compile(r"router bgp \S+(?: vrf (?P<vrf>\S+))?")
_DEFER = re.compile(r"\s*bgp graceful-restart select-defer-time (?P<seconds>\d+)")


def waits_for(
    neighbors: Any,  # noqa: ANN401  JSON of `show bgp vrf all neighbors json`
    *,
    known: Collection[str],
    bgpd_age_s: float,
) -> str:
    """Return what bgpd still waits for, in a few words, or "" when it has converged.

    `known` are the peers that were established before: wait until each is established again.
    """
    configured = dict(peers(neighbors))
    for name in sorted(known):
        if name not in configured:  # a bgpd that has just started has not read its file yet
            return f"BGP session with {name}"
    for name, peer in configured.items():
        if peer.get("bgpState") != "Established":
            if name in known or bgpd_age_s < START_S:
                return f"BGP session with {name}"
            continue
        received = as_dict(as_dict(peer.get("gracefulRestartInfo")).get("endOfRibRecv"))
        if received and not all(received.values()):
            return f"End-of-RIB from {name}"
        if not received and up_s(peer) < SETTLE_S:
            return f"first updates from {name}"
    return ""


def older_than(
    neighbors: Any,  # noqa: ANN401  JSON of `show bgp vrf all neighbors json`
    age_s: float,
) -> str:
    """Return the first peer whose session has been up for longer than `age_s`, or ""."""
    for name, peer in sorted(peers(neighbors)):
        if peer.get("bgpState") == "Established" and up_s(peer) > age_s + CLOCK_S:
            return name
    return ""


def up_s(peer: dict[str, Any]) -> float:
    """Return how long a session has been up, in seconds of bgpd's monotonic clock; 0: unknown.

    `bgpTimerUpEstablishedEpoch` is of the wall clock, and moves when that is set.
    """
    up_ms = peer.get("bgpTimerUpMsec", 0)
    return up_ms / 1000 if isinstance(up_ms, int) and 0 < up_ms < _MOST_MS else 0.0


def shortest_hold_s(neighbors: Any) -> float:  # noqa: ANN401
    """Return the shortest hold time of all sessions that are up; infinite if none may expire."""
    times = (
        peer.get("bgpTimerHoldTimeMsecs")
        for _, peer in peers(neighbors)
        if peer.get("bgpState") == "Established"
    )
    held = (ms / 1000 for ms in times if isinstance(ms, int) and 0 < ms < _MOST_MS)
    return min(held, default=float("inf"))


def deferred(
    neighbors: Any,  # noqa: ANN401  JSON of `show bgp vrf all neighbors json`
    configuration: str,
    *,
    bgpd_age_s: float,
) -> str:
    """Return which VRF may still defer its path selection, in words, or "".

    A restarting speaker waits for End-of-RIB from all its graceful restart peers, even from those
    that never come up. Until then type 5 routes are in the VRF's table, and none of them is best.
    """
    times = defer_times(configuration)
    for vrf, name, peer in _peers(neighbors):
        mode = str(as_dict(peer.get("gracefulRestartInfo")).get("localGrMode", ""))
        if peer.get("bgpState") == "Established" or not mode.startswith("Restart"):
            continue
        defer_s = times.get(vrf, times.get("", SELECT_DEFER_S))
        if defer_s and bgpd_age_s < defer_s + DEFER_MARGIN_S:
            return f"path selection of VRF {vrf}, which waits for {name}"
    return ""


def defer_times(configuration: str) -> dict[str, float]:
    """Return select-defer-time in seconds by VRF, where it is configured; key "" applies to all."""
    times: dict[str, float] = {}
    vrf = ""
    for line in configuration.splitlines():
        if instance := _INSTANCE.match(line):
            vrf = instance["vrf"] or "default"
        elif found := _DEFER.match(line):
            times[vrf if line.startswith(" ") else ""] = float(found["seconds"])
    return times


def missing_vnis(
    known: Any,  # noqa: ANN401  JSON of `show bgp l2vpn evpn vni json`
    wanted: Collection[int],
) -> str:
    """Return the VNIs that have a device but are unknown to bgpd, in words, or ""."""
    numbers = {number_of(key) for key in as_dict(known)}
    missing = sorted(set(wanted) - numbers)
    return f"bgpd to know VNI {', '.join(map(str, missing))}" if missing else ""


def as_dict(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return JSON that should be an object, {} if it is something else."""
    return value if isinstance(value, dict) else {}


def number_of(key: str) -> int:
    """Return the VNI in a key of a JSON object, or 0."""
    return int(key) if key.isascii() and key.isdigit() and len(key) <= _VNI_DIGITS else 0


def established(neighbors: Any) -> set[str]:  # noqa: ANN401
    """Return the peers that are up."""
    return {name for name, peer in peers(neighbors) if peer.get("bgpState") == "Established"}


def peers(neighbors: Any) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    """Yield (name, peer) of every VRF; a peer outside the default VRF is named `VRF/peer`."""
    for vrf, name, peer in _peers(neighbors):
        yield (name if vrf == "default" else f"{vrf}/{name}"), peer


def _peers(neighbors: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:  # noqa: ANN401
    if not isinstance(neighbors, dict):
        return
    for vrf, entries in neighbors.items():
        if not isinstance(entries, dict):
            continue
        for name, peer in entries.items():
            if isinstance(peer, dict) and "bgpState" in peer:
                yield vrf, name, peer
