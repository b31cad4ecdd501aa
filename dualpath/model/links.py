"""The devices of the intent: VRFs, ports and VNIs. Each datapath decides how to build them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import ClassVar

from dualpath.model.kinds import Kind


@dataclass(frozen=True, slots=True)
class Address:
    """An interface address, 4 or 16 bytes in network order, with its prefix length."""

    ip: bytes
    length: int

    def __str__(self) -> str:
        return f"{ipaddress.ip_address(self.ip)}/{self.length}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `10.0.0.1/24`. Raises ValueError."""
        interface = ipaddress.ip_interface(text)
        return cls(interface.ip.packed, interface.network.prefixlen)


@dataclass(frozen=True, slots=True)
class Vrf:
    """A tenant. `table` is the kernel's routing table for it on both sides."""

    kind: ClassVar[Kind] = Kind.VRF

    name: str
    table: int = 0

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Vni:
    """An overlay segment: an L3VNI (layer 3, one per VRF) or an L2VNI.

    The kernel names follow from the number: bridge `br<vni>`, VXLAN device `vx<vni>`.
    """

    kind: ClassVar[Kind] = Kind.VNI

    vni: int
    layer: int = 2  # 2 or 3
    vrf: str = ""  # "" is a detached L2VNI
    local: bytes = b""  # the address of the local VTEP
    port: int = 4789
    mac: bytes = b""  # the bridge's: router MAC of an L3VNI, anycast gateway MAC of an L2VNI
    gateways: tuple[Address, ...] = ()  # anycast gateway addresses of an L2VNI
    mtu: int = 1450  # of the bridge and its ports

    @property
    def key(self) -> int:
        return self.vni

    @property
    def bridge(self) -> str:
        return f"br{self.vni}"

    @property
    def device(self) -> str:
        return f"vx{self.vni}"


@dataclass(frozen=True, slots=True)
class HostEnd:
    """The far end of a host leg: a veth in a host's namespace."""

    netns: str = ""  # name or path; "" is the namespace in which the controller runs
    name: str = ""
    mac: bytes = b""
    addresses: tuple[Address, ...] = ()
    bridge: str = ""  # a bridge there to which it is attached
    create_bridge: bool = False  # Dualpath makes and removes that bridge with the leg
    ovs: bool = False  # it is an Open vSwitch bridge, otherwise the kernel's


BROKEN_MTU = 0xFFFF_FFFF
"""The MTU of a port that was found down or incomplete: no desired port has it."""


@dataclass(frozen=True, slots=True)
class Port:
    """An interface through which packets enter and leave: a NIC or a host leg.

    It has the same name in the control namespace, where its twin carries FRR's own packets.
    """

    kind: ClassVar[Kind] = Kind.PORT

    name: str
    vrf: str = ""  # "" is the default VRF; unused when bridged
    vni: int = 0  # the L2VNI into which it is bridged; 0 is routed
    addresses: tuple[Address, ...] = ()
    mtu: int = 0  # 0 leaves it alone
    host: HostEnd | None = None  # None is a NIC
    source_netns: str | None = (
        None  # NIC: namespace to move it from; "": ours; None: it is in place
    )
    twin: bool = False  # FRR runs a protocol on it
    loopback: bool = False  # `lo`: holds the VTEP addresses
    devargs: str = ""  # for DPDK: which driver and device; "" lets the datapath choose
    wiring: str = ""  # for DPDK: "owned", or "shared" with the kernel; "" lets the datapath choose

    @property
    def key(self) -> str:
        return self.name
