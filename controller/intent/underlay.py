"""The Underlay: how a node reaches the fabric. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from controller.intent.fields import (
    Address,
    Asn,
    Cidr,
    DeviceName,
    InterfaceName,
    PeerType,
    Spec,
    Strict,
    exactly_one,
    number,
    refusal,
)
from controller.intent.isis import LOOPBACK, Isis
from controller.intent.sessions import GracefulRestart, SessionOptions

FamilyName = Literal["ipv4unicast", "ipv6unicast", "evpn"]


class MultiHop(Strict):
    ttl: Annotated[int, number(1, 255)]


class NeighborProperty(Strict):
    type: Literal["ebgpMultiHop"]
    ebgp_multi_hop: MultiHop


class FamilyProperty(Strict):
    type: Literal["routeReflectorClient"]


class AddressFamilySettings(Strict):
    """An address family of a neighbour; giving any replaces the defaults."""

    type: FamilyName
    properties: Annotated[tuple[FamilyProperty, ...], Field(max_length=1)] = ()

    @model_validator(mode="before")
    @classmethod
    def _no_vpn(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("type") in ("ipv4vpn", "ipv6vpn"):
            raise refusal(f"address family {data['type']} (L3VPN over SRv6) is not supported yet")
        return data


class Neighbor(SessionOptions):
    """A BGP peer in the fabric: a router, an unnumbered link, or a range that may connect."""

    asn: Asn | None = None
    type: PeerType | None = None
    address: Address | None = None
    interface: InterfaceName | None = None
    listen_range: Cidr | None = None
    port: Annotated[int, number(0, 16384)] | None = None
    properties: Annotated[tuple[NeighborProperty, ...], Field(max_length=1)] = ()
    address_families: Annotated[tuple[AddressFamilySettings, ...], Field(max_length=4)] = ()

    @property
    def id(self) -> str:
        """The neighbour's name in messages: what it was given by."""
        return str(self.address or self.interface or self.listen_range)

    @property
    def multihop(self) -> int:
        return self.properties[0].ebgp_multi_hop.ttl if self.properties else 0

    @model_validator(mode="after")
    def _one_peer_of_one_kind(self) -> Neighbor:
        exactly_one(self, "asn", "type")
        exactly_one(self, "address", "interface", "listen_range")
        if self.address is not None and self.address.is_link_local:
            raise refusal(f"neighbor {self.id}: for a link-local address give `interface` instead")
        if isinstance(self.listen_range, ipaddress.IPv6Network) and self.listen_range.is_link_local:
            raise refusal(f"neighbor {self.id}: listenRange must not be IPv6 link-local")
        return self

    @model_validator(mode="after")
    def _families_are_distinct(self) -> Neighbor:
        types = [family.type for family in self.address_families]
        if len(types) != len(set(types)):
            raise refusal(f"neighbor {self.id}: an address family is given twice")
        if self.type != "Internal" and any(f.properties for f in self.address_families):
            raise refusal(
                f"neighbor {self.id}: routeReflectorClient needs a neighbor of type Internal"
            )
        return self


class Dpdk(Strict):
    """Ours: how a DPDK datapath gets at a NIC; the kernel datapath needs none of it.

    `owned` takes the NIC from the kernel, and needs its device arguments; `shared` leaves it there.
    """

    devargs: Annotated[str, StringConstraints(pattern=r"^[!-~]*$", max_length=127)] = ""
    wiring: Literal["owned", "shared"] = "owned"

    @model_validator(mode="after")
    def _owned_is_told_where(self) -> Dpdk:
        if self.wiring == "owned" and not self.devargs:
            raise refusal("dpdk.wiring `owned` needs dpdk.devargs, such as 0000:01:00.0")
        return self


class NetworkDevice(Strict):
    interface_name: DeviceName
    dpdk: Dpdk | None = None


class UnderlayInterface(Strict):
    """A device of the node through which it reaches the fabric."""

    refused: ClassVar[Mapping[str, str]] = {
        "cniDevice": "is not supported yet: give a `networkDevice` that exists on the node"
    }

    type: Literal["NetworkDevice"]
    network_device: NetworkDevice

    @model_validator(mode="before")
    @classmethod
    def _no_cni(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("type") == "CNIDevice":
            raise refusal("interface type CNIDevice is not supported yet; use NetworkDevice")
        return data

    @property
    def name(self) -> str:
        return self.network_device.interface_name


class TunnelEndpoint(Strict):
    """Where VTEP addresses come from: the node's is host number `nodeIndex` of each CIDR."""

    cidrs: Annotated[tuple[Cidr, ...], Field(min_length=1, max_length=2)]

    @model_validator(mode="after")
    def _one_per_family(self) -> TunnelEndpoint:
        if len({cidr.version for cidr in self.cidrs}) != len(self.cidrs):
            raise refusal("tunnelEndpoint.cidrs takes one CIDR per address family")
        return self


class RouteReflector(Strict):
    cluster_id: Address = Field(default=ipaddress.IPv4Address("192.0.2.1"), alias="clusterID")

    @model_validator(mode="after")
    def _it_is_ipv4(self) -> RouteReflector:
        if self.cluster_id.version != 4:
            raise refusal(f"clusterID {self.cluster_id} is not IPv4")
        return self


class Underlay(Spec):
    """`spec` of an Underlay; there is one per node."""

    refused: ClassVar[Mapping[str, str]] = {
        "srv6": "is not supported yet: use L3VNI and L2VNI over VXLAN",
    }

    asn: Asn
    router_id_cidr: Cidr = Field(default=ipaddress.IPv4Network("10.0.0.0/24"), alias="routerIDCIDR")
    neighbors: Annotated[tuple[Neighbor, ...], Field(min_length=1, max_length=128)]
    interfaces: Annotated[tuple[UnderlayInterface, ...], Field(min_length=1)]
    tunnel_endpoint: TunnelEndpoint | None = None
    graceful_restart: GracefulRestart | None = None
    isis: Isis | None = None
    route_reflector: RouteReflector | None = None
    suppress_fib_pending: bool = Field(default=False, alias="suppressFIBPending", strict=True)

    @model_validator(mode="after")
    def _neighbors_are_distinct(self) -> Underlay:
        for what in ("address", "interface"):
            values = [v for n in self.neighbors if (v := getattr(n, what)) is not None]
            for value in values:
                if values.count(value) > 1:
                    raise refusal(f"two neighbors have {what} {value}")
        ranges = [n.listen_range for n in self.neighbors if n.listen_range is not None]
        for one, other in combinations(ranges, 2):
            if one.overlaps(other):
                raise refusal(f"listenRange {one} overlaps {other}")
        return self

    @model_validator(mode="after")
    def _interfaces_are_distinct_and_serve_the_protocols(self) -> Underlay:
        names = [interface.name for interface in self.interfaces]
        for name in names:
            if names.count(name) > 1:
                raise refusal(f"interface {name} is given twice")
        for neighbor in self.neighbors:
            if neighbor.interface is not None and neighbor.interface not in names:
                raise refusal(f"neighbor interface {neighbor.interface} is not among `interfaces`")
        for circuit in self.isis.interfaces if self.isis is not None else ():
            if circuit.name not in (LOOPBACK, *names):
                raise refusal(f"isis interface {circuit.name} is neither lo nor among `interfaces`")
        return self

    @model_validator(mode="after")
    def _multihop_is_for_external_neighbors_with_an_address(self) -> Underlay:
        """bgpd takes it of no other, and says nothing (peer_ebgp_multihop_set in bgpd.c)."""
        for neighbor in self.neighbors:
            internal = neighbor.type == "Internal" or neighbor.asn == self.asn
            if neighbor.multihop and (internal or neighbor.interface is not None):
                which = "internal" if internal else "unnumbered"
                raise refusal(
                    f"neighbor {neighbor.id}: ebgpMultiHop does not go with an {which} session"
                )
        return self

    @model_validator(mode="after")
    def _router_ids_are_ipv4_and_not_the_cluster(self) -> Underlay:
        if not isinstance(self.router_id_cidr, ipaddress.IPv4Network):
            raise refusal(f"routerIDCIDR {self.router_id_cidr} is not IPv4")
        reflector = self.route_reflector
        if reflector is not None and reflector.cluster_id in self.router_id_cidr:
            raise refusal(
                f"clusterID {reflector.cluster_id} lies in routerIDCIDR {self.router_id_cidr}"
            )
        return self
