"""Everything that crosses the bus, one frozen class each.

Times are of CLOCK_MONOTONIC, which both ends share: the bus never leaves the machine. The wall
clock may be set at any moment, and then says nothing of how long ago something was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.records import RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.model.view import BgpSession, FrrVni


@dataclass(frozen=True, slots=True)
class Changed:
    """FRR wants something else than before; costs one credit."""

    batch: RouteBatch | RecordBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """The state of zebra's FPM session."""

    number: int  # counts zebra's connections since the bridge started; 0 before the first
    state: str  # frr_bridge.session.State in lower case
    reason: str = ""  # what it waits for, in one sentence
    stale_after: float = 0.0  # when what is held is let go, monotonic; 0 is never
    acknowledge: bool = False  # zebra waits to hear that its routes are in the datapath


@dataclass(frozen=True, slots=True)
class Synced:
    """All that FRR wants has been said since the subscription: the rest may be removed."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What became of the `Configure` with this number."""

    request: int
    ok: bool
    changed: bool
    message: str = ""
    section: str = ""  # of frr.conf, that `message` is about: "RawFRRConfig mine", "vrf red"


@dataclass(frozen=True, slots=True)
class Alive:
    """The bridge says so every second."""


@dataclass(frozen=True, slots=True)
class FrrReport:
    """What FRR's daemons say of themselves; said when it differs from the last time."""

    sessions: tuple[BgpSession, ...] = ()  # `since` is monotonic
    vnis: tuple[FrrVni, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """What the `Check` with this number found; it is repaired, and comes as `Changed` too.

    Upserts are what FRR's kernel holds and the bridge did not know, withdrawals the opposite.
    """

    request: int
    differed: int  # rows, whether they are in `batches` or not
    batches: tuple[RecordBatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send everything from the start, then changes, `credit` batches at once at the most.

    A controller that `provisions` makes FRR's devices, and will say `Provisioned` once they are
    there: until then, what FRR does not say means nothing. `kept` counts the rows in the datapath:
    Synced lets go of those that were not repeated.
    """

    credit: int
    provisions: bool = False
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Credit:
    """That many more batches may be sent; void in another epoch than the bridge's."""

    epoch: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Local hosts that the datapath learnt, for FRR to advertise as type 2."""

    whole: bool = False  # this is all of it: forget what is not here
    macs: tuple[Mac, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    gone_macs: tuple[Mac, ...] = ()
    gone_neighbors: tuple[Neighbor, ...] = ()


@dataclass(frozen=True, slots=True)
class Programmed:
    """Rows that the datapath took, or refused where the nexthop is 0: zebra waits for them."""

    batch: RouteBatch


@dataclass(frozen=True, slots=True)
class Configure:
    """Make FRR's configuration this: `FrrSettings` as JSON."""

    request: int
    settings: bytes = field(repr=False)  # may hold passwords


@dataclass(frozen=True, slots=True)
class Provisioned:
    """FRR has its configuration and all its devices."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of what is held for a dead daemon."""


@dataclass(frozen=True, slots=True)
class Check:
    """Compare what the bridge knows with what the kernel of FRR's namespace holds."""

    request: int


FromBridge = Changed | SessionChanged | Synced | Configured | Alive | FrrReport | Checked
FromController = (
    Subscribe | Credit | Mirror | Programmed | Configure | Provisioned | Release | Check
)
