"""What the page gets of the daemon's answers: short keys, and nothing that it does not show. Pure.

A thousand VNIs are sent again whenever one changes, so a row has few fields, and what is empty is
left out. Every text is sent as it is: the page writes it as text, never as HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controller.cli.columns import kind_text, state_text
from dualpath.pb import inspect_pb2 as pb

Plain = dict[str, Any]
Rates = dict[str, list[int]]

TYPES = {pb.Port.TYPE_NIC: "nic", pb.Port.TYPE_HOST: "host", pb.Port.TYPE_LOOPBACK: "loopback"}
ROLES = {
    pb.PLANE_ROLE_ACTIVE: "active",
    pb.PLANE_ROLE_STANDBY: "standby",
    pb.PLANE_ROLE_PREPARING: "preparing",
}


def status(answer: pb.StatusResponse) -> Plain:
    """Return the daemon at a glance. Times are seconds since the epoch, 0 for none."""
    about = answer.datapath_status
    return {
        "ready": answer.ready,
        "not_ready": answer.not_ready,
        "degraded": answer.degraded,
        "trial": answer.trial,
        "version": answer.version,
        "datapath": answer.datapath,
        "about": f"{about.name} {about.version}".strip(),
        "unavailable": about.unavailable,
        "netns": answer.netns,
        "frr_netns": answer.frr_netns,
        "bridge": answer.bridge,
        "session": answer.session,
        "session_state": answer.session_state,
        "reason": answer.reason,
        "stale_after": answer.stale_after.seconds,
        "started": answer.started_at.seconds,
        "repaired": answer.repaired,
        "undecoded": answer.undecoded,
        "counts": [_count(it) for it in answer.counts],
        "resources": [_resource(it) for it in answer.resources if not it.ready],
        "sessions": [_session(it) for it in answer.sessions],
        "planes": [_plane(it) for it in answer.datapaths],
    }


def _count(it: pb.KindCount) -> Plain:
    return {
        "kind": kind_text(it.kind),
        "desired": it.desired,
        "programmed": it.programmed,
        "failed": it.failed,
        "stale": it.stale,
        "unmanaged": it.unmanaged,
    }


def _resource(it: pb.ResourceStatus) -> Plain:
    return {"name": f"{it.kind}/{it.name}", "reason": it.reason, "message": it.message}


def _session(it: pb.BgpSessionState) -> Plain:
    return {
        "vrf": it.vrf,
        "peer": it.peer,
        "as": it.remote_as,
        "state": it.state,
        "bfd": it.bfd,
        "since": it.since.seconds,
        "received": it.received,
        "sent": it.sent,
        "reason": it.reason,
    }


def _plane(it: pb.PlaneState) -> Plain:
    return {
        "name": it.name,
        "role": ROLES.get(it.role, ""),
        "desired": it.desired,
        "programmed": it.programmed,
        "failed": it.failed,
        "problem": it.problem,
        "ports": list(it.ports),
    }


def node(
    vrfs: Iterable[pb.Vrf],
    vnis: Iterable[pb.Vni],
    vteps: Iterable[pb.Vtep],
    in_frr: Iterable[pb.FrrVniState],
) -> Plain:
    """Return what the graph has beside ports. `vteps` are those that are not programmed."""
    up = {it.vni: it.up for it in in_frr}
    bad: dict[str, str] = {}
    for it in vteps:
        bad[it.vtep] = "failed" if bad.get(it.vtep) == "failed" else state_text(it.state)
    return {
        "vrfs": [{"name": it.name, "l3vni": it.l3vni, **_standing(it)} for it in vrfs],
        "vnis": [_vni(it, up.get(it.vni, True)) for it in vnis],
        "vteps": bad,
    }


def _vni(it: pb.Vni, up: bool) -> Plain:
    return {
        "vni": it.vni,
        "layer": it.layer,
        "vrf": it.vrf,
        "vteps": list(it.vteps),
        **({} if up else {"down": True}),  # FRR does not have it, or has it down
        **_standing(it),
    }


def _standing(it: Any) -> Plain:  # noqa: ANN401 - any row
    return {"state": state_text(it.state), **({"error": it.error} if it.error else {})}


def ports(rows: Iterable[pb.Port]) -> list[Plain]:
    return [_port(it) for it in rows if it.type != pb.Port.TYPE_LOOPBACK]


def _port(it: pb.Port) -> Plain:
    link = ("up" if it.link.up else "down") if it.HasField("link") else "unknown"
    return {
        "name": it.name,
        "type": TYPES.get(it.type, ""),
        "vrf": it.vrf,
        "vni": it.vni,
        "link": link,
        "addresses": list(it.addresses),
        "host": "/".join(part for part in (it.host.netns, it.host.name) if part),
        "hosts": [address.partition("/")[0] for address in it.host.addresses],
        **_standing(it),
    }


def counters(rows: Iterable[pb.Port]) -> Mapping[str, Sequence[int]]:
    """Return bits and packets in, bits and packets out, and lost packets of each port."""
    return {
        it.name: (
            it.link.rx_bytes * 8,
            it.link.rx_packets,
            it.link.tx_bytes * 8,
            it.link.tx_packets,
            it.link.rx_dropped + it.link.tx_errors,
        )
        for it in rows
        if it.HasField("link") and it.type != pb.Port.TYPE_LOOPBACK
    }


def rates(
    now: Mapping[str, Sequence[int]], before: Mapping[str, Sequence[int]], seconds: float
) -> Rates:
    """Return the counters' growth per second; a counter that started again has grown by 0."""
    if seconds <= 0:
        return {}
    return {
        name: [round(max(0, b - a) / seconds) for a, b in zip(before[name], numbers, strict=True)]
        for name, numbers in now.items()
        if name in before
    }
