"""Every message on the bus, as one frozen class each.

Times are of CLOCK_MONOTONIC, which both ends share: the bus never leaves the machine. The wall
clock may be set at any moment, and an age computed from it would be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.records import RecordBatch
from dualpath.model.routes import RouteBatch
from dualpath.model.view import BgpSession, FrrVni


@dataclass(frozen=True, slots=True)
class Changed:
    """FRR desires these rows now, or no longer; uses one credit."""

    batch: RouteBatch | RecordBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """The state of zebra's FPM session."""

    number: int  # counts zebra's connections since the bridge started; 0 before the first
    state: str  # frr_bridge.session.State in lower case
    reason: str = ""  # what the session waits for, in one sentence
    stale_after: float = 0.0  # when the hold ends, monotonic; 0: never
    acknowledge: bool = False  # zebra waits for acknowledgements of programmed routes


@dataclass(frozen=True, slots=True)
class Synced:
    """All that FRR desires was sent since the subscription began: other rows may be swept."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The result of the `Configure` with this number."""

    request: int
    ok: bool
    changed: bool
    message: str = ""
    section: str = ""  # of frr.conf, which `message` is about: "RawFRRConfig mine", "vrf red"


@dataclass(frozen=True, slots=True)
class Alive:
    """The bridge sends this every second."""


@dataclass(frozen=True, slots=True)
class FrrReport:
    """A report of FRR's daemons; sent when it changed."""

    sessions: tuple[BgpSession, ...] = ()  # `since` is monotonic
    vnis: tuple[FrrVni, ...] = ()
    undecoded: int = 0  # messages from zebra that frr-bridge could not decode since its start


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of the `Check` with this number. The rows are repaired, and come as `Changed` too.

    Upserts are rows that only FRR's kernel had; withdrawals are rows that only the bridge had.
    """

    request: int
    differed: int  # rows, whether they are in `batches` or not
    batches: tuple[RecordBatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send everything from the start, then changes, with at most `credit` batches in flight.

    A controller that `provisions` creates FRR's devices, and sends `Provisioned` once they exist:
    until then, the absence of a row means nothing. `kept` counts the rows in the datapath: the
    sweep at Synced removes those that were not repeated.
    """

    credit: int
    provisions: bool = False
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Credit:
    """Allow that many more batches; ignored unless the epoch is the bridge's."""

    epoch: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Local hosts that the datapath learned, for FRR to advertise as type 2 routes."""

    whole: bool = False  # this is the whole set: forget others
    macs: tuple[Mac, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    gone_macs: tuple[Mac, ...] = ()
    gone_neighbors: tuple[Neighbor, ...] = ()


@dataclass(frozen=True, slots=True)
class Programmed:
    """Rows that the datapath accepted; nexthop 0: it refused the row. zebra receives them back."""

    batch: RouteBatch


@dataclass(frozen=True, slots=True)
class Configure:
    """Replace FRR's configuration: `FrrSettings` as JSON."""

    request: int
    settings: bytes = field(repr=False)  # may hold passwords


@dataclass(frozen=True, slots=True)
class Provisioned:
    """FRR has its configuration and all its devices."""


@dataclass(frozen=True, slots=True)
class Release:
    """End the hold for a dead daemon."""


@dataclass(frozen=True, slots=True)
class Check:
    """Compare the bridge's rows with those in the kernel of FRR's namespace."""

    request: int


FromBridge = Changed | SessionChanged | Synced | Configured | Alive | FrrReport | Checked
FromController = (
    Subscribe | Credit | Mirror | Programmed | Configure | Provisioned | Release | Check
)
