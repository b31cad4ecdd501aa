"""Keeps all interfaces of CNI plugins, with one task per interface (`upkeep`).

A round of the provisioner skips ports whose interface does not exist yet, so a plugin that fails or
hangs delays no other port. A port leaves the datapath before its plugins remove it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress

from controller.cni import protocol, records
from controller.cni.records import Unreadable
from controller.cni.upkeep import Tools, Upkeep
from datapaths.linux import netns
from dualpath.model.cni import CniDevice

log = logging.getLogger(__name__)

_SETTLE_S = 3.0


class CniKeeper:
    """The interfaces of one forwarding namespace."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._kept: dict[str, Upkeep] = {}
        self._wanted: dict[str, CniDevice] = {}
        self._group: asyncio.TaskGroup | None = None

    async def want(self, devices: Sequence[CniDevice]) -> Mapping[str, str]:
        """Note the wanted interfaces; return those that are missing, and why.

        Wait a moment for new ones: most plugins finish in milliseconds.
        """
        self._wanted = {device.name: device for device in devices}
        left = await asyncio.to_thread(records.names, netns.path_of(self._tools.forwarding))
        for name in {*self._wanted, *left, *self._kept}:
            await self._upkeep(name).want(self._wanted.get(name))
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                for name in self._wanted:
                    await self._kept[name].settled.wait()
        return {name: why for name in self._wanted if (why := self._kept[name].waiting)}

    @property
    def remarks(self) -> Mapping[str, str]:
        """Return the problems of existing interfaces."""
        return {name: one.remark for name, one in self._kept.items() if one.remark}

    def look_again(self) -> None:
        for one in self._kept.values():
            one.look_again()

    async def audit(self) -> Mapping[str, str]:
        """Return which interfaces differ from their plugins' results, and how."""
        found = {name: await self._kept[name].audit() for name in self._wanted}
        return {name: why for name, why in found.items() if why}

    async def run(self) -> None:
        """Run until cancelled. The interfaces stay."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for name in self._kept:
                    self._start(name)
                await asyncio.Event().wait()
        finally:
            self._group = None
            self._tools.plugins.stop()  # or the process would wait for the threads that run some

    def _upkeep(self, name: str) -> Upkeep:
        if name not in self._kept:
            self._kept[name] = Upkeep(name, self._tools)
            self._start(name)
        return self._kept[name]

    def _start(self, name: str) -> None:
        if self._group:
            self._group.create_task(self._keep(name))

    async def _keep(self, name: str) -> None:
        await self._kept[name].run()
        while name in self._wanted:  # wanted again in the meantime
            await self._kept[name].run()
        del self._kept[name]
        await asyncio.to_thread(self._end_daemon)

    def _end_daemon(self) -> None:
        """End the DHCP daemon when no interface has a lease from it."""
        path = netns.path_of(self._tools.forwarding)
        with suppress(Unreadable):
            leased = any(protocol.needs_daemon(it.device) for it in records.every(path))
            if not leased and not any(map(protocol.needs_daemon, self._wanted.values())):
                self._tools.daemon.end()
