"""BGP sessions and VNIs, decoded from the JSON that FRR's daemons print. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dualpath.model.events import FrrReport
from dualpath.model.view import BgpSession, FrrVni
from frr_bridge.convergence import as_dict, number_of, peers, up_s

NEIGHBORS = "show bgp vrf all neighbors json"
VNIS = "show evpn vni json"
TENANTS = "show vrf vni json"


JITTER_S = 2.0
"""How far the start of one session may differ between two reports: bgpd counts whole seconds."""


def report(
    neighbors: Any,  # noqa: ANN401  JSON
    vnis: Any,  # noqa: ANN401
    tenants: Any,  # noqa: ANN401
    now: float,
    before: FrrReport = FrrReport(),  # noqa: B008  it is immutable
) -> FrrReport:
    """Return the report in the output of the commands above; leave out unexpected output.

    `now` is a time of the monotonic clock. A session that is also in the report `before` keeps its
    start time, so that reports are equal unless something changed.
    """
    started = {_place(session): session.since for session in before.sessions if session.since}
    found = (_steady(session, started) for session in _sessions(neighbors, now))
    return FrrReport(tuple(sorted(found, key=_place)), tuple(_vnis(vnis, tenants)))


def _steady(session: BgpSession, started: dict[tuple[str, str], float]) -> BgpSession:
    since = started.get(_place(session))
    if since is None or not session.since or abs(since - session.since) > JITTER_S:
        return session
    return replace(session, since=since)


def _place(session: BgpSession) -> tuple[str, str]:
    return session.vrf, session.peer


def _sessions(neighbors: Any, now: float) -> Iterator[BgpSession]:  # noqa: ANN401
    for name, peer in peers(neighbors):
        vrf, _, address = name.rpartition("/")
        up = peer["bgpState"] == "Established"
        counters = as_dict(peer.get("addressFamilyInfo")).values()
        families = [family for family in counters if isinstance(family, dict)]
        yield BgpSession(
            vrf=vrf or "default",
            peer=address,
            remote_as=_number(peer.get("remoteAs")),
            state=str(peer["bgpState"]),
            since=now - up_s(peer) if up else 0.0,
            received=sum(_number(family.get("acceptedPrefixCounter")) for family in families),
            sent=sum(_number(family.get("sentPrefixCounter")) for family in families),
            reason="" if up else str(peer.get("lastResetDueTo", "")),
            bfd=str(as_dict(peer.get("peerBfdInfo")).get("status", "")),
        )


def _vnis(vnis: Any, tenants: Any) -> Iterator[FrrVni]:  # noqa: ANN401
    rows = as_dict(tenants).get("vrfs")
    tables = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    up_vnis = [row.get("vni") for row in tables if row.get("state") == "Up"]
    for key, entry in sorted(as_dict(vnis).items(), key=lambda item: (len(item[0]), item[0])):
        number = number_of(key)
        if not isinstance(entry, dict) or not number:
            continue
        routed = entry.get("type") == "L3"
        yield FrrVni(
            vni=number,
            layer=3 if routed else 2,
            vrf=str(entry.get("tenantVrf", "")),
            up=not routed or number in up_vnis,
            macs=_number(entry.get("numMacs")),
            neighbors=_number(entry.get("numArpNd")),
            vteps=_number(entry.get("numRemoteVteps")),
        )


def _number(value: Any) -> int:  # noqa: ANN401 - a number, or "n/a"
    plain = isinstance(value, int) and not isinstance(value, bool)
    return value if plain and 0 <= value < 1 << 32 else 0
