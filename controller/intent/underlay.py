"""The kind Underlay: how a node reaches the fabric. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from controller.intent.addresses import Address, Cidr, PeerAddress, PeerRange, is_link_local
from controller.intent.cni import CniDevice
from controller.intent.fields import (
    Asn,
    DeviceName,
    Forwarder,
    InterfaceName,
    PeerType,
    Spec,
    number,
)
from controller.intent.isis import Isis
from controller.intent.rules import Complaint, Strict, exactly_one, repeated, rule
from controller.intent.sessions import GracefulRestart, SessionOptions

FamilyName = Literal["ipv4unicast", "ipv6unicast", "evpn"]


class MultiHop(Strict):
    ttl: Annotated[int, number(1, 255)] = 255  # FRR's limit


class NeighborProperty(Strict):
    type: Literal["ebgpMultiHop"]
    ebgp_multi_hop: MultiHop = MultiHop()


class FamilyProperty(Strict):
    type: Literal["routeReflectorClient"]


class AddressFamilySettings(Strict):
    """An address family of a neighbor; any given family replaces the defaults."""

    type: FamilyName
    properties: Annotated[tuple[FamilyProperty, ...], Field(max_length=8)] = ()

    @classmethod
    def unsupported(cls, data: Mapping[Any, Any]) -> Iterator[Complaint]:
        if data.get("type") in ("ipv4vpn", "ipv6vpn"):
            text = f"address family {data['type']} (L3VPN over SRv6) is not supported yet"
            yield Complaint(("type",), text)


class Neighbor(SessionOptions):
    """A BGP neighbor in the fabric: a router, an unnumbered link, or a listen range."""

    asn: Asn | None = None
    type: PeerType | None = None
    address: PeerAddress | None = None
    interface: InterfaceName | None = None
    """The link of an unnumbered session, or of an IPv6 link-local `address`."""
    listen_range: PeerRange | None = None
    port: Annotated[int, number(0, 16384)] | None = None
    properties: Annotated[tuple[NeighborProperty, ...], Field(max_length=1)] = ()
    address_families: Annotated[tuple[AddressFamilySettings, ...], Field(max_length=4)] = ()

    @property
    def id(self) -> str:
        """The neighbor's name in messages: its address, interface or range."""
        return str(self.address or self.interface or self.listen_range)

    @property
    def multihop(self) -> int:
        return self.properties[0].ebgp_multi_hop.ttl if self.properties else 0

    @property
    def link_local(self) -> bool:
        return self.address is not None and is_link_local(self.address)

    @property
    def unnumbered(self) -> bool:
        return self.interface is not None and self.address is None

    @rule
    def _one_kind(self) -> Iterator[Complaint]:
        yield from exactly_one(self, "asn", "type")

    @rule
    def _one_peer(self) -> Iterator[Complaint]:
        if not self.link_local or self.interface is None or self.listen_range is not None:
            yield from exactly_one(self, "address", "interface", "listen_range")

    @rule
    def _families_are_distinct(self) -> Iterator[Complaint]:
        for index, _ in repeated(family.type for family in self.address_families):
            text = f"neighbor {self.id}: an address family is given twice"
            yield Complaint(("addressFamilies", index), text)

    @rule
    def _reflector_clients_are_internal(self) -> Iterator[Complaint]:
        for index, family in enumerate(self.address_families):
            if self.type != "Internal" and family.properties:
                text = f"neighbor {self.id}: routeReflectorClient needs a neighbor of type Internal"
                yield Complaint(("addressFamilies", index, "properties"), text)


class Dpdk(Strict):
    """Our extension: how a DPDK datapath uses a NIC; the kernel datapath ignores it.

    `owned` takes the NIC away from the kernel, and needs device arguments; `shared` leaves it.
    """

    devargs: Annotated[str, StringConstraints(pattern=r"^[!-~]*$", max_length=127)] = ""
    wiring: Literal["owned", "shared"] = "owned"

    @rule
    def _owned_is_told_where(self) -> Iterator[Complaint]:
        if self.wiring == "owned" and not self.devargs:
            yield Complaint((), "dpdk.wiring `owned` needs dpdk.devargs, such as 0000:01:00.0")


class NetworkDevice(Strict):
    interface_name: DeviceName
    dpdk: Dpdk | None = None


class UnderlayInterface(Strict):
    """A network device by which the node reaches the fabric: a NIC, or one that CNI creates."""

    type: Literal["NetworkDevice", "CNIDevice"]
    network_device: NetworkDevice | None = None
    cni_device: CniDevice | None = None

    @property
    def name(self) -> str:
        device = self.network_device or self.cni_device
        if device is None:
            raise AttributeError("neither device is valid")  # it is reported already; see rules.py
        return device.interface_name

    @property
    def dpdk(self) -> Dpdk | None:
        return self.network_device.dpdk if self.network_device is not None else None

    @property
    def place_of_name(self) -> tuple[str, str]:
        """Return the path of the name below this interface in the manifest."""
        return "networkDevice" if self.type == "NetworkDevice" else "cniDevice", "interfaceName"

    @rule
    def _its_device_is_of_its_type(self) -> Iterator[Complaint]:
        for type_, field in (("NetworkDevice", "networkDevice"), ("CNIDevice", "cniDevice")):
            device = self.network_device if type_ == "NetworkDevice" else self.cni_device
            if (device is not None) != (self.type == type_):
                yield Complaint((field,), f"`{field}` is valid with type {type_} only")


class TunnelEndpoint(Strict):
    """The pools of VTEP addresses: the node uses host number `nodeIndex` of each CIDR."""

    cidrs: Annotated[tuple[Cidr, ...], Field(min_length=1, max_length=2)]

    @rule
    def _one_per_family(self) -> Iterator[Complaint]:
        for index, _ in repeated(cidr.version for cidr in self.cidrs):
            text = "tunnelEndpoint.cidrs takes one CIDR per address family"
            yield Complaint(("cidrs", index), text)


class RouteReflector(Strict):
    cluster_id: Address = Field(default=ipaddress.IPv4Address("192.0.2.1"), alias="clusterID")

    @rule
    def _it_is_ipv4(self) -> Iterator[Complaint]:
        if self.cluster_id.version != 4:
            yield Complaint(("clusterID",), f"clusterID {self.cluster_id} is not IPv4")


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
    datapath: Forwarder | None = None

    @property
    def nics(self) -> list[str]:
        return [interface.name for interface in self.interfaces]

    def is_internal(self, neighbor: Neighbor) -> bool:
        return neighbor.type == "Internal" or neighbor.asn == self.asn

    def multihop(self, neighbor: Neighbor) -> int:
        """Return the TTL of a session; 0 if bgpd accepts none (peer_ebgp_multihop_set)."""
        on_a_link = neighbor.unnumbered or neighbor.link_local
        return 0 if on_a_link or self.is_internal(neighbor) else neighbor.multihop

    def link_of(self, neighbor: Neighbor) -> str:
        """Return the interface of an IPv6 link-local neighbor; "" if it is ambiguous."""
        nics = self.nics
        return neighbor.interface or (nics[0] if len(nics) == 1 else "")

    @rule
    def _neighbors_are_distinct(self) -> Iterator[Complaint]:
        peers = [(i, n) for i, n in enumerate(self.neighbors) if n.listen_range is None]
        for index, value in repeated(n.address or n.interface for _, n in peers):
            number, neighbor = peers[index]
            what = "interface" if neighbor.unnumbered else "address"
            yield Complaint(("neighbors", number, what), f"two neighbors have {what} {value}")

    @rule
    def _listen_ranges_do_not_overlap(self) -> Iterator[Complaint]:
        ranges = [(i, r) for i, n in enumerate(self.neighbors) if (r := n.listen_range)]
        for (_, one), (index, other) in combinations(ranges, 2):
            if one.overlaps(other):
                text = f"listenRange {one} overlaps {other}"
                yield Complaint(("neighbors", index, "listenRange"), text)

    @rule
    def _interfaces_are_distinct(self) -> Iterator[Complaint]:
        for index, name in repeated(interface.name for interface in self.interfaces):
            at = ("interfaces", index, *self.interfaces[index].place_of_name)
            yield Complaint(at, f"interface {name} is given twice")

    @rule
    def _interfaces_are_of_one_type(self) -> Iterator[Complaint]:
        for index, interface in enumerate(self.interfaces):
            if interface.type != self.interfaces[0].type:
                text = "all interfaces must be of one type, NetworkDevice or CNIDevice"
                yield Complaint(("interfaces", index, "type"), text)

    @rule
    def _link_local_neighbors_are_on_one_link(self) -> Iterator[Complaint]:
        for index, neighbor in enumerate(self.neighbors):
            if neighbor.link_local and not self.link_of(neighbor):
                text = (
                    f"neighbor {neighbor.id} is IPv6 link-local, and `interfaces` has several "
                    "links: give its `interface` as well"
                )
                yield Complaint(("neighbors", index, "address"), text)

    @rule
    def _router_ids_are_ipv4(self) -> Iterator[Complaint]:
        if self.router_id_cidr.version != 4:
            yield Complaint(("routerIDCIDR",), f"routerIDCIDR {self.router_id_cidr} is not IPv4")

    @rule
    def _the_cluster_is_no_router(self) -> Iterator[Complaint]:
        reflector = self.route_reflector
        if reflector is not None and reflector.cluster_id in self.router_id_cidr:
            text = f"clusterID {reflector.cluster_id} lies in routerIDCIDR {self.router_id_cidr}"
            yield Complaint(("routeReflector", "clusterID"), text)
