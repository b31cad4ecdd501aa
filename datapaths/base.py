"""The datapath contract: few verbs, all idempotent, failures as data.

To add a datapath: implement `Datapath`, give it a row in `controller.__main__`, and pass
tests/contract unchanged. `dualpath.v1.Datapath` says the same over gRPC, for other languages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from controller.model.kinds import Kind
from controller.model.nexthops import Nexthop
from controller.model.records import Record, RecordBatch
from controller.model.routes import RouteBatch

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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a datapath can do, and what it is, for people to read."""

    name: str  # "kernel"
    version: str  # "6.12.48"
    kinds: frozenset[Kind]  # what `apply` takes


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

    prefix: bytes = b""  # b"": it does not say, as for an address that is dropped
    length: int = 0
    protocol: int = 0  # RTPROT_*
    nexthop: Nexthop | None = None
    ways: tuple[Way, ...] = ()


Learned = LearnedMac | LearnedNeighbor | PortChanged | Lost


class Datapath(Protocol):
    """Owns what it installed, and touches nothing else."""

    name: str  # for logs and metrics

    async def capabilities(self) -> Capabilities:
        """Say what this datapath is. Raises Unsupported when the host cannot carry it."""

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        """Make every row true; return the rows that could not be.

        Idempotent: an upsert replaces, and withdrawing what is absent succeeds. What is already
        so is not written again. Raises Unavailable when it cannot tell how much was done.
        """

    def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        """Yield what is installed of `kind` and is ours, as batches of upserts."""

    async def ports(self) -> Sequence[PortState]:
        """Return the ports as they are now, with their counters."""

    def learned(self) -> AsyncIterator[Learned]:
        """Yield what is learnt, first all that is known now, then changes; ends with `close`."""

    async def close(self) -> None:
        """Let go of sockets. What is installed stays and goes on forwarding."""


@runtime_checkable
class LooksUp(Protocol):
    """What a datapath may offer beside: its own longest match, at the price of one question."""

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        """Return what covers an address, None when nothing does. Raises Unavailable."""
