"""Remarks on accepted resources: where the effect differs from what the resource asks for. Pure.

A remark is the message of a resource that is ready. It names the field, the actual effect, and what
to do. If that effect is not acceptable, a rule rejects the resource instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from controller.intent.accepted import Accepted
from controller.intent.addresses import IpAddress
from controller.intent.isis import LOOPBACK
from controller.intent.rules import closest
from controller.intent.underlay import Neighbor, Underlay
from dualpath.model.view import ResourceStatus

EXPERIMENT = "for experimentation only: nothing checks it against the other resources"
OVERHEAD = {4: 50, 6: 70}
"""Outer Ethernet, IP, UDP and VXLAN headers, by the VTEP's address family (RFC 7348 section 5)."""
MINIMUM_MTU = 1280  # RFC 8200 section 5: the kernel disables IPv6 on an interface below this


def remarked(accepted: Accepted, status: ResourceStatus, underlay_mtu: int) -> ResourceStatus:
    """Return the status of an accepted resource with its remarks as the message."""
    if not status.ready:
        return status
    return replace(status, message="; ".join(_remarks(accepted, status, underlay_mtu)))


def overlay_mtu(vtep: IpAddress, underlay_mtu: int) -> int:
    return underlay_mtu - OVERHEAD[vtep.version]


def _remarks(accepted: Accepted, status: ResourceStatus, underlay_mtu: int) -> Iterator[str]:
    if status.kind == "RawFRRConfig":
        yield EXPERIMENT
    if status.kind == "L2VNI":
        yield from _of_the_vrf(accepted, status)
    if status.kind == "Underlay" and accepted.underlay is not None:
        yield from _of_the_mtu(accepted, underlay_mtu)
        yield from _of_neighbors(accepted.underlay.spec)
        yield from _of_isis(accepted.underlay.spec)


def _of_the_vrf(accepted: Accepted, status: ResourceStatus) -> Iterator[str]:
    vrf = accepted.domain(accepted.l2vni(status.owner))
    if vrf and not accepted.maker(vrf):
        near = closest(vrf, [r.spec.vrf for r in accepted.l3vnis])
        text = f"vrf: no L3VNI on this node makes {vrf}, so it has no routes to other nodes"
        yield f"{text}{f'; did you mean {near}?' if near else ''}"


def _of_the_mtu(accepted: Accepted, underlay_mtu: int) -> Iterator[str]:
    left = min((overlay_mtu(v, underlay_mtu) for v in accepted.vteps), default=MINIMUM_MTU)
    if left < MINIMUM_MTU:
        yield f"MTU {underlay_mtu} leaves {left} bytes in the overlay; IPv6 needs {MINIMUM_MTU}"


def _of_neighbors(underlay: Underlay) -> Iterator[str]:
    for index, neighbor in enumerate(underlay.neighbors):
        where = f"neighbors[{index}]"
        if neighbor.interface is not None and neighbor.interface not in underlay.nics:
            text = f"{where}.interface: {neighbor.interface} is not among `interfaces`"
            yield f"{text}, so this session stays down{_meant(neighbor.interface, underlay)}"
        if neighbor.link_local and neighbor.interface is None:
            link = underlay.link_of(neighbor)
            yield f"{where}.address: IPv6 link-local, taken to be on {link}, the only interface"
        if neighbor.multihop and not underlay.multihop(neighbor):
            what = _without_hops(underlay, neighbor)
            yield f"{where}.properties: ebgpMultiHop is left out: FRR has none for {what} session"


def _without_hops(underlay: Underlay, neighbor: Neighbor) -> str:
    if underlay.is_internal(neighbor):
        return "an internal"
    return "an unnumbered" if neighbor.unnumbered else "a link-local"


def _of_isis(underlay: Underlay) -> Iterator[str]:
    for index, circuit in enumerate(underlay.isis.interfaces if underlay.isis is not None else ()):
        if circuit.name not in (LOOPBACK, *underlay.nics):
            text = f"isis.interfaces[{index}].name: {circuit.name} is neither lo nor among"
            yield f"{text} `interfaces`, so IS-IS waits for it{_meant(circuit.name, underlay)}"


def _meant(name: str, underlay: Underlay) -> str:
    near = closest(name, underlay.nics)
    return f"; did you mean {near}?" if near else ""
