"""The rules between resources of one node: who is accepted, who is not and why. Pure.

Of two that exclude each other the first in the order of the files stays: a resource that comes
later never disturbs one that is there. Kinds are judged in the order in which they depend on one
another, so a rejected one is simply absent when its dependants are judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from controller.intent import addressing
from controller.intent.fields import IpAddress, Network, Spec
from controller.intent.node import Node
from controller.intent.overlay import HostSession, L2Vni, L3Passthrough, L3Vni, RawFrrConfig
from controller.intent.resolve import Selection
from controller.intent.schema import Resource
from controller.intent.underlay import Underlay
from controller.model.view import ResourceStatus

S = TypeVar("S", bound=Spec)

RESERVED = re.compile(r"all|default|lo|(ac|br|br-hs-|vx|pe-e-|host-e-)[1-9]\d*|pt-ns|pt-host|cp-.*")
"""Names that no VRF and no NIC can have: devices of ours do, the kernel, or FRR means another."""


class Rejected(Exception):
    """Why a resource cannot be taken."""

    reason = "ValidationFailed"


class DependencyFailed(Rejected):
    """What the resource refers to is missing or was itself rejected."""

    reason = "DependencyFailed"


@dataclass(slots=True)
class Accepted:
    """The resources that stand, and a status for every one that was judged."""

    node: Node
    underlay: Resource[Underlay] | None = None
    vteps: tuple[IpAddress, ...] = ()  # IPv4 before IPv6
    l3vnis: list[Resource[L3Vni]] = field(default_factory=list)
    l2vnis: list[Resource[L2Vni]] = field(default_factory=list)
    passthrough: Resource[L3Passthrough] | None = None
    raws: list[Resource[RawFrrConfig]] = field(default_factory=list)
    statuses: list[ResourceStatus] = field(default_factory=list)

    def vtep(self, spec: L3Vni | L2Vni) -> IpAddress:
        """Return the VTEP address that a VNI uses. Raises DependencyFailed."""
        family = spec.underlay_address_family
        for address in self.vteps:
            if family in (None, f"IPv{address.version}"):
                return address
        if not self.vteps:
            raise DependencyFailed("the Underlay has no tunnelEndpoint")
        raise DependencyFailed(f"the Underlay's tunnelEndpoint has no {family} CIDR")

    def domain(self, spec: L2Vni) -> Resource[L3Vni] | None:
        """Return the L3VNI in whose VRF an L2VNI is. Raises DependencyFailed."""
        if spec.routing_domain is not None:
            wanted = spec.routing_domain.l3vni.name
            found = [r for r in self.l3vnis if r.name == wanted]
            problem = f"routingDomain L3VNI {wanted} is missing, rejected or not on this node"
        elif spec.vrf is not None:
            found = [r for r in self.l3vnis if r.spec.vrf == spec.vrf]
            problem = f"no L3VNI on this node makes VRF {spec.vrf}"
        else:
            return None
        if not found:
            raise DependencyFailed(problem)
        return found[0]

    def host_pools(self) -> Iterator[tuple[Network, str]]:
        """Yield the pools of host legs with the resource that has them."""
        resources: list[Resource[L3Vni] | Resource[L3Passthrough]] = [*self.l3vnis]
        if self.passthrough is not None:
            resources.append(self.passthrough)
        for resource in resources:
            if resource.spec.host_session is not None:
                for pool in resource.spec.host_session.local_cidr.pools:
                    yield pool, str(resource)

    def subnets(self, vrf: str) -> Iterator[tuple[Network, str]]:
        """Yield the subnets in a VRF with the resource that has them."""
        for l3vni in self.l3vnis:
            if l3vni.spec.vrf == vrf and l3vni.spec.host_session is not None:
                for pool in l3vni.spec.host_session.local_cidr.pools:
                    yield pool, str(l3vni)
        for l2vni in self.l2vnis:
            domain = self.domain(l2vni.spec)
            if domain is not None and domain.spec.vrf == vrf:
                for gateway in l2vni.spec.gateway_ips:
                    yield gateway.network, str(l2vni)


def validate(selection: Selection, node: Node) -> Accepted:
    """Judge the resources of a node one by one."""
    accepted = Accepted(node)
    for underlay in selection.underlays:
        _judge(accepted, underlay, _take_underlay)
    for passthrough in selection.passthroughs:
        _judge(accepted, passthrough, _take_passthrough)
    for l3vni in selection.l3vnis:
        _judge(accepted, l3vni, _take_l3vni)
    for l2vni in selection.l2vnis:
        _judge(accepted, l2vni, _take_l2vni)
    for raw in selection.raws:
        _judge(accepted, raw, lambda a, r: a.raws.append(r))
    return accepted


def _judge(
    accepted: Accepted, resource: Resource[S], take: Callable[[Accepted, Resource[S]], None]
) -> None:
    try:
        take(accepted, resource)
    except Rejected as verdict:
        why = f"{verdict} ({resource.source})" if resource.source else str(verdict)
        status = ResourceStatus(resource.kind, resource.name, False, verdict.reason, why)
    else:
        status = ResourceStatus(resource.kind, resource.name, True)
    accepted.statuses.append(status)


def _take_underlay(accepted: Accepted, resource: Resource[Underlay]) -> None:
    if accepted.underlay is not None:
        raise Rejected(f"a node has one Underlay, and here it is {accepted.underlay.name}")
    spec, index = resource.spec, accepted.node.index
    for interface in spec.interfaces:
        _check_name("an interface", interface.name)
    cidrs = spec.tunnel_endpoint.cidrs if spec.tunnel_endpoint is not None else ()
    try:
        _host("routerIDCIDR", spec.router_id_cidr, index + 1)
        vteps = [_host("tunnelEndpoint.cidrs", cidr, index) for cidr in cidrs]
        if spec.isis is not None:
            spec.isis.net(index)
    except ValueError as error:
        raise Rejected(str(error)) from None
    accepted.vteps = tuple(sorted(vteps, key=lambda address: address.version))
    accepted.underlay = resource


def _host(field: str, pool: Network, number: int) -> IpAddress:
    """Return an address of a pool, or raise ValueError with the field that is too small."""
    try:
        return addressing.host(pool, number)
    except ValueError as error:
        raise ValueError(f"{field} {error}: make it larger, or the node's number smaller") from None


def _take_passthrough(accepted: Accepted, resource: Resource[L3Passthrough]) -> None:
    if accepted.passthrough is not None:
        raise Rejected(f"a node has one L3Passthrough, and here it is {accepted.passthrough.name}")
    underlay, session = _require_underlay(accepted), resource.spec.host_session
    if session.asn != underlay.asn:
        raise Rejected(
            f"hostSession.asn {session.asn} is not the Underlay's {underlay.asn}, in whose "
            "instance the session is"
        )
    _check_leg(accepted, session)
    accepted.passthrough = resource


def _take_l3vni(accepted: Accepted, resource: Resource[L3Vni]) -> None:
    spec = resource.spec
    underlay = _require_underlay(accepted)
    accepted.vtep(spec)
    _check_vni(accepted, spec.vni)
    for other in accepted.l3vnis:
        if other.spec.vrf == spec.vrf:
            raise Rejected(f"VRF {spec.vrf} is already that of {other}")
    _check_name("a VRF", spec.vrf)
    if spec.vrf in {interface.name for interface in underlay.interfaces}:
        raise Rejected(f"a VRF cannot be called {spec.vrf}: an interface has that name")
    if spec.host_session is not None:
        _check_leg(accepted, spec.host_session)
    accepted.l3vnis.append(resource)


def _take_l2vni(accepted: Accepted, resource: Resource[L2Vni]) -> None:
    spec = resource.spec
    _require_underlay(accepted)
    accepted.vtep(spec)
    _check_vni(accepted, spec.vni)
    domain = accepted.domain(spec)
    for gateway in spec.gateway_ips if domain is not None else ():
        for subnet, owner in accepted.subnets(domain.spec.vrf if domain is not None else ""):
            if subnet.overlaps(gateway.network):
                raise Rejected(f"gateway {gateway} overlaps {subnet} of {owner} in the same VRF")
    accepted.l2vnis.append(resource)


def _require_underlay(accepted: Accepted) -> Underlay:
    if accepted.underlay is None:
        raise DependencyFailed("this node has no Underlay, or it was rejected")
    return accepted.underlay.spec


def _check_name(what: str, name: str) -> None:
    if RESERVED.fullmatch(name):
        raise Rejected(f"{what} cannot be called {name}: that name is reserved; choose another")


def _check_vni(accepted: Accepted, vni: int) -> None:
    taken: list[Resource[L3Vni] | Resource[L2Vni]] = [*accepted.l3vnis, *accepted.l2vnis]
    for other in taken:
        if other.spec.vni == vni:
            raise Rejected(f"VNI {vni} is already that of {other}")


def _check_leg(accepted: Accepted, session: HostSession) -> None:
    for pool in session.local_cidr.pools:
        for other, owner in accepted.host_pools():
            if pool.overlaps(other):
                raise Rejected(f"localCIDR {pool} overlaps {other} of {owner}")
        try:
            addressing.leg(pool, accepted.node.index)
        except ValueError as error:
            text = f"hostSession.localCIDR {error}: make it larger, or the node's number smaller"
            raise Rejected(text) from None
