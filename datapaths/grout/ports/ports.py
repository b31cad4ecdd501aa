"""Create, read back and remove ports of grout, with the kernel devices below them.

A port is one interface of grout's, the devices below it (`placement`), and addresses. Blocking work
with the kernel runs in a thread. There is no state here: marks in grout's descriptions and in the
kernel's aliases identify Dualpath's ports. After a restart of grout every port is missing, and is
created again.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from datapaths.base import PortState, RowFailure, Unavailable, Unsupported
from datapaths.grout.channel import Channel, Refused
from datapaths.grout.ports import portmark
from datapaths.grout.ports.placement import Look, Places, Tap
from datapaths.grout.wire import addresses as wire_addresses
from datapaths.grout.wire import adverts
from datapaths.grout.wire import ifaces as wire_ifaces
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import TYPE, family_of
from datapaths.grout.wire.ifaces import Iface, PortInfo
from datapaths.grout.wire.stats import IfaceStats, decode_iface_stats
from datapaths.linux.linkinfo import is_link_local
from datapaths.linux.marks import Mark, encode
from dualpath.model.links import BROKEN_MTU, Address, Port
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Family

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

FAMILIES = (Family.INET, Family.INET6)
NO_STATS = IfaceStats(0, 0, 0, 0, 0, 0, 0)
HINTS = {
    errno.ERANGE: "the MTU is too large: start grout with a larger --max-mtu",
    errno.ENODEV: "DPDK finds no such device, or lacks the driver (Debian: librte-net-*)",
    errno.EEXIST: "grout has an interface or a device of this name already",
}


@dataclass(frozen=True, slots=True)
class Inventory:
    """grout's interfaces and their addresses, read at one time."""

    ifaces: dict[str, Iface]
    addresses: dict[int, list[Address]]

    @property
    def names(self) -> dict[int, str]:
        return {iface.id: iface.name for iface in self.ifaces.values()}

    def of(self, iface: Iface) -> list[Address]:
        return self.addresses.get(iface.id, [])


class Ports:
    """Ports over one connection to grout.

    It calls `places` for each batch: grout may have restarted in another namespace.
    """

    def __init__(self, channel: Channel, places: Callable[[], Places]) -> None:
        self._channel = channel
        self._places = places

    async def apply(self, batch: RecordBatch) -> list[RowFailure]:
        """Apply every row, upserts first; return the rows that failed."""
        places = await asyncio.to_thread(self._places)
        failures: list[RowFailure] = []
        await _in_thread(places.prepare)
        for index in range(len(batch)):
            port = batch.row(index)
            assert isinstance(port, Port)
            work = self._ensure if index < len(batch.upserts) else self._remove
            if failure := await _tried(work(places, port)):
                failures.append(RowFailure(index, *failure))
        return failures

    async def dump(self) -> list[Port]:
        """Return Dualpath's ports, as the records that would make them."""
        have, places = await self.inventory(), await asyncio.to_thread(self._places)
        return await asyncio.to_thread(_records, have, places)

    async def states(self) -> list[PortState]:
        """Return Dualpath's ports with their counters and all their addresses."""
        have = await self.inventory()
        stats = decode_iface_stats(
            self._channel.api, await self._channel.call("GR_IFACE_STATS_GET")
        )
        found = {one.iface: one for one in stats}
        return [
            _state(iface, have.of(iface), found.get(iface.id, NO_STATS))
            for iface in have.ifaces.values()
            if portmark.read_mark(iface)
        ]

    async def inventory(self) -> Inventory:
        api = self._channel.api
        everything = api.pack("gr_iface_list_req", type=0)
        ifaces = [
            wire_ifaces.decode(api, payload)
            async for payload in self._channel.each("GR_IFACE_LIST", everything)
        ]
        addresses: dict[int, list[Address]] = {}
        for family in FAMILIES:
            request = wire_addresses.encode_list(api, family)
            async for payload in self._channel.each(f"{TYPE[family]}_ADDR_LIST", request):
                owner, address = wire_addresses.decode(api, family, payload)
                addresses.setdefault(owner, []).append(address)
        return Inventory({iface.name: iface for iface in ifaces}, addresses)

    async def _ensure(self, places: Places, port: Port) -> None:
        have = await self.inventory()
        if port.loopback:
            await self._ensure_loopback(have, port)
            return
        known = have.ifaces.get(port.name)
        if known and not portmark.is_ours(known, port):
            text = f"grout has an interface {port.name} that Dualpath did not make; remove it"
            raise OSError(errno.EEXIST, text)
        vrf, domain = _master(have, port)
        placement = await _in_thread(places.before, port, known.cp_id if known else 0)
        if known and (portmark.devargs_of(known) != placement.devargs or placement.tap_lost):
            await self._delete(known)
            known = None
        before = mark.addresses if known and (mark := portmark.read_mark(known)) else ()
        want = portmark.wanted(port, placement.devargs, vrf, domain, placement.mtu)
        now, new = await self._update(places, port, known, want)
        await _in_thread(places.after, port, tap_of(now), new=new)
        if not domain:
            if port.vrf:  # a tenant's port: hosts are behind it, no routers
                request = adverts.encode_no_default_router(self._channel.api, now.id)
                await self._channel.call(adverts.SET, request)
            wanted = tuple(dict.fromkeys((*port.addresses, *placement.addresses)))
            await self._set_addresses(now.id, wanted, (*before, *placement.expired))

    async def _update(
        self, places: Places, port: Port, known: Iface | None, want: Iface
    ) -> tuple[Iface, bool]:
        """Change an interface or make it; return it as it is now, and whether it is new.

        grout cannot change a port whose wire left its namespace (EPERM): that port is made again.
        """
        if known:
            try:
                await self._set(known, want)
            except Refused as refused:
                if refused.errno != errno.EPERM:
                    raise
                await self._delete(known)
            else:
                return await self._get(known.id), False
            await _in_thread(places.before, port, 0)
        return await self._get(await self._add(want)), True

    async def _ensure_loopback(self, have: Inventory, port: Port) -> None:
        """Set the VTEP addresses on grout's interface `main`, the default VRF's loopback."""
        main = _loopback(have)
        mark = portmark.read_mark(main)
        if not main.flags & n.GR_IFACE_F_UP:
            await self._set_up(main)
        description = encode(Mark("port", port.addresses, {"twin": int(port.twin)}))
        if main.description != description:
            await self._set_description(main, description)
        await self._set_addresses(main.id, port.addresses, mark.addresses if mark else ())

    async def _remove(self, places: Places, port: Port) -> None:
        have = await self.inventory()
        if port.loopback:
            main = _loopback(have)
            if mark := portmark.read_mark(main):
                await self._set_addresses(main.id, (), mark.addresses)
                await self._set_description(main, "")
            return
        known = have.ifaces.get(port.name)
        if known and portmark.is_ours(known, port):
            await self._delete(known)
        await _in_thread(places.remove, port)

    async def _get(self, iface: int) -> Iface:
        api = self._channel.api
        request = api.pack("gr_iface_get_req", iface_id=iface)
        return wire_ifaces.decode(api, await self._channel.call("GR_IFACE_GET", request))

    async def _add(self, want: Iface) -> int:
        api = self._channel.api
        default = want.vrf == n.GR_VRF_DEFAULT_ID  # grout makes it with the first interface
        asked = replace(want, vrf=0) if default else want
        answer = await self._channel.call("GR_IFACE_ADD", wire_ifaces.encode(api, asked))
        return wire_ifaces.decode_added(api, answer)

    async def _set(self, known: Iface, want: Iface) -> None:
        if attributes := portmark.differences(known, want):
            changed = replace(want, id=known.id)
            await self._channel.call(
                "GR_IFACE_SET", wire_ifaces.encode_set(self._channel.api, changed, attributes)
            )

    async def _set_up(self, iface: Iface) -> None:
        changed = replace(iface, flags=iface.flags | n.GR_IFACE_F_UP)
        request = wire_ifaces.encode_set(self._channel.api, changed, n.GR_IFACE_SET_FLAGS)
        await self._channel.call("GR_IFACE_SET", request)

    async def _set_description(self, iface: Iface, description: str) -> None:
        changed = replace(iface, description=description)
        await self._channel.call(
            "GR_IFACE_SET",
            wire_ifaces.encode_set(self._channel.api, changed, n.GR_IFACE_SET_DESCR),
        )

    async def _delete(self, iface: Iface) -> None:
        request = self._channel.api.pack("gr_iface_del_req", iface_id=iface.id)
        await self._channel.call("GR_IFACE_DEL", request)

    async def _set_addresses(
        self, iface: int, wanted: Sequence[Address], before: Sequence[Address]
    ) -> None:
        """Remove addresses of `before` that are no longer wanted, then add the missing ones.

        In this order, because grout refuses an address that it has with another prefix length.
        """
        api, have = self._channel.api, (await self.inventory()).addresses.get(iface, [])
        for address in before:
            if address in have and address not in wanted:
                request = wire_addresses.encode_del(api, iface, address)
                await self._channel.call(f"{TYPE[family_of(address.ip)]}_ADDR_DEL", request)
        for address in wanted:
            if address not in have:
                request = wire_addresses.encode_add(api, iface, address)
                await self._channel.call(f"{TYPE[family_of(address.ip)]}_ADDR_ADD", request)


async def _tried(work: Awaitable[None]) -> tuple[int, str] | None:
    """Await the work of one row; return the errno and the reason when it fails."""
    try:
        await work
    except Refused as refused:
        hint = HINTS.get(refused.errno, "")
        return refused.errno, f"{refused}; {hint}".removesuffix("; ")
    except OSError as error:
        return error.errno or errno.EIO, error.strerror or str(error)
    except Unsupported as error:
        return errno.EOPNOTSUPP, str(error)
    return None


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work with the kernel in a thread. A missing namespace fails only that row."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except Unavailable as error:
        raise OSError(errno.ENOENT, str(error)) from error


def _loopback(have: Inventory) -> Iface:
    for iface in have.ifaces.values():
        if iface.id == n.GR_VRF_DEFAULT_ID:
            return iface
    raise OSError(errno.ENODEV, "grout has no default VRF yet: it appears with the first interface")


def _master(have: Inventory, port: Port) -> tuple[int, int]:
    """Return the ids of a port's VRF and bridge; the bridge's is 0 when it is routed."""
    if port.vni:
        bridge = have.ifaces.get(f"br{port.vni}")
        if not bridge or bridge.type != n.GR_IFACE_TYPE_BRIDGE:
            raise OSError(errno.ENODEV, f"grout has no bridge br{port.vni}")
        return 0, bridge.id
    if not port.vrf:
        return n.GR_VRF_DEFAULT_ID, 0
    vrf = have.ifaces.get(port.vrf)
    if not vrf or vrf.type != n.GR_IFACE_TYPE_VRF:
        raise OSError(errno.ENODEV, f"grout has no VRF {port.vrf}")
    return vrf.id, 0


def tap_of(iface: Iface) -> Tap:
    """Return the TAP of an interface as grout made it."""
    mac = iface.info.mac if isinstance(iface.info, PortInfo) else b""
    return Tap(iface.name, iface.cp_id, mac, iface.mtu)


def _records(have: Inventory, places: Places) -> list[Port]:
    """Return Dualpath's ports; one that differs from what `apply` makes is broken. Blocks."""
    found: list[Port] = []
    with places.looking() as look:
        for iface in have.ifaces.values():
            if mark := portmark.read_mark(iface):
                make = _main_record if iface.id == n.GR_VRF_DEFAULT_ID else _record
                found.append(make(have, look, iface, mark))
    return found


def _main_record(have: Inventory, _look: Look, main: Iface, mark: Mark) -> Port:
    kept = tuple(a for a in mark.addresses if a in have.of(main))
    port = Port("lo", addresses=kept, twin=mark.flag("twin"), loopback=True)
    return port if main.flags & n.GR_IFACE_F_UP else replace(port, mtu=BROKEN_MTU)


def _record(have: Inventory, look: Look, iface: Iface, mark: Mark) -> Port:
    addresses = have.of(iface)
    host = look.host_end(iface.name, mark)
    port = portmark.record(iface, mark, have.names, addresses, host)
    placement, faults = look.placement(port, tap_of(iface))
    if placement:
        want = portmark.wanted(port, placement.devargs, iface.vrf, iface.domain, placement.mtu)
        want = replace(want, description=iface.description)  # the record shows missing addresses
        faults += portmark.faults(iface, want)
        missing = [] if port.vni else [a for a in placement.addresses if a not in addresses]
        stale = [a for a in placement.expired if a in addresses and a not in port.addresses]
        faults += [f"address {address}" for address in (*missing, *stale)]
    if faults:
        log.debug("port %s differs: %s", port.name, "; ".join(faults))
    return replace(port, mtu=BROKEN_MTU) if faults else port


def _state(iface: Iface, addresses: Sequence[Address], stats: IfaceStats) -> PortState:
    info = iface.info if isinstance(iface.info, PortInfo) else PortInfo()
    loopback = iface.id == n.GR_VRF_DEFAULT_ID
    texts = [str(a) for a in addresses if not (loopback and is_link_local(a))]
    return PortState(
        name="lo" if loopback else iface.name,
        up=iface.running,
        mac=info.mac,
        mtu=iface.mtu,
        addresses=tuple(texts),
        rx_packets=stats.rx_packets,
        rx_bytes=stats.rx_bytes,
        tx_packets=stats.tx_packets,
        tx_bytes=stats.tx_bytes,
        rx_dropped=stats.rx_drops,
        tx_errors=stats.tx_errors,
        driver=info.driver,
    )
