"""Notice when another program changes a kernel device of a port: NIC, host leg, wire or TAP.

grout's own events report changes within grout (`picture.observe`). A batch's own changes are
recognized by the device names of its records; the driver compares those devices after each batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from datapaths.base import DatapathError
from datapaths.grout.ports.names import MAIN, device_of, wire_of
from datapaths.grout.ports.placement import NO_ADDRESSES, Places
from datapaths.linux import marks, nics, sysctls
from datapaths.linux.drift import Drift
from datapaths.linux.hostbridges import Leg
from datapaths.linux.picture import ADDED, SETTINGS
from dualpath.model.kinds import Kind
from dualpath.model.links import Port, Vni, Vrf
from dualpath.model.records import Record

log = logging.getLogger(__name__)

SPACES_S = 1.0  # between two looks for namespaces: grout may restart in another one
OF_TWINS = frozenset({"twin", ADDED})
KINDS_OF = {marks.TAP: (Kind.VNI, Kind.PORT)}  # others: Kind.PORT


class DeviceDrift:
    """Follows every namespace in which ports of grout have devices.

    It calls `places` before each look, and `lost` with the kind of a device that changed.
    """

    def __init__(self, places: Callable[[], Places], lost: Callable[[Kind], None]) -> None:
        self._places = places
        self._lost = lost
        self._drift = Drift(self._drifted)
        self._ports: dict[str, Port] = {}
        self.legs: dict[str, Leg] = {}
        """The host legs that end in a bridge of the kernel, by the port's name."""
        self._home = ""  # grout's namespace, once it is prepared
        self._setting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._drift.run())
                group.create_task(self._follow())
        finally:
            self._drift.close()

    async def _follow(self) -> None:
        looked_s = nics.boottime_s()
        while True:
            await self.watch()
            await asyncio.sleep(SPACES_S)
            since_s, looked_s = looked_s, nics.boottime_s()
            if await asyncio.to_thread(nics.any_expired, since_s, looked_s):
                self._lost(Kind.PORT)  # grout does not remove an expired address

    async def watch(self, ports: Iterable[Record] = ()) -> None:
        """Follow the namespaces of these ports too, and the one that grout is in now."""
        self._ports.update({port.name: port for port in ports if isinstance(port, Port)})
        with suppress(OSError, DatapathError):  # grout is not running; the next look finds it
            places = await asyncio.to_thread(self._places)
            namespaces = places.namespaces(self._ports.values())
            self.legs = places.legs(self._ports.values())
            if (home := next(iter(namespaces))) != self._home:
                await asyncio.to_thread(places.prepare)  # or its settings look changed
                self._home = home
            self._drift.watch_only(namespaces)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Read no notifications while a batch changes devices."""
        with self._drift.paused():
            yield

    async def look(self, own: Collection[str]) -> None:
        """Read all queued notifications; report none about the devices in `own`."""
        await self._drift.look(own)

    def forget(self, ports: Iterable[Record]) -> None:
        """Forget withdrawn ports: they have no devices any more."""
        for port in ports:
            if isinstance(port, Port):
                self._ports.pop(port.name, None)

    def _drifted(self, space: str, what: str) -> None:
        if what == SETTINGS:
            if not self._setting or self._setting.done():
                self._setting = asyncio.get_running_loop().create_task(self._set_again(space))
        elif what not in OF_TWINS:
            for kind in KINDS_OF.get(what, (Kind.PORT,)):
                self._lost(kind)

    async def _set_again(self, space: str) -> None:
        with suppress(OSError):  # the namespace is gone, or the next look tries again
            await asyncio.to_thread(sysctls.ensure, space, NO_ADDRESSES)


def devices_of(records: Iterable[Record]) -> set[str]:
    """Return the names of the devices of some records, in grout and in any namespace."""
    return {name for record in records for name in _devices_of(record)}


def _devices_of(record: Record) -> Collection[str]:
    match record:
        case Port(loopback=True):
            return {MAIN}
        case Port(name=name, host=host):
            ends = [host.name] if host else []
            return {name, device_of(name), wire_of(name), *ends}
        case Vni():
            return {record.bridge, record.device}
        case Vrf():
            return {record.name}
        case _:
            return ()
