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

Batch = RouteBatch | RecordBatch


class DatapathError(Exception):
    """What a datapath raises; the subclass says what the caller should do."""


class Unavailable(DatapathError):
    """No answer: a timeout, a full socket, an agent restarting. Retry as it is."""


class Unsupported(DatapathError):
    """This host or datapath can never do it. The text says what is missing."""


@dataclass(frozen=True, slots=True)
class RowFailure:
    """A row that could not be made true; the rest of its batch stands."""

    index: int  # into the batch: upserts before withdrawals
    error: str  # the errno's name, as ENOENT
    reason: str = ""  # what else the datapath said


class Feature(StrEnum):
    """What a datapath may lack and still be of use: rows that ask for it fail with EOPNOTSUPP."""

    GATEWAY6_FOR_V4 = "gateway6-for-v4"  # IPv4 routes by an IPv6 gateway (RFC 8950)
    DEVICE_NEXTHOP = "device-nexthop"  # nexthops without a gateway: on link
    UNREACHABLE = "unreachable"  # routes and nexthops that answer with ICMP unreachable
    PROHIBIT = "prohibit"  # those that answer with ICMP administratively prohibited
    WEIGHTS = "weights"  # groups whose members have unequal shares
    STICKY = "sticky"  # MACs that may not move
    ROUTER_FLAG = "router-flag"  # the R flag of neighbour advertisements that are suppressed
    SHARED_PREFIX = "shared-prefix"  # a route beside somebody else's to the same prefix (EEXIST)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a datapath can do, and what it is, for people to read."""

    name: str  # "kernel"
    version: str  # "6.12.48"
    kinds: frozenset[Kind]  # what `apply` takes
    lacks: frozenset[Feature] = frozenset()
    batch_rows: int = 4096  # routes in one batch that suit it best
    looks_up: bool = False  # it is a `LooksUp`


@dataclass(frozen=True, slots=True)
class PortState:
    """A port as the datapath has it now."""

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
    used: int  # routes, those that are not ours too
    limit: int = 0  # routes; 0 is none but memory
    blocks: int = 0  # second-level blocks of a table that has such (DPDK: tbl8)


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What one node of a packet graph has done since it was started."""

    name: str  # "ip_input"
    packets: int
    batches: int  # calls
    cycles: int  # of the CPU's time stamp counter


@dataclass(frozen=True, slots=True)
class Facts:
    """What only this datapath knows of itself, for people and for metrics."""

    values: tuple[tuple[str, str], ...] = ()  # name and value, to be shown: ("api version", "13")
    fibs: tuple[FibUse, ...] = ()
    nodes: tuple[NodeStats, ...] = ()


@dataclass(frozen=True, slots=True)
class LearnedMac:
    """A local MAC that a bridge learnt from traffic, or that aged or moved away."""

    vni: int
    mac: bytes
    gone: bool = False


@dataclass(frozen=True, slots=True)
class LearnedNeighbor:
    """A local host's address and MAC in an L2VNI, or that they are no longer true."""

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
    """Somebody removed or changed something of ours behind our back: look again.

    With records or routes, just those are wrong; with neither, anything of that kind may be.
    """

    kind: Kind
    records: tuple[Record, ...] = ()
    routes: RouteBatch | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a packet, as the datapath has it now."""

    nexthop: Nexthop  # its id is 0 where no object stands behind it
    weight: int = 1
    vni: int = 0  # of the overlay that carries it, to `vtep`; 0 where none does
    vtep: bytes = b""
    mac: bytes = b""  # of a host on a bridge, or the inner one in an overlay; b"" is not known


@dataclass(frozen=True, slots=True)
class Found:
    """The route that a datapath itself takes to an address, whoever put it there."""

    prefix: bytes = b""  # b"": it does not say
    length: int = 0
    protocol: int = 0  # RTPROT_*
    nexthop: Nexthop | None = None
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that is known now has been told; what follows are changes. Comes once in a stream."""


Learned = LearnedMac | LearnedNeighbor | PortChanged | Lost | CaughtUp


class Datapath(Protocol):
    """Owns what it installed, and touches nothing else."""

    name: str  # for logs and metrics

    async def capabilities(self) -> Capabilities:
        """Say what this datapath is. Raises Unsupported when the host cannot carry it."""

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        """Make every row true; return the rows that could not be.

        Idempotent: an upsert replaces, and withdrawing what is absent succeeds. What is already
        so is not written again. Raises Unavailable when it cannot tell how much was done.

        A second batch of routes may be given while one is under way, to keep the datapath busy;
        no prefix is in both, so that it may take them in any order, or one after the other.
        """

    def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        """Yield what is installed of `kind` and is ours, as batches of upserts."""

    async def ports(self) -> Sequence[PortState]:
        """Return the ports as they are now, with their counters."""

    async def facts(self) -> Facts:
        """Return what is worth showing beside that. Raises Unavailable."""

    def learned(self) -> AsyncIterator[Learned]:
        """Yield all that is known now, then CaughtUp, then changes; ends with `close`."""

    async def close(self) -> None:
        """Let go of sockets. What is installed stays and goes on forwarding."""


@runtime_checkable
class LooksUp(Protocol):
    """What a datapath may offer beside: its own longest match, at the price of one question."""

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        """Return what covers an address, None when nothing does.

        Raises Unavailable, and Unsupported where that is known only at the other end.
        """
