"""Enlarge grout's forwarding tables (FIBs) before they are full.

A full table refuses routes with ENOSPC, and their packets are lost. GR_IFACE_SET on the VRF creates
a larger table beside the old one. For a moment both must fit in memory; otherwise nothing changes.
"""

from __future__ import annotations

import errno
import logging
from dataclasses import replace

from datapaths.grout.channel import Channel, Refused
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.wire import ifaces, stats
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import TYPE
from datapaths.grout.wire.ifaces import Fib, Iface, VrfInfo
from datapaths.grout.wire.stats import FibInfo
from dualpath.model.routes import Family

log = logging.getLogger(__name__)

FULL = 0.8  # the share at which a table is enlarged, counting routes that are about to be written
GROWTH = (2.0, 1.5, 1.26)  # the first that fits in grout's memory; the last is just below FULL
FULL_TABLE = {Family.INET: 1_300_000, Family.INET6: 400_000}
"""The Internet's routes, and some more. In one step: after a table of half that size, memory is
fragmented, and the next table finds no room in grout's 2 GiB (decision 0013)."""
ROUTES_PER_TBL8 = 64  # a BGP table has about 400 in each block; scattered host routes have 1
FIRST_IPV6 = 4096
"""IPv6 routes of a new VRF. grout's default of 65536 takes 512 MiB of second-level blocks, of 2 GiB
in all; 4096 take 32 MiB."""
MOST_TBL8 = 1 << 17  # of 1 KiB (IPv4) or 2 KiB (IPv6)

Key = tuple[int, Family]


class FibKeeper:
    """Keeps an upper bound of each table's use, and asks grout only when it exceeds FULL."""

    def __init__(self, channel: Channel, table: IfaceTable) -> None:
        self._channel = channel
        self._table = table
        self._used: dict[Key, int] = {}  # an upper bound
        self._fibs: dict[Key, FibInfo] = {}
        self._stuck: set[Key] = set()

    async def begin_small(self) -> None:
        """Give future VRFs, also `main`, small IPv6 tables."""
        payload = stats.encode_fib6_default(self._channel.api, FIRST_IPV6)
        await self._channel.call("GR_IP6_FIB_DEFAULT_SET", payload)

    async def make_room(self, vrf: int, family: Family, rows: int) -> None:
        """Enlarge a table so that `rows` more routes fit, if grout has the memory."""
        key = vrf, family
        self._used[key] = self._used.get(key, 0) + rows
        fib = self._fibs.get(key)
        if fib and self._used[key] <= FULL * fib.max_routes:
            return
        fib = await self._read(key)
        self._used[key] = fib.used_routes + rows
        if self._used[key] <= FULL * fib.max_routes:
            return
        full_table = max(FULL_TABLE[family], int(self._used[key] * GROWTH[0]))
        for wanted in (full_table, *(int(self._used[key] * growth) for growth in GROWTH)):
            if wanted <= fib.max_routes:
                return
            blocks = max(fib.num_tbl8, min(wanted // ROUTES_PER_TBL8, MOST_TBL8))
            if await self._resize(key, Fib(max_routes=wanted, num_tbl8=blocks)):
                return

    async def more_blocks(self, vrf: int, family: Family) -> bool:
        """Quadruple the second-level blocks after an ENOSPC; return False if that fails."""
        fib = await self._read((vrf, family))
        if fib.num_tbl8 >= MOST_TBL8:
            return False
        blocks = min(fib.num_tbl8 * 4, MOST_TBL8)
        return await self._resize((vrf, family), Fib(max_routes=fib.max_routes, num_tbl8=blocks))

    async def read_all(self) -> list[FibInfo]:
        """Return the use of every VRF's tables."""
        return [
            fib
            for family in Family
            for fib in await self._list(family)
            if fib.vrf  # 0 is the default for new VRFs
        ]

    async def _read(self, key: Key) -> FibInfo:
        vrf, family = key
        found = await self._list(family, vrf)
        fib = next((fib for fib in found if fib.vrf == vrf), FibInfo(vrf, family, 0, 0, 0, 0))
        self._fibs[key] = fib
        return fib

    async def _list(self, family: Family, vrf: int = 0) -> list[FibInfo]:
        api = self._channel.api
        payload = stats.encode_fib_list(api, family, vrf)
        rows = self._channel.each(f"{TYPE[family]}_FIB_INFO_LIST", payload)
        return [stats.decode_fib(api, family, row) async for row in rows]

    async def _resize(self, key: Key, fib: Fib) -> bool:
        vrf, family = key
        other = Family.INET6 if family is Family.INET else Family.INET
        held = await self._read((vrf, other))
        info = VrfInfo(ipv4=fib, ipv6=fib)
        beside = Fib(max_routes=held.max_routes, num_tbl8=held.num_tbl8)
        info = replace(info, ipv6=beside) if other is Family.INET6 else replace(info, ipv4=beside)
        iface = Iface(type=n.GR_IFACE_TYPE_VRF, id=vrf, info=info)
        payload = ifaces.encode_set(self._channel.api, iface, n.GR_VRF_SET_FIB)
        name = self._table.vrf_name(vrf)
        try:
            await self._channel.call("GR_IFACE_SET", payload)
        except Refused as refused:
            if key not in self._stuck:
                self._stuck.add(key)
                log.warning(
                    "VRF %s: grout refuses room for %d routes and %d blocks: %s",
                    name, fib.max_routes, fib.num_tbl8, errno.errorcode.get(refused.errno, "?"),
                )  # fmt: skip
            return False
        self._stuck.discard(key)
        log.info("VRF %s: room for %d routes, %d blocks", name, fib.max_routes, fib.num_tbl8)
        await self._read(key)
        return True
