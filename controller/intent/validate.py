"""The rules between resources of one node: who is accepted, who is not and why. Pure.

Of two that exclude each other the first in the order of the files stays: a resource that comes
later never disturbs one that is there. Kinds are judged in the order in which they depend on one
another, so a rejected one is simply absent when its dependants are judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from controller.intent import addressing
from controller.intent.addresses import IpAddress, Network
from controller.intent.fields import Spec
from controller.intent.node import Node
from controller.intent.overlay import HostSession, L2Vni, L3Passthrough, L3Vni, RawFrrConfig
from controller.intent.resolve import Selection
from controller.intent.rules import Complaint, Path, closest
from controller.intent.schema import (
    DEPENDENCY_FAILED,
    VALIDATION_FAILED,
    Resource,
    rejected,
)
from controller.intent.underlay import Underlay
from controller.model.view import ResourceStatus

S = TypeVar("S", bound=Spec)

RESERVED = re.compile(r"all|default|lo|(ac|br|br-hs-|vx|pe-e-|host-e-)[1-9]\d*|pt-ns|pt-host|cp-.*")
"""Names that no VRF and no NIC can have: devices of ours do, the kernel, or FRR means another."""


class DependencyFailed(Exception):
    """What the resource refers to is missing or was itself rejected."""

    def __init__(self, path: Path, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.complaint = Complaint(path, message, suggestion)


class Unmet(Complaint):
    """A complaint about something else that is missing or was itself rejected."""


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
    asked_vrfs: frozenset[str] = frozenset()  # those of all L3VNIs, rejected ones too

    def vtep(self, spec: L3Vni | L2Vni) -> IpAddress:
        """Return the VTEP address that a VNI uses. Raises DependencyFailed."""
        family = spec.underlay_address_family
        for address in self.vteps:
            if family in (None, f"IPv{address.version}"):
                return address
        if not self.vteps:
            raise DependencyFailed((), "the Underlay has no tunnelEndpoint")
        text = f"the Underlay's tunnelEndpoint has no {family} CIDR"
        raise DependencyFailed(("underlayAddressFamily",), text)

    def domain(self, resource: Resource[L2Vni]) -> str:
        """Return the VRF of an L2VNI, "" for none. Raises DependencyFailed."""
        if (domain := resource.spec.routing_domain) is not None:
            found = self._called(domain.l3vni.name, resource.namespace)
            if found is not None:
                return found.spec.vrf
            wanted = domain.l3vni.name
            text = f"routingDomain L3VNI {wanted} is missing, rejected or not on this node"
            meant = closest(wanted, [r.given_name for r in self.l3vnis])
            raise DependencyFailed(("routingDomain", "l3vni", "name"), text, meant)
        vrf = resource.spec.vrf or ""
        if vrf in self.asked_vrfs and not self.maker(vrf):
            raise DependencyFailed(("vrf",), f"the L3VNI that makes VRF {vrf} is rejected")
        return vrf

    def maker(self, vrf: str) -> Resource[L3Vni] | None:
        """Return the L3VNI that makes a VRF; None for one of L2VNIs alone."""
        return next((r for r in self.l3vnis if r.spec.vrf == vrf), None)

    def _called(self, name: str, namespace: str) -> Resource[L3Vni] | None:
        """Return the L3VNI of this name in the same Kubernetes namespace, or else in another."""
        found = [r for r in self.l3vnis if r.given_name == name]
        return min(found, key=lambda r: r.namespace != namespace, default=None)

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
            if self.domain(l2vni) == vrf:
                for gateway in l2vni.spec.gateway_ips:
                    yield gateway.network, str(l2vni)


def validate(selection: Selection, node: Node) -> Accepted:
    """Judge the resources of a node one by one."""
    accepted = Accepted(node, asked_vrfs=frozenset(r.spec.vrf for r in selection.l3vnis))
    for underlay in selection.underlays:
        _judge(accepted, underlay, _check_underlay, _take_underlay)
    for passthrough in selection.passthroughs:
        _judge(accepted, passthrough, _check_passthrough, _take_passthrough)
    for l3vni in selection.l3vnis:
        _judge(accepted, l3vni, _check_l3vni, lambda a, r: a.l3vnis.append(r))
    for l2vni in selection.l2vnis:
        _judge(accepted, l2vni, _check_l2vni, lambda a, r: a.l2vnis.append(r))
    for raw in selection.raws:
        _judge(accepted, raw, lambda _a, _r: (), lambda a, r: a.raws.append(r))
    return accepted


def _judge(
    accepted: Accepted,
    resource: Resource[S],
    check: Callable[[Accepted, Resource[S]], Iterable[Complaint]],
    take: Callable[[Accepted, Resource[S]], None],
) -> None:
    """Take a resource about which there is no complaint, and note its status with all there are."""
    complaints = list(check(accepted, resource))
    if not complaints:
        take(accepted, resource)
        accepted.statuses.append(ResourceStatus(resource.kind, resource.name, True))
        return
    unmet = all(isinstance(complaint, Unmet) for complaint in complaints)
    violations = [resource.violation(complaint) for complaint in complaints]
    reason = DEPENDENCY_FAILED if unmet else VALIDATION_FAILED
    accepted.statuses.append(rejected(resource.kind, resource.name, violations, reason))


def _check_underlay(accepted: Accepted, resource: Resource[Underlay]) -> Iterator[Complaint]:
    if accepted.underlay is not None:
        yield Complaint((), f"a node has one Underlay, and here it is {accepted.underlay.name}")
    spec, index = resource.spec, accepted.node.index
    for i, interface in enumerate(spec.interfaces):
        at: Path = ("interfaces", i, "networkDevice", "interfaceName")
        yield from _check_name("an interface", interface.name, at)
    yield from _check_host("routerIDCIDR", spec.router_id_cidr, index + 1, ("routerIDCIDR",))
    for i, cidr in enumerate(_cidrs(spec)):
        at = ("tunnelEndpoint", "cidrs", i)
        yield from _check_host("tunnelEndpoint.cidrs", cidr, index, at)
    if spec.isis is not None:
        try:
            spec.isis.net(index)
        except ValueError as error:
            yield Complaint(("isis", "baseNet"), str(error))


def _take_underlay(accepted: Accepted, resource: Resource[Underlay]) -> None:
    vteps = [addressing.host(cidr, accepted.node.index) for cidr in _cidrs(resource.spec)]
    accepted.vteps = tuple(sorted(vteps, key=lambda address: address.version))
    accepted.underlay = resource


def _cidrs(spec: Underlay) -> tuple[Network, ...]:
    return spec.tunnel_endpoint.cidrs if spec.tunnel_endpoint is not None else ()


def _check_host(field: str, pool: Network, number: int, at: Path) -> Iterator[Complaint]:
    """Complain of a pool that is too small for the node's address."""
    try:
        addressing.host(pool, number)
    except ValueError as error:
        text = f"{field} {error}: make it larger, or the node's number smaller"
        yield Complaint(at, text)


def _check_passthrough(
    accepted: Accepted, resource: Resource[L3Passthrough]
) -> Iterator[Complaint]:
    if accepted.passthrough is not None:
        text = f"a node has one L3Passthrough, and here it is {accepted.passthrough.name}"
        yield Complaint((), text)
    session = resource.spec.host_session
    yield from _check_underlay_is_there(accepted)
    if accepted.underlay is not None and session.asn != accepted.underlay.spec.asn:
        text = (
            f"hostSession.asn {session.asn} is not the Underlay's {accepted.underlay.spec.asn}, in "
            "whose instance the session is"
        )
        yield Complaint(("hostSession", "asn"), text)
    yield from _check_leg(accepted, session)


def _take_passthrough(accepted: Accepted, resource: Resource[L3Passthrough]) -> None:
    accepted.passthrough = resource


def _check_l3vni(accepted: Accepted, resource: Resource[L3Vni]) -> Iterator[Complaint]:
    spec = resource.spec
    yield from _check_vtep(accepted, spec)
    yield from _check_vni(accepted, spec.vni)
    for other in accepted.l3vnis:
        if other.spec.vrf == spec.vrf:
            yield Complaint(("vrf",), f"VRF {spec.vrf} is already that of {other}")
    yield from _check_vrf(accepted, spec.vrf)
    if spec.host_session is not None:
        yield from _check_leg(accepted, spec.host_session)


def _check_l2vni(accepted: Accepted, resource: Resource[L2Vni]) -> Iterator[Complaint]:
    spec = resource.spec
    yield from _check_vtep(accepted, spec)
    yield from _check_vni(accepted, spec.vni)
    try:
        vrf = accepted.domain(resource)
    except DependencyFailed as error:
        yield Unmet(*error.complaint)
        return
    if vrf and not accepted.maker(vrf):
        yield from _check_vrf(accepted, vrf)
    for index, gateway in enumerate(spec.gateway_ips):
        for subnet, owner in accepted.subnets(vrf):
            if subnet.overlaps(gateway.network):
                text = f"gateway {gateway} overlaps {subnet} of {owner} in the same VRF"
                yield Complaint(("gatewayIPs", index), text)


def _check_underlay_is_there(accepted: Accepted) -> Iterator[Complaint]:
    if accepted.underlay is None:
        yield Unmet((), "this node has no Underlay, or it was rejected")


def _check_vtep(accepted: Accepted, spec: L3Vni | L2Vni) -> Iterator[Complaint]:
    yield from _check_underlay_is_there(accepted)
    if accepted.underlay is not None:
        try:
            accepted.vtep(spec)
        except DependencyFailed as error:
            yield Unmet(*error.complaint)


def _check_name(what: str, name: str, at: Path) -> Iterator[Complaint]:
    if RESERVED.fullmatch(name):
        yield Complaint(
            at, f"{what} cannot be called {name}: that name is reserved; choose another"
        )


def _check_vrf(accepted: Accepted, vrf: str) -> Iterator[Complaint]:
    yield from _check_name("a VRF", vrf, ("vrf",))
    if accepted.underlay is not None and vrf in accepted.underlay.spec.nics:
        yield Complaint(("vrf",), f"a VRF cannot be called {vrf}: an interface has that name")


def _check_vni(accepted: Accepted, vni: int) -> Iterator[Complaint]:
    taken: list[Resource[L3Vni] | Resource[L2Vni]] = [*accepted.l3vnis, *accepted.l2vnis]
    for other in taken:
        if other.spec.vni == vni:
            yield Complaint(("vni",), f"VNI {vni} is already that of {other}")


def _check_leg(accepted: Accepted, session: HostSession) -> Iterator[Complaint]:
    for name in ("ipv4", "ipv6"):
        pool = getattr(session.local_cidr, name)
        if pool is None:
            continue
        at = ("hostSession", "localCIDR", name)
        for other, owner in accepted.host_pools():
            if pool.overlaps(other):
                yield Complaint(at, f"localCIDR {pool} overlaps {other} of {owner}")
        try:
            addressing.leg(pool, accepted.node.index)
        except ValueError as error:
            text = f"hostSession.localCIDR {error}: make it larger, or the node's number smaller"
            yield Complaint(at, text)
