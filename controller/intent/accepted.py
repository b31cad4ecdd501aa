"""The accepted resources of one node, with indexes for the rules between them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from controller.intent.addresses import IpAddress, Network
from controller.intent.node import Node
from controller.intent.overlaps import Overlaps
from controller.intent.overlay import HostSession, L2Vni, L3Passthrough, L3Vni, RawFrrConfig
from controller.intent.rules import Complaint, Path, closest
from controller.intent.schema import Owner, Resource
from controller.intent.underlay import Underlay
from dualpath.model.view import ResourceStatus


class DependencyFailed(Exception):
    """The resource refers to something that is missing or was rejected."""

    def __init__(self, path: Path, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.complaint = Complaint(path, message, suggestion)


class Unmet(Complaint):
    """A complaint that something else is missing or was rejected."""


@dataclass(slots=True)
class _Segments:
    """The L2VNIs of one VRF, and the subnets of their gateways."""

    l2vnis: list[Resource[L2Vni]] = field(default_factory=list)
    subnets: Overlaps = field(default_factory=Overlaps)

    def add(self, resource: Resource[L2Vni]) -> None:
        self.l2vnis.append(resource)
        for gateway in resource.spec.gateway_ips:
            self.subnets.add(gateway.network, str(resource))


@dataclass(slots=True)
class Accepted:
    """The accepted resources, and a status for every resource that was judged."""

    node: Node
    underlay: Resource[Underlay] | None = None
    vteps: tuple[IpAddress, ...] = ()  # IPv4 before IPv6
    l3vnis: list[Resource[L3Vni]] = field(default_factory=list)
    l2vnis: list[Resource[L2Vni]] = field(default_factory=list)
    passthrough: Resource[L3Passthrough] | None = None
    raws: list[Resource[RawFrrConfig]] = field(default_factory=list)
    statuses: list[ResourceStatus] = field(default_factory=list)
    asked_vrfs: frozenset[str] = frozenset()  # those of all L3VNIs, rejected ones too
    asked_names: frozenset[tuple[str, str]] = frozenset()  # their names, with namespaces
    # Indexes, so that the work for one resource does not grow with the others:
    _named: dict[str, list[Resource[L3Vni]]] = field(init=False, repr=False)  # by given name
    _vnis: dict[int, list[Resource[L3Vni] | Resource[L2Vni]]] = field(init=False, repr=False)
    _makers: dict[str, list[Resource[L3Vni]]] = field(init=False, repr=False)  # by VRF
    _host_pools: Overlaps = field(init=False, repr=False)
    _owned: dict[Owner, Resource[L2Vni]] = field(init=False, repr=False)
    _owners: set[Owner] = field(init=False, repr=False)  # of all VNIs
    _segments: dict[str, _Segments] | None = field(init=False, repr=False, default=None)  # by VRF

    def __post_init__(self) -> None:
        self._named, self._vnis, self._makers, self._owned = {}, {}, {}, {}
        self._host_pools, self._segments, self._owners = Overlaps(), None, set()
        for l3vni in self.l3vnis:
            self._index(l3vni)
        for l2vni in self.l2vnis:
            self._index_l2vni(l2vni)

    def add_l3vni(self, resource: Resource[L3Vni]) -> None:
        self.l3vnis.append(resource)
        self._index(resource)
        self._segments = None  # the VRF of an L2VNI may follow from it

    def _index(self, resource: Resource[L3Vni]) -> None:
        self._named.setdefault(resource.given_name, []).append(resource)
        self._vnis.setdefault(resource.spec.vni, []).append(resource)
        self._makers.setdefault(resource.spec.vrf, []).append(resource)
        self._owners.add(resource.owner)
        for _, pool in pools(resource.spec.host_session):
            self._host_pools.add(pool, str(resource))

    def add_l2vni(self, resource: Resource[L2Vni]) -> None:
        self.l2vnis.append(resource)
        self._index_l2vni(resource)
        if self._segments is not None:
            self._place(resource, self._segments)

    def _index_l2vni(self, resource: Resource[L2Vni]) -> None:
        self._vnis.setdefault(resource.spec.vni, []).append(resource)
        self._owned.setdefault(resource.owner, resource)
        self._owners.add(resource.owner)

    def _place(self, resource: Resource[L2Vni], segments: dict[str, _Segments]) -> None:
        with suppress(DependencyFailed):
            segments.setdefault(self.domain(resource), _Segments()).add(resource)

    def segments(self) -> Mapping[str, _Segments]:
        """Return the L2VNIs by VRF, "" for those without one."""
        if self._segments is None:
            found: dict[str, _Segments] = {}
            for resource in self.l2vnis:
                self._place(resource, found)
            self._segments = found
        return self._segments

    def segments_of(self, vrf: str) -> Sequence[Resource[L2Vni]]:
        """Return the L2VNIs in a VRF."""
        found = self.segments().get(vrf)
        return found.l2vnis if found else ()

    def l2vni(self, owner: Owner) -> Resource[L2Vni]:
        """Return an accepted L2VNI."""
        return self._owned[owner]

    def users(self, vni: int) -> Sequence[Resource[L3Vni] | Resource[L2Vni]]:
        """Return the resources with this VNI."""
        return self._vnis.get(vni, ())

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
            meant = closest(wanted, [r.given_name for r in self.l3vnis if r.given_name != wanted])
            raise DependencyFailed(("routingDomain", "l3vni", "name"), text, meant)
        vrf = resource.spec.vrf or ""
        if vrf in self.asked_vrfs and not self.maker(vrf):
            raise DependencyFailed(("vrf",), f"the L3VNI that makes VRF {vrf} is rejected")
        return vrf

    def maker(self, vrf: str) -> Resource[L3Vni] | None:
        """Return the L3VNI that creates a VRF; None if it has L2VNIs only."""
        return next(iter(self.makers(vrf)), None)

    def makers(self, vrf: str) -> Sequence[Resource[L3Vni]]:
        """Return the L3VNIs with this VRF: one, unless rejected ones are noted too."""
        return self._makers.get(vrf, ())

    def _called(self, name: str, namespace: str) -> Resource[L3Vni] | None:
        """Return the L3VNI of this name in the same Kubernetes namespace, or else in another.

        An L3VNI of another namespace never replaces a rejected one: it is another tenant's.
        """
        found = self._named.get(name, [])
        if (namespace, name) in self.asked_names:
            found = [r for r in found if r.namespace == namespace]
        return min(found, key=lambda r: r.namespace != namespace, default=None)

    def overlapping_pools(self, pool: Network) -> Iterator[tuple[Network, str]]:
        """Yield the address pools of host legs that overlap a pool, each with its resource."""
        yield from self._host_pools.of(pool)
        if self.passthrough is not None:
            for _, other in pools(self.passthrough.spec.host_session):
                if pool.overlaps(other):
                    yield other, str(self.passthrough)

    def overlapping_subnets(self, vrf: str, network: Network) -> Iterator[tuple[Network, str]]:
        """Yield the subnets in a VRF that overlap a network, each with its resource."""
        for l3vni in self.makers(vrf):
            for _, pool in pools(l3vni.spec.host_session):
                if pool.overlaps(network):
                    yield pool, str(l3vni)
        if segments := self.segments().get(vrf):
            yield from segments.subnets.of(network)

    def note(self, partial: Resource[Any]) -> None:
        """Note a VNI of a rejected resource, so that later ones are compared with it."""
        spec = partial.spec
        with suppress(AttributeError, DependencyFailed):
            if isinstance(spec, L3Vni) and spec.vni and spec.vrf:
                list(pools(spec.host_session))
                self.add_l3vni(partial)
            elif isinstance(spec, L2Vni) and spec.vni:
                self.domain(partial)
                if all(spec.gateway_ips):
                    self.add_l2vni(partial)

    def copy(self) -> Accepted:
        """Return a copy to which further VNIs can be added."""
        return replace(self, l3vnis=[*self.l3vnis], l2vnis=[*self.l2vnis])

    def without(self, owner: Owner) -> Accepted:
        """Return the other resources: two versions of one resource do not conflict.

        It is this object if it has no resource of that owner.
        """
        mine = self.underlay is not None and self.underlay.owner == owner
        leg = self.passthrough is not None and self.passthrough.owner == owner
        if not (mine or leg or owner in self._owners):
            return self
        return replace(
            self,
            underlay=None if mine else self.underlay,
            vteps=() if mine else self.vteps,
            passthrough=None if leg else self.passthrough,
            l3vnis=[r for r in self.l3vnis if r.owner != owner],
            l2vnis=[r for r in self.l2vnis if r.owner != owner],
        )


def pools(session: HostSession | None) -> Iterator[tuple[Path, Network]]:
    for name in ("ipv4", "ipv6") if session is not None else ():
        pool = getattr(session.local_cidr, name) if session is not None else None
        if pool is not None:
            yield ("hostSession", "localCIDR", name), pool
