"""Layer 2 of an overlay, as EVPN advertises it, keyed by VNI. Addresses are in network order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dualpath.model.kinds import Kind


@dataclass(frozen=True, slots=True)
class RemoteVtep:
    """A remote VTEP of an L3VNI and its router MAC (RFC 9135 section 5, RFC 9136 section 3.1)."""

    kind: ClassVar[Kind] = Kind.REMOTE_VTEP

    vni: int
    vtep: bytes  # 4 or 16 bytes
    mac: bytes = b""  # 6 bytes: the remote router MAC

    @property
    def key(self) -> tuple[int, bytes]:
        return self.vni, self.vtep


@dataclass(frozen=True, slots=True)
class Flood:
    """A VTEP that wants a VNI's broadcast, unknown and multicast frames (RFC 7432 type 3)."""

    kind: ClassVar[Kind] = Kind.FLOOD

    vni: int
    vtep: bytes

    @property
    def key(self) -> tuple[int, bytes]:
        return self.vni, self.vtep


@dataclass(frozen=True, slots=True)
class EthernetSegment:
    """The VTEPs of a multihomed site (RFC 7432 section 8.4, aliasing).

    MACs refer to it, so that a VTEP that joins or leaves is one change. Each of the VTEPs reaches
    each of the MACs; all have the same address family.
    """

    kind: ClassVar[Kind] = Kind.ETHERNET_SEGMENT

    id: int  # zebra's nexthop group, 1 to 2**30 - 1
    vteps: tuple[bytes, ...] = ()  # sorted, each once

    @property
    def key(self) -> int:
        return self.id


@dataclass(frozen=True, slots=True)
class Mac:
    """A remote MAC of an L2VNI, behind one VTEP or a segment (RFC 7432 type 2)."""

    kind: ClassVar[Kind] = Kind.MAC

    vni: int
    mac: bytes
    vtep: bytes = b""  # b"" if it is behind an Ethernet segment
    sticky: bool = False  # NTF_STICKY: may not move (RFC 7432 section 15.2)
    segment: int = 0  # the id of an EthernetSegment, 0 for a single VTEP

    @property
    def key(self) -> tuple[int, bytes]:
        return self.vni, self.mac


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A remote host's address and MAC in an L2VNI, for ARP/ND suppression and symmetric IRB."""

    kind: ClassVar[Kind] = Kind.NEIGHBOR

    vni: int
    address: bytes  # 4 or 16 bytes
    mac: bytes = b""
    router: bool = False  # NTF_ROUTER: the R flag of an ND advertisement

    @property
    def key(self) -> tuple[int, bytes]:
        return self.vni, self.address


@dataclass(frozen=True, slots=True)
class Lsp:
    """An MPLS label binding from zebra: shown, not programmed."""

    kind: ClassVar[Kind] = Kind.LSP

    label: int
    nexthops: tuple[str, ...] = ()  # "via 10.0.0.1 dev eth1 label 100/200"

    @property
    def key(self) -> int:
        return self.label
