"""Build devices in a thread, and report devices that another program changes.

A notification about a device that we are not building is another program's change: it is reported.
A notification about a device that we are building could be our own. So each build ends with a
comparison of its devices with their records.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from datapaths.base import PortState, RowFailure, Unavailable
from datapaths.kernel.layout import devices_of
from datapaths.kernel.observe import KIND_OF_MARK
from datapaths.linux import sysctls
from datapaths.linux.drift import Drift
from datapaths.linux.hostbridges import Bridge, Leg
from datapaths.linux.picture import ADDED, SETTINGS, TC
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.records import Record, RecordBatch

T = TypeVar("T")

log = logging.getLogger(__name__)

NOT_OURS = frozenset({"twin", TC, ADDED})  # the twins of ports repair these


class Devices(Protocol):
    """What builds the devices (`Layout`). Its methods block, so they run in a thread."""

    def prepare(self) -> Sequence[str]: ...

    def apply(self, batch: RecordBatch) -> Sequence[RowFailure]: ...

    def dump(self, kind: Kind) -> Sequence[Record]: ...

    def differing(self, records: Sequence[Record]) -> Sequence[tuple[Record, Sequence[str]]]: ...

    def ports(self) -> Sequence[PortState]: ...

    def leave(self, old: str) -> None: ...


class Builder:
    """Builds and watches the devices of one forwarding namespace, and the host ends of its legs.

    Calls `lost` with the kind of a device that another program changed.
    """

    def __init__(
        self, netns: str, host_netns: str, devices: Devices, lost: Callable[[Kind], None]
    ) -> None:
        self._netns = netns
        self._host_netns = host_netns
        self._devices = devices
        self._lost = lost
        self._thread = ThreadPoolExecutor(1, "layout")
        self._drift = Drift(self._drifted)
        self._preparing: asyncio.Task[None] | None = None
        self.legs: dict[str, Leg] = {}
        """The host legs that end in a bridge of the kernel, by the leg's name."""

    async def follow(self) -> None:
        """Look for changes that no notification reports, until cancelled."""
        await self._drift.run()

    async def prepare(self) -> Sequence[str]:
        """Make the namespace forward, and watch it; return the settings that the kernel lacks."""
        missing = await self._run(self._devices.prepare)
        self._drift.watch(self._netns, sysctls.FORWARDING)
        return missing

    async def leave(self, old: str) -> None:
        """Give back the NICs in a namespace that lost its name."""
        await self._run(lambda: self._devices.leave(old))

    async def ports(self) -> Sequence[PortState]:
        return await self._run(self._devices.ports)

    async def dump(self, kind: Kind) -> Sequence[Record]:
        records = await self._run(lambda: self._devices.dump(kind))
        self._watch_hosts(records)
        return records

    async def build(
        self, batch: RecordBatch, changed: Callable[[Collection[str]], None]
    ) -> Sequence[RowFailure]:
        """Build a batch's devices. Build a device again, once, if it was changed meanwhile.

        Call `changed` with the names of the devices that we have just changed.
        """
        with self._drift.paused():
            failures = list(await self._make(batch, changed))
            differing = await self._differing(batch, failures)
            if not differing:
                return failures
            for _, faults in differing:
                text = "another program changed a device while it was built (%s); building it again"
                log.warning(text, "; ".join(faults))
            again = RecordBatch(batch.kind, tuple(record for record, _ in differing))
            refused = {again.upserts[f.index]: f for f in await self._make(again, changed)}
            differing = await self._differing(again, list(refused.values()))
        for record, failure in refused.items():
            index = batch.upserts.index(record)
            failures.append(replace(failure, index=index))
        for record, faults in differing:
            reason = f"another program keeps changing it: {'; '.join(faults)}"
            failures.append(RowFailure(batch.upserts.index(record), errno.EAGAIN, reason))
        return failures

    async def close(self) -> None:
        self._drift.close()
        if self._preparing:
            await asyncio.wait([self._preparing])
        await asyncio.to_thread(self._thread.shutdown)

    async def _make(
        self, batch: RecordBatch, changed: Callable[[Collection[str]], None]
    ) -> Sequence[RowFailure]:
        records = (*batch.upserts, *batch.withdrawals)
        names = {name for record in records for name in devices_of(record)}
        self._watch_hosts(batch.upserts)
        for record in batch.withdrawals:
            if isinstance(record, Port):
                self.legs.pop(record.name, None)
        try:
            return await self._run(lambda: self._devices.apply(batch))
        finally:
            changed(names)
            await self._drift.look(names)

    async def _differing(
        self, batch: RecordBatch, failures: Sequence[RowFailure]
    ) -> Sequence[tuple[Record, Sequence[str]]]:
        """Return the records of a batch whose devices differ by now, with the differences."""
        failed = {failure.index for failure in failures}
        made = [record for i, record in enumerate(batch.upserts) if i not in failed]
        return await self._run(lambda: self._devices.differing(made)) if made else ()

    def _watch_hosts(self, records: Iterable[Record]) -> None:
        for record in records:
            if not isinstance(record, Port):
                continue
            self.legs.pop(record.name, None)
            if record.host:
                where = record.host.netns or self._host_netns
                self._drift.watch(where)
                if record.host.bridge and not record.host.ovs:
                    end = Bridge(where, record.host.bridge)
                    self.legs[record.name] = Leg(end, record.host.name)

    def _drifted(self, _netns: str, purpose: str) -> None:
        if purpose != SETTINGS:
            if purpose not in NOT_OURS:
                self._lost(KIND_OF_MARK.get(purpose, Kind.PORT))
        elif not self._preparing or self._preparing.done():
            self._preparing = asyncio.get_running_loop().create_task(self._prepare_again())

    async def _prepare_again(self) -> None:
        with suppress(Unavailable, OSError):  # no namespace, or the next look tries again
            await self._run(lambda: sysctls.ensure(self._netns, sysctls.FORWARDING))

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
