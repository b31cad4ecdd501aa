"""BGP sessions, BFD and VNIs, as FRR's daemons reported them some seconds ago, as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from dualpath.model.view import BgpSession, FrrVni

_VNIS: tuple[tuple[str, str, Callable[[FrrVni], int]], ...] = (
    ("macs", "MACs that zebra has of a VNI, local and remote (EVPN type 2).", lambda v: v.macs),
    ("neighbors", "IP addresses that zebra has of a VNI (EVPN type 2).", lambda v: v.neighbors),
    ("vteps", "Remote VTEPs that zebra has of a VNI (EVPN type 3).", lambda v: v.vteps),
)


def sessions(found: Sequence[BgpSession]) -> Iterator[Metric]:
    labels = ["vrf", "peer"]
    up = _family("bgp_session_up", "Is a BGP session established?", [*labels, "remote_as"])
    since = _family(
        "bgp_session_established_time_seconds",
        "When it was established, since the epoch; 0: it is not.",
        labels,
    )
    received = _family("bgp_received_prefixes", "Prefixes accepted of a peer.", labels)
    sent = _family("bgp_sent_prefixes", "Prefixes sent to a peer.", labels)
    bfd = _family("bfd_session_up", "Is the BFD session of a BGP peer up?", labels)
    for session in found:
        place = [session.vrf, session.peer]
        established = session.state == "Established"
        up.add_metric([*place, str(session.remote_as)], established)
        since.add_metric(place, session.since)
        received.add_metric(place, session.received)
        sent.add_metric(place, session.sent)
        if session.bfd:
            bfd.add_metric(place, session.bfd == "Up")
    yield from (up, since, received, sent, bfd)


def vnis(found: Sequence[FrrVni]) -> Iterator[Metric]:
    up = _family("vni_up", "Does zebra have a VNI up?", ["vni", "vrf", "layer"])
    for vni in found:
        up.add_metric([str(vni.vni), vni.vrf, str(vni.layer)], vni.up)
    yield up
    for name, text, read in _VNIS:
        rows = _family(f"vni_{name}", text, ["vni"])
        for vni in found:
            rows.add_metric([str(vni.vni)], read(vni))
        yield rows


def _family(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dualpath_{name}", text, labels=labels)
