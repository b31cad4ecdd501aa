"""Intent: the devices of a node and FRR's settings, from its resources. Pure.

Everything here is decided by the resource itself and the node's number, never by what other
resources there are: adding one changes nothing for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from controller.intent import addressing, bgp
from controller.intent.fields import IpAddress
from controller.intent.node import Namespaces, Node
from controller.intent.overlay import HostMaster, HostSession, L2Vni, L3Vni
from controller.intent.resolve import select
from controller.intent.schema import Resources
from controller.intent.validate import Accepted, validate
from controller.model.frr import FrrSettings
from controller.model.links import Address, HostEnd, Port, Vni, Vrf
from controller.model.view import ResourceStatus

FIRST_TABLE = 1_000_000
"""A VRF's routing table is this plus its L3VNI: out of the way of what others choose by hand."""

UNDERLAY_MTU = 1500
OVERHEAD = {4: 50, 6: 70}
"""Outer Ethernet, IP, UDP and VXLAN headers, by the VTEP's address family (RFC 7348 section 5)."""
MINIMUM_MTU = 1280  # RFC 8200 section 5: the kernel takes IPv6 off an interface below this

PASSTHROUGH_PORT = "pt-ns"
PASSTHROUGH_HOST = "pt-host"


@dataclass(frozen=True, slots=True)
class Intent:
    """What should be true on a node, as far as it was wanted."""

    node: Node = field(default_factory=Node)
    vrfs: tuple[Vrf, ...] = ()
    vnis: tuple[Vni, ...] = ()
    ports: tuple[Port, ...] = ()  # a NIC's addresses are empty: it keeps those that it has
    frr: FrrSettings = field(default_factory=FrrSettings)
    statuses: tuple[ResourceStatus, ...] = ()

    @property
    def namespaces(self) -> Namespaces:
        return self.node.namespaces


def compile(  # noqa: A001 - called as layout.compile
    resources: Resources, node: Node, underlay_mtu: int = UNDERLAY_MTU
) -> Intent:
    """Compile resources for a node whose narrowest underlay device has `underlay_mtu`."""
    accepted = validate(select(resources.items, node), node)
    statuses = (*resources.rejected, *accepted.statuses)
    return Intent(
        node=node,
        vrfs=tuple(Vrf(r.spec.vrf, FIRST_TABLE + r.spec.vni) for r in accepted.l3vnis),
        vnis=tuple(_vnis(accepted, underlay_mtu)),
        ports=tuple(_ports(accepted, underlay_mtu)),
        frr=bgp.settings(accepted),
        statuses=tuple(_remark(accepted, status, underlay_mtu) for status in statuses),
    )


def _vnis(accepted: Accepted, underlay_mtu: int) -> Iterator[Vni]:
    for l3vni in accepted.l3vnis:
        vtep = accepted.vtep(l3vni.spec)
        yield Vni(
            vni=l3vni.spec.vni,
            layer=3,
            vrf=l3vni.spec.vrf,
            local=vtep.packed,
            port=l3vni.spec.vxlan_port,
            mac=addressing.router_mac(vtep, l3vni.spec.vni),
            mtu=_mtu(vtep, underlay_mtu),
        )
    for l2vni in accepted.l2vnis:
        vtep = accepted.vtep(l2vni.spec)
        domain = accepted.domain(l2vni.spec)
        yield Vni(
            vni=l2vni.spec.vni,
            layer=2,
            vrf=domain.spec.vrf if domain is not None else "",
            local=vtep.packed,
            port=l2vni.spec.vxlan_port,
            mac=addressing.gateway_mac(l2vni.spec.vni),
            gateways=tuple(
                Address(gateway.ip.packed, gateway.network.prefixlen)
                for gateway in l2vni.spec.gateway_ips
            ),
            mtu=_mtu(vtep, underlay_mtu),
        )


def _ports(accepted: Accepted, underlay_mtu: int) -> Iterator[Port]:
    if accepted.underlay is None:
        return
    namespaces = accepted.node.namespaces
    if accepted.vteps:
        vteps = tuple(addressing.loopback(vtep) for vtep in accepted.vteps)
        yield Port("lo", addresses=vteps, loopback=True)
    there_already = namespaces.host and namespaces.host == namespaces.forwarding
    for interface in accepted.underlay.spec.interfaces:
        source = None if there_already else namespaces.host
        yield Port(interface.name, source_netns=source, twin=True)
    if accepted.passthrough is not None:
        passthrough = accepted.passthrough.spec
        end = HostEnd(passthrough.host_netns or namespaces.host, PASSTHROUGH_HOST)
        leg = Port(PASSTHROUGH_PORT, host=end, twin=True)
        yield _addressed(leg, passthrough.host_session, accepted.node)
    for l3vni in accepted.l3vnis:
        if l3vni.spec.host_session is not None:
            leg = _leg(accepted, l3vni.spec, underlay_mtu)
            leg = replace(leg, vrf=l3vni.spec.vrf, twin=True)
            yield _addressed(leg, l3vni.spec.host_session, accepted.node)
    for l2vni in accepted.l2vnis:
        yield _bridged(_leg(accepted, l2vni.spec, underlay_mtu), l2vni.spec)


def _leg(accepted: Accepted, spec: L3Vni | L2Vni, underlay_mtu: int) -> Port:
    return Port(
        f"pe-e-{spec.vni}",
        mtu=_mtu(accepted.vtep(spec), underlay_mtu),
        host=HostEnd(spec.host_netns or accepted.node.namespaces.host, f"host-e-{spec.vni}"),
    )


def _addressed(leg: Port, session: HostSession, node: Node) -> Port:
    """Give both ends of a routed leg their addresses."""
    assert leg.host is not None
    pairs = [addressing.leg(pool, node.index) for pool in session.local_cidr.pools]
    return replace(
        leg,
        addresses=tuple(ours for ours, _ in pairs),
        host=replace(leg.host, addresses=tuple(theirs for _, theirs in pairs)),
    )


def _bridged(leg: Port, spec: L2Vni) -> Port:
    """Attach the host's end of an L2VNI's leg as the resource says."""
    assert leg.host is not None
    bridge, ours = _host_bridge(spec.host_master, spec.vni)
    return replace(leg, vni=spec.vni, host=replace(leg.host, bridge=bridge, create_bridge=ours))


def _host_bridge(master: HostMaster | None, vni: int) -> tuple[str, bool]:
    if master is None:
        return "", False
    if master.linux_bridge.name is not None:
        return master.linux_bridge.name, False
    return f"br-hs-{vni}", True


def _mtu(vtep: IpAddress, underlay_mtu: int) -> int:
    return underlay_mtu - OVERHEAD[vtep.version]


def _remark(accepted: Accepted, status: ResourceStatus, underlay_mtu: int) -> ResourceStatus:
    """Say of the Underlay in use that its devices are too narrow, if they are."""
    if not status.ready or status.kind != "Underlay" or not accepted.vteps:
        return status
    left = min(_mtu(vtep, underlay_mtu) for vtep in accepted.vteps)
    if left >= MINIMUM_MTU:
        return status
    message = f"MTU {underlay_mtu} leaves {left} bytes in the overlay; IPv6 needs {MINIMUM_MTU}"
    return replace(status, message=message)
