"""Replays recordings of frr-bridge through the real code, into the datapath in memory.

    recording -> Player (frr_bridge) -> State, Reconciler (controller.core) -> MemoryDatapath

The same recording gives the same operations in the same order. A recording has no intent: VRFs and
VNIs are taken from the shadow devices in FRR's namespace.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from controller.core.describe import describe
from controller.core.reconciler import Reconciler
from controller.core.state import State
from datapaths.base import Batch, RowFailure
from datapaths.memory import MemoryDatapath
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.links import Vni, Vrf
from dualpath.model.nexthops import NexthopType, is_reserved, reserved
from dualpath.model.records import RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Op, RouteBatch, prefix_text
from frr_bridge.recording.pcapng import Entry
from frr_bridge.recording.player import Player

_CREDIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Operation:
    """One row that was given to the datapath, or a change of the FPM session."""

    at_s: float  # since the recording began
    op: str  # "+", "-", or "=" for a session
    kind: str
    vrf: str
    row: str
    value: str = ""
    refused: str = ""  # why, with the errno's name


class _Recorded(MemoryDatapath):
    """Records applied and refused rows."""

    def __init__(self, note: Callable[[Operation], None], now: Callable[[], float]) -> None:
        super().__init__()
        self._note = note
        self._now = now

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        failures = await super().apply(batch)
        refused = {failure.index: str(failure) for failure in failures}
        rows = self._routes(batch) if isinstance(batch, RouteBatch) else _records(batch)
        for index, (op, kind, vrf, row, value) in enumerate(rows):
            self._note(Operation(self._now(), op, kind, vrf, row, value, refused.get(index, "")))
        return failures

    def _routes(self, batch: RouteBatch) -> Iterator[tuple[str, str, str, str, str]]:
        for i, nexthop in enumerate(batch.nexthops.tolist()):
            row = prefix_text(batch.prefixes[i].tobytes(), int(batch.lengths[i]))
            if batch.ops[i] == Op.WITHDRAW:
                yield "-", "route", batch.vrf, row, ""
            else:
                yield "+", "route", batch.vrf, row, self._target(nexthop)

    def _target(self, nexthop: int) -> str:
        if is_reserved(nexthop):
            names = {reserved(kind): kind.name.lower() for kind in NexthopType}
            return names.get(nexthop, f"reserved {nexthop}")
        found = self.records[Kind.NEXTHOP].get(nexthop)
        return f"nexthop {nexthop}" + (f" ({found})" if found else ", which is missing")


def _records(batch: RecordBatch) -> Iterator[tuple[str, str, str, str, str]]:
    for index in range(len(batch)):
        row, value = describe(batch.row(index))
        kind = batch.kind.word
        if index < len(batch.upserts):
            yield "+", kind, "", row, value
        else:
            yield "-", kind, "", row, ""


class Replay:
    """One replay; `operations` yields its events in order."""

    def __init__(self) -> None:
        self.credit = _CREDIT  # this and `send` are those of `frr_bridge.announcer.Bus`
        self.subscribed = True
        self._entries = 0
        self._pending = True  # the reconciler has work
        self._found: list[Operation] = []
        self._began_us: int | None = None
        self._player = Player(self)
        self._datapath = _Recorded(self._found.append, self._at_s)
        self._state = State(self, self._wake, lambda _: None, lambda _: None)
        self._reconciler = Reconciler(self._state, self._datapath, self, lambda *_: None)

    async def operations(
        self, entries: Iterable[Entry], *, until_s: float = 0.0, speed: float = 0.0
    ) -> AsyncIterator[Operation]:
        """Play entries, up to `until_s` (0: to the end).

        `speed` 1 takes as long as the recording, 2 half as long; 0 does not wait.
        Raises RecordingError, after playing everything before the damage.
        """
        self._state.datapath_takes((await self._datapath.capabilities()).kinds)
        self._state.subscribed(same_bridge=False)
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._reconciler.run())
        began_s = loop.time()
        try:
            for _ in self._player.play(self._until(entries, until_s)):
                self._entries += 1
                self._want_devices()
                if speed:
                    await asyncio.sleep(began_s + self._at_s() / speed - loop.time())
                await self._settle(work)
                for operation in self._taken():
                    yield operation
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    @property
    def remarks(self) -> Sequence[str]:
        """Return what the recording lacks, one sentence each."""
        return self._player.remarks

    def summary(self) -> dict[str, object]:
        """Return the rows of the datapath at the end, and the session's state."""
        held = {kind.name.lower(): len(rows) for kind, rows in self._datapath.records.items()}
        held["route"] = sum(map(len, self._datapath.routes.values()))
        bridge = self._player.bridge
        return {
            "entries": self._entries,
            "seconds": round(self._at_s(), 6),
            "session": bridge.session.number,
            "state": str(bridge.session.state),
            "decode_errors": bridge.decode_errors,
            "programmed": {kind: count for kind, count in held.items() if count},
        }

    def send(self, event: events.FromBridge) -> None:
        if isinstance(event, events.SessionChanged):
            text = f"{event.state}: {event.reason}" if event.reason else str(event.state)
            self._found.append(Operation(self._at_s(), "=", "session", "", str(event.number), text))
        self._state.learn(event)

    def _until(self, entries: Iterable[Entry], until_s: float) -> Iterator[Entry]:
        for entry in entries:
            if self._began_us is None:
                self._began_us = entry.at_us
            if until_s and entry.at_us - self._began_us > until_s * 1e6:
                return
            yield entry

    def _want_devices(self) -> None:
        if self._player.links_changed:
            self._player.links_changed = False
            devices = self._player.bridge.overlay.devices
            vrfs = [Vrf(name, table) for table, name in devices.vrfs().items()]
            self._state.want(Kind.VRF, [vrf for vrf in vrfs if vrf.name != DEFAULT_VRF])
            self._state.want(Kind.VNI, [Vni(vni) for vni in sorted(devices.vnis())])

    def _wake(self) -> None:
        self._pending = True
        self._reconciler.wake()

    async def _settle(self, work: asyncio.Task[None]) -> None:
        """Wait until the datapath has every row that it accepts."""
        if not self._pending:
            return
        self._pending = False
        rest = asyncio.ensure_future(self._reconciler.at_rest())
        await asyncio.wait({work, rest}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            rest.cancel()
            work.result()

    def _taken(self) -> list[Operation]:
        taken = self._found[:]
        self._found.clear()
        return taken

    # -- a clock --------------------------------------------------------------------------

    def monotonic(self) -> float:
        return self._player.at_us / 1e6

    def epoch(self) -> float:
        return self._player.at_us / 1e6

    def _at_s(self) -> float:
        return max(0, self._player.at_us - (self._began_us or 0)) / 1e6
