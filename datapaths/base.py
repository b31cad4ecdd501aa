"""The datapath contract: few verbs, all idempotent, failures as data.

To add a datapath: implement `Datapath`, give it a row in `controller.start.backends`, and pass the
checks of `datapaths.conformance`. `dualpath.v1.Datapath` is the same contract over gRPC, for other
languages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Family, RouteBatch
from dualpath.model.words import errno_name

Batch = RouteBatch | RecordBatch


class DatapathError(Exception):
    """The base of a datapath's errors; the subclass says what the caller should do."""


class Unavailable(DatapathError):
    """No answer: a timeout, a full socket, an agent that restarts. Retry unchanged."""


class Unsupported(DatapathError):
    """This host or datapath can never do it. The text names what is missing."""


@dataclass(frozen=True, slots=True)
class RowFailure:
    """A row that could not be applied; the other rows of its batch were applied."""

    index: int  # into the batch: upserts before withdrawals
    errno: int
    reason: str = ""  # the datapath's own text

    def __str__(self) -> str:
        """Return the errno's name, and the datapath's text."""
        name = errno_name(self.errno)
        return f"{name}: {self.reason}" if self.reason else name


class Feature(StrEnum):
    """A feature that a useful datapath may lack: rows that need it fail with EOPNOTSUPP."""

    GATEWAY6_FOR_V4 = "gateway6-for-v4"  # IPv4 routes with an IPv6 gateway (RFC 8950)
    DEVICE_NEXTHOP = "device-nexthop"  # nexthops without a gateway: on link
    UNREACHABLE = "unreachable"  # routes and nexthops that reply with ICMP unreachable
    PROHIBIT = "prohibit"  # those that reply with ICMP administratively prohibited
    WEIGHTS = "weights"  # groups whose members have unequal weights
    STICKY = "sticky"  # MACs that may not move
    ROUTER_FLAG = "router-flag"  # the R flag in suppressed neighbor advertisements
    SHARED_PREFIX = "shared-prefix"  # a route beside another program's to the same prefix (EEXIST)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The identity of a datapath, and its abilities."""

    name: str  # "kernel"
    version: str  # "6.12.48"
    kinds: frozenset[Kind]  # the kinds that `apply` accepts
    lacks: frozenset[Feature] = frozenset()
    batch_rows: int = 4096  # the best number of routes in one batch
    looks_up: bool = False  # it implements `LooksUp`


@dataclass(frozen=True, slots=True)
class PortState:
    """The current state of a port in the datapath."""

    name: str
    up: bool  # administratively up and with carrier
    mac: bytes
    mtu: int
    addresses: tuple[str, ...] = ()
    rx_packets: int = 0
    rx_bytes: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    rx_dropped: int = 0
    tx_errors: int = 0
    driver: str = ""  # "veth", "net_tap"


@dataclass(frozen=True, slots=True)
class FibUse:
    """How full the table of one VRF and family is."""

    vrf: str
    family: Family
    used: int  # routes, including those of other programs
    limit: int = 0  # the largest number of routes; 0: only memory limits it
    blocks: int = 0  # second-level blocks of a table that has them (DPDK: tbl8)


@dataclass(frozen=True, slots=True)
class NodeStats:
    """Counters of one node of a packet graph since its start."""

    name: str  # "ip_input"
    packets: int
    batches: int  # calls
    cycles: int  # of the CPU's time stamp counter


@dataclass(frozen=True, slots=True)
class Facts:
    """Figures that a datapath reports about itself, for people and for metrics."""

    values: tuple[tuple[str, str], ...] = ()  # names and values to display: ("api version", "13")
    fibs: tuple[FibUse, ...] = ()
    nodes: tuple[NodeStats, ...] = ()


@dataclass(frozen=True, slots=True)
class LearnedMac:
    """A local MAC that a bridge learned from traffic, or that aged or moved away."""

    vni: int
    mac: bytes
    gone: bool = False


@dataclass(frozen=True, slots=True)
class LearnedNeighbor:
    """A local host's address and MAC in an L2VNI, or the end of that association."""

    vni: int
    address: bytes
    mac: bytes
    gone: bool = False


@dataclass(frozen=True, slots=True)
class PortChanged:
    """A port gained or lost carrier."""

    name: str
    up: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """Another program removed or changed our rows: look again.

    With records or routes, only those are affected; with neither, any row of the kind may be.
    """

    kind: Kind
    records: tuple[Record, ...] = ()
    routes: RouteBatch | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a packet, as the datapath forwards it now."""

    nexthop: Nexthop  # id 0: it has no nexthop object
    weight: int = 1
    vni: int = 0  # of the overlay that carries it to `vtep`; 0: none
    vtep: bytes = b""
    mac: bytes = b""  # MAC of a host on a bridge, or inside an overlay; b"": unknown


@dataclass(frozen=True, slots=True)
class Found:
    """The route that the datapath uses for an address, whichever program installed it."""

    prefix: bytes = b""  # b"": unknown
    length: int = 0
    protocol: int = 0  # RTPROT_*
    nexthop: Nexthop | None = None
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The current state is reported; changes follow. Comes once in a stream."""


Learned = LearnedMac | LearnedNeighbor | PortChanged | Lost | CaughtUp


class Datapath(Protocol):
    """Owns the rows that it installed, and touches no others."""

    name: str  # for logs and metrics

    async def capabilities(self) -> Capabilities:
        """Return what this datapath can do. Raises Unsupported if the host lacks something."""

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        """Apply every row; return those that failed.

        Idempotent: an upsert replaces, the withdrawal of an absent row succeeds, and a row that
        already is as wanted is not written again. Raises Unavailable if it cannot tell how much
        was applied.

        The caller may apply a second batch of routes while one is in flight, to keep the datapath
        busy. No prefix is in both, so their order does not matter.
        """

    def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        """Yield our installed rows of `kind`, as batches of upserts."""

    async def ports(self) -> Sequence[PortState]:
        """Return the ports as they are now, with their counters."""

    async def facts(self) -> Facts:
        """Return figures about the datapath itself. Raises Unavailable."""

    def learned(self) -> AsyncIterator[Learned]:
        """Yield the present state, then CaughtUp, then changes; ends with `close`."""

    async def close(self) -> None:
        """Close the sockets. Installed rows stay, and forwarding continues."""


@runtime_checkable
class LooksUp(Protocol):
    """An optional part of a datapath: its own longest match, at the cost of one request."""

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        """Return the route that covers an address; None if none does.

        Raises Unavailable; Unsupported if the datapath's server turns out to have no lookup.
        """
