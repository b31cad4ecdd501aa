"""The overlay's resources: L3VNI, L2VNI, L3Passthrough, RawFRRConfig. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from controller.intent.addresses import AddressWithLength, Cidr
from controller.intent.fields import (
    AddressFamily,
    Asn,
    InterfaceName,
    LegSpec,
    PeerType,
    RouteTargets,
    Spec,
    UdpPort,
    VniNumber,
    VrfName,
    number,
    or_none,
)
from controller.intent.rules import Complaint, Strict, exactly_one, repeated, rule
from controller.intent.sessions import GracefulRestart, SessionOptions

VXLAN_PORT = 4789


class LocalCidr(Strict):
    """The addresses of a host leg: the router has the first, the hosts those after it."""

    ipv4: Cidr | None = None
    ipv6: Cidr | None = None

    @rule
    def _families_are_what_they_say(self) -> Iterator[Complaint]:
        if self.ipv4 is not None and self.ipv4.version != 4:
            yield Complaint(("ipv4",), f"localCIDR.ipv4 {self.ipv4} is not IPv4")
        if self.ipv6 is not None and self.ipv6.version != 6:
            yield Complaint(("ipv6",), f"localCIDR.ipv6 {self.ipv6} is not IPv6")

    @rule
    def _one_family_is_there(self) -> Iterator[Complaint]:
        if self.ipv4 is None and self.ipv6 is None:
            yield Complaint((), "localCIDR needs ipv4, ipv6 or both")

    @property
    def pools(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(pool for pool in (self.ipv4, self.ipv6) if pool is not None)


class HostSession(SessionOptions):
    """The leg to the host, and the BGP session with its speaker."""

    asn: Asn
    host_asn: Asn | None = Field(default=None, alias="hostASN")
    host_type: PeerType | None = None
    local_cidr: LocalCidr = Field(alias="localCIDR")
    graceful_restart: GracefulRestart | None = None
    """Our extension: for the tenant's BGP instance; by default as in the Underlay."""

    @rule
    def _one_kind_of_host(self) -> Iterator[Complaint]:
        given = [v for v in (self.host_asn, self.host_type) if v is not None]
        if len(given) != 1:
            text = f"exactly one of hostASN, hostType must be given, not {len(given)}"
            yield Complaint((), text)


class L3Vni(LegSpec):
    """`spec` of an L3VNI: a tenant's VRF, carried as type 5 routes."""

    vrf: VrfName
    vni: VniNumber
    vxlan_port: UdpPort = Field(default=VXLAN_PORT, alias="vxlanPort")
    underlay_address_family: AddressFamily | None = None
    host_session: HostSession | None = None
    export_rts: RouteTargets = Field(default=(), alias="exportRTs")
    import_rts: RouteTargets = Field(default=(), alias="importRTs")

    @rule
    def _internal_host_says_so(self) -> Iterator[Complaint]:
        session = self.host_session
        if session is not None and session.host_asn == session.asn:
            yield Complaint(
                ("hostSession", "hostASN"),
                f"hostASN equals asn {session.asn}: for an internal session give hostType Internal",
            )


class Reference(Strict):
    name: Annotated[str, StringConstraints(min_length=1)]


class RoutingDomain(Strict):
    """The VRF in which an L2VNI has its gateway, named by the resource that creates it."""

    refused: ClassVar[Mapping[str, str]] = {"l3vpn": "is not supported yet: refer to an L3VNI"}

    type: Literal["L3VNI"]
    l3vni: Reference = Field(alias="l3vni")

    @classmethod
    def unsupported(cls, data: Mapping[Any, Any]) -> Iterator[Complaint]:
        if data.get("type") == "L3VPN":
            text = "routingDomain of type L3VPN is not supported yet; refer to an L3VNI"
            yield Complaint(("type",), text)


class HostBridge(Strict):
    """A bridge on the host: created and removed by Dualpath, or an existing one."""

    lifecycle: Literal["Managed", "External"]
    name: Annotated[InterfaceName | None, BeforeValidator(or_none)] = None

    @rule
    def _named_if_external(self) -> Iterator[Complaint]:
        if (self.lifecycle == "External") is not (self.name is not None):
            at = () if self.name is None else ("name",)
            yield Complaint(at, "an External bridge has a `name`, and a Managed one has none")


class HostMaster(Strict):
    """The bridge on the host to which the leg of an L2VNI is attached."""

    type: Literal["LinuxBridge", "OVSBridge"]
    linux_bridge: HostBridge | None = None
    ovs_bridge: HostBridge | None = None

    @rule
    def _the_bridge_is_of_the_type(self) -> Iterator[Complaint]:
        complaints = list(exactly_one(self, "linux_bridge", "ovs_bridge"))
        yield from complaints
        if not complaints and (self.type == "OVSBridge") is not (self.ovs_bridge is not None):
            yield Complaint((), f"hostMaster of type {self.type} has another kind of bridge")

    @property
    def bridge(self) -> HostBridge:
        bridge = self.ovs_bridge or self.linux_bridge
        assert bridge is not None
        return bridge


class L2Vni(LegSpec):
    """`spec` of an L2VNI: a bridged segment that spans the nodes."""

    vni: VniNumber
    vxlan_port: UdpPort = Field(default=VXLAN_PORT, alias="vxlanPort")
    underlay_address_family: AddressFamily | None = None
    routing_domain: RoutingDomain | None = None
    vrf: VrfName | None = None
    """The older form of `routingDomain`: the VRF of an L3VNI, by name."""
    host_master: HostMaster | None = None
    gateway_ips: Annotated[tuple[AddressWithLength, ...], Field(max_length=2)] = Field(
        default=(), alias="gatewayIPs"
    )
    export_rts: RouteTargets = Field(default=(), alias="exportRTs")
    import_rts: RouteTargets = Field(default=(), alias="importRTs")

    @rule
    def _gateways_have_a_home(self) -> Iterator[Complaint]:
        if self.routing_domain is not None and self.vrf is not None:
            text = "`vrf` is the older form of `routingDomain`; give one of them"
            yield Complaint(("vrf",), text)
        if self.gateway_ips and self.routing_domain is None and self.vrf is None:
            yield Complaint(("gatewayIPs",), "gatewayIPs need a routingDomain")

    @rule
    def _one_gateway_per_family(self) -> Iterator[Complaint]:
        for index, _ in repeated(gateway.version for gateway in self.gateway_ips):
            yield Complaint(("gatewayIPs", index), "gatewayIPs takes one address per family")


class L3Passthrough(LegSpec):
    """`spec` of an L3Passthrough: the host takes part in the fabric's routing, without a tunnel."""

    host_session: HostSession

    @rule
    def _restart_is_the_underlays(self) -> Iterator[Complaint]:
        if self.host_session.graceful_restart is not None:
            text = "gracefulRestart here is the Underlay's: its session is in that instance"
            yield Complaint(("hostSession", "gracefulRestart"), text)


def _lines(value: object) -> object:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


class RawFrrConfig(Spec):
    """`spec` of a RawFRRConfig: FRR configuration that is appended unchanged."""

    priority: Annotated[int, number(0, 0x7FFF_FFFF)] = 0
    raw_config: Annotated[str, BeforeValidator(_lines), StringConstraints(min_length=1)]

    @rule
    def _one_line_each(self) -> Iterator[Complaint]:
        if any(ord(c) < 0x20 and c not in "\n\t" for c in self.raw_config):
            yield Complaint(("rawConfig",), "rawConfig holds a control character")
