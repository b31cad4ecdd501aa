"""The daemon's state as Inspect and metrics read it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.nexthops import Nexthop
from dualpath.model.plan import Plan
from dualpath.model.records import Record
from dualpath.model.routes import U8, U32, Family
from dualpath.model.violation import Violation


class RowState(IntEnum):
    """The progress of a row."""

    PROGRAMMED = 1  # desired and in the datapath
    PENDING = 2  # desired, but not yet in the datapath
    FAILED = 3  # refused by the datapath; retried
    STALE = 4  # in the datapath, not yet repeated by FRR; kept
    LEAVING = 5  # no longer desired, still in the datapath
    UNMANAGED = 6  # shown only: no datapath receives it (connected and kernel routes, labels)


@dataclass(frozen=True, slots=True, eq=False)
class RouteRows:
    """A page of one VRF's routes of one family, as columns of n rows in no particular order."""

    vrf: str
    family: Family
    prefixes: U8  # (n, family.width)
    lengths: U8  # (n,)
    protocols: U8  # (n,): RTPROT_*
    desired: U32  # (n,): nexthop id; 0 is not desired
    programmed: U32  # (n,): nexthop id; 0 is not programmed
    states: U8  # (n,): RowState
    errors: U8  # (n,): errno, 0 is none
    sessions: U32  # (n,): FPM session that last sent it; 0: adopted from the datapath
    changed_at: npt.NDArray[np.float64]  # (n,): seconds since the epoch


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record and its state."""

    record: Record
    state: RowState
    error: str = ""  # the errno's name, and the datapath's text
    session: int = 0
    changed_at: float = 0.0  # seconds since the epoch
    number: int = 0  # counts the rows of its kind as they are created; never used twice


@dataclass(frozen=True, slots=True)
class KindCount:
    """Rows of one kind. Once everything is programmed, `desired` and `programmed` are equal."""

    kind: Kind
    desired: int = 0  # FRR or the intent wants them in the datapath
    programmed: int = 0
    failed: int = 0  # the datapath refused them
    stale: int = 0  # kept, although FRR has not repeated them
    unmanaged: int = 0  # shown only; not among the desired ones


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """The status of one manifest resource."""

    kind: str  # "L3VNI"
    name: str
    ready: bool
    reason: str = ""  # one of ValidationFailed, DependencyFailed, ...
    message: str = ""
    generation: int = 0  # counts the versions of its spec since the daemon started, from 1
    applied_generation: int = 0  # the version in force; 0: none
    violations: tuple[Violation, ...] = ()  # the parts of `message`, when rules are broken

    @property
    def owner(self) -> tuple[str, str]:
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class BgpSession:
    """A BGP session as bgpd reports it."""

    vrf: str
    peer: str
    remote_as: int
    state: str  # "Established", "Active", ...
    since: float = 0.0  # when it was established; 0 when it is not. See `events` and `Status`
    received: int = 0  # prefixes accepted, all families
    sent: int = 0
    reason: str = ""  # why it was last reset
    bfd: str = ""  # "Up", "Down", "Admin Down", "Unknown"; "" if the peer has no BFD session


@dataclass(frozen=True, slots=True)
class FrrVni:
    """A VNI as zebra reports it."""

    vni: int
    layer: int  # 2 or 3
    vrf: str
    up: bool
    macs: int = 0
    neighbors: int = 0
    vteps: int = 0


@dataclass(frozen=True, slots=True)
class NeighborTable:
    """Use of the machine's neighbor table of a family, over all namespaces."""

    family: str  # "ipv4", "ipv6"
    entries: int
    limit: int  # the kernel creates no more
    refused: int  # rows that the kernel did not create because the table was full


@dataclass(frozen=True, slots=True)
class HostCount:
    """Local hosts of one VNI, of one kind."""

    vni: int
    kind: str  # "mac", "ipv4" or "ipv6"
    announced: int  # to FRR, which advertises them
    left_out: int  # beyond the limit for one VNI


class Role(StrEnum):
    """The role of a datapath, if there are two."""

    ACTIVE = "active"  # FRR's acknowledgements and the lists come from it
    STANDBY = "standby"  # programmed in full
    PREPARING = "preparing"  # being programmed


@dataclass(frozen=True, slots=True)
class PlaneStatus:
    """One of two datapaths."""

    name: str  # as in --datapath: "kernel", "dpdk"
    role: Role
    desired: int = 0  # rows of all kinds
    programmed: int = 0
    failed: int = 0
    problem: str = ""  # why it does not answer
    ports: tuple[str, ...] = ()  # the ports whose traffic it has


@dataclass(frozen=True, slots=True)
class Status:
    """A summary of the daemon."""

    version: str
    datapath: str  # "kernel"
    netns: str  # forwarding namespace
    frr_netns: str  # control namespace
    started_at: float  # seconds since the epoch, by the clock as it is set now
    bridge: str  # "connected" or "lost"
    session: int  # FPM sessions since frr-bridge started; 0 before the first
    session_state: str  # frr_bridge.session.State in lower case
    reason: str  # why routes are held, or what the session waits for; "" when live
    stale_after: float  # when the hold ends, seconds since the epoch; 0: never
    counts: tuple[KindCount, ...]
    repaired: int  # rows restored after another program changed them
    resources: tuple[ResourceStatus, ...] = ()
    sessions: tuple[BgpSession, ...] = ()  # `since` in seconds since the epoch
    vnis: tuple[FrrVni, ...] = ()
    undecoded: int = 0  # messages of zebra's that the bridge could not decode since it started
    ready: bool = False
    not_ready: str = ""  # the reason, in one sentence
    degraded: str = ""  # what is wanted and not in force, or soon will not be; "": nothing
    degraded_by: tuple[str, ...] = ()  # a word for each cause, such as "frr" or "rows"
    trial: str = ""  # how to confirm the change on trial, and until when; "": no trial
    neighbors: tuple[NeighborTable, ...] = ()  # empty if they cannot be read
    hosts: tuple[HostCount, ...] = ()
    planes: tuple[PlaneStatus, ...] = ()  # empty unless there are two


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations, counted by upper bounds."""

    bounds_s: tuple[float, ...]  # ascending
    counts: tuple[int, ...]  # of durations up to each bound, and of all: one more than bounds
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the daemon's work takes."""

    behind_s: float  # since when the datapath has been behind; 0: it is not
    convergence: Histogram  # from the first change until only retries are left
    switches: tuple[tuple[str, Histogram], ...] = ()  # by outcome: "done", "rolled_back"


@dataclass(frozen=True, slots=True)
class Change:
    """One change in the journal that `watch` shows."""

    sequence: int  # from 1, without gaps during one run of the daemon
    at: float  # seconds since the epoch
    kind: Kind
    text: str  # "10.0.0.0/24", "100 aa:bb:cc:00:00:01"
    vrf: str  # of a route; "" for a record
    state: RowState
    withdrawn: bool
    detail: str  # nexthop, VTEP, or why it failed
    record: Record | None = None  # what changed; for a route its nexthop, None if withdrawn
    family: Family | None = None  # of a route


class Problem(IntEnum):
    """The difference of a row between desired, programmed and observed."""

    MISSING = 1  # programmed, and not observed
    DIFFERENT = 2  # observed otherwise than programmed
    UNEXPECTED = 3  # observed as ours, and not programmed
    REFUSED = 4  # desired, but the datapath refused it, or a nexthop or device that it needs


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that an audit found."""

    kind: Kind
    vrf: str  # "" where there is none
    text: str  # "10.0.0.0/24", "100 aa:bb:cc:00:00:01"
    problem: Problem
    datapath: str = ""  # "kernel", "dpdk"; "" unless there are two


@dataclass(frozen=True, slots=True)
class Audited:
    """The result of an audit."""

    differed: int  # rows, whether they are in `rows` or not
    rows: tuple[Difference, ...] = ()
    unchecked: str = ""  # what was not compared, and why; "" if everything was


class StateView(Protocol):
    """Read access to the daemon's state, within one event loop. No method blocks."""

    def vteps(self, mac: Mac) -> tuple[bytes, ...]:
        """Return all VTEPs of the Ethernet segment of a MAC, sorted; () when it has none."""

    def status(self) -> Status:
        """Return the whole status; this counts all rows."""

    def timing(self) -> Timing:
        """Return how long convergence and switches took since the daemon started."""

    def ready(self) -> bool:
        """Return `status().ready` without counting rows."""

    def not_ready(self) -> str:
        """Return `status().not_ready` without counting rows."""

    def route_tables(self) -> Sequence[tuple[str, Family]]:
        """Return (VRF, family) of every table that has rows, sorted."""

    def routes(self, vrf: str, family: Family, start: int, limit: int) -> tuple[RouteRows, int]:
        """Return up to `limit` rows from slot `start` on, and the slot to go on from, or -1."""

    def records(self, kind: Kind) -> Iterator[RecordRow]:
        """Yield the records of a kind other than ROUTE, by ascending number."""

    def nexthop(self, id_: int) -> Nexthop | None:
        """Return the nexthop behind a route's `desired` or `programmed` id, reserved ones too."""

    def changes(self, after: int) -> AsyncIterator[Change]:
        """Yield changes with a sequence above `after` from the journal, then each new one.

        Raises LookupError if the journal has dropped such a change: list again then.
        """

    async def audit(self, limit: int) -> Audited:
        """Compare desired, programmed and observed; name at most `limit` rows, change nothing."""

    async def resync(self) -> int:
        """Compare with the datapath now and repair; return how many rows differed."""

    def plan(self) -> Plan | None:
        """Return the plan of the intent; None without manifests."""

    def release(self) -> str:
        """End the hold; return one sentence about the result."""

    def datapath_name(self) -> str:
        """Return the name of the active datapath: "kernel", "dpdk"."""
