"""Create, change, read back and remove VRFs and VNIs, as interfaces of grout.

An L3VNI is one VXLAN interface in its VRF; an L2VNI is a bridge with a VXLAN interface in it. A
mark in the description identifies Dualpath's interfaces, and stores what grout does not.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from datapaths.base import RowFailure
from datapaths.grout.channel import Channel, Refused
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.ports.placement import Tap
from datapaths.grout.wire import addresses as wire_addresses
from datapaths.grout.wire import adverts
from datapaths.grout.wire import ifaces as wire
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import TYPE, family_of
from datapaths.grout.wire.ifaces import BridgeInfo, Iface, VrfInfo, VxlanInfo
from datapaths.linux.marks import Mark, decode, encode
from dualpath.model.links import Address, Vni, Vrf
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import Family

AGEING_S = 1500
"""Ageing time of a MAC. grout probes a neighbor after 20 minutes, and the answer renews the MAC, so
25 minutes are enough even without Dualpath's own probes (`picture.probes`)."""
BRIDGE_FLAGS = n.GR_BRIDGE_F_FLOOD | n.GR_BRIDGE_F_LEARN | n.GR_BRIDGE_F_NEIGH_SUPPRESS
SNOOPING = n.GR_IFACE_F_UP | n.GR_IFACE_F_NEIGH_SNOOP

NameCheck = Callable[[str], Awaitable[None]]
"""Raises OSError (EEXIST) if a device in grout's namespace has the name: grout could crash."""


class Overlay:
    """VRFs and VNIs over one connection."""

    def __init__(self, channel: Channel, table: IfaceTable, check_name: NameCheck) -> None:
        self._channel = channel
        self._table = table
        self._check_name = check_name

    async def apply(self, batch: RecordBatch) -> list[RowFailure]:
        """Apply every row, and update the picture."""
        failures: list[RowFailure] = []
        for index in range(len(batch)):
            upsert = index < len(batch.upserts)
            try:
                await self._make(batch.row(index), upsert)
            except Refused as refused:
                failures.append(RowFailure(index, refused.errno, str(refused)))
            except OSError as error:
                number = error.errno or errno.EIO
                failures.append(RowFailure(index, number, str(error.strerror)))
        return failures

    async def dump_vrfs(self) -> list[Vrf]:
        marked = [(i, decode(i.description)) for i in self._table if i.type == n.GR_IFACE_TYPE_VRF]
        return [
            Vrf(iface.name, int(mark.notes.get("table", 0)) if iface.flags & n.GR_IFACE_F_UP else 0)
            for iface, mark in marked
            if mark and mark.what == "vrf"
        ]

    async def dump_vnis(self) -> list[Vni]:
        found: list[Vni] = []
        for iface in self._table:
            mark = decode(iface.description)
            if mark and mark.what == "vni":
                vni = await self._vni(iface, mark)
                found.append(replace(vni, local=b"") if self._differs(iface, vni) else vni)
        return found

    def _differs(self, iface: Iface, vni: Vni) -> bool:
        """Return whether a VNI's interfaces differ from what `apply` makes, beyond the record."""
        if vni.layer == 3:
            described = replace(_vxlan_of(vni, iface.vrf, 0), description=iface.description)
            return bool(_vxlan_differs(iface, described))
        vxlan = self._table.vxlan(vni.vni)
        if not vxlan or (vxlan.mode, vxlan.domain) != (n.GR_IFACE_MODE_BRIDGE, iface.id):
            return True
        described = replace(_bridge_of(vni, iface.vrf), description=iface.description)
        attributes = _bridge_differs(iface, described, bool(vni.mac))
        return bool(attributes | _vxlan_differs(vxlan, _vxlan_of(vni, 0, domain=iface.id)))

    async def load(self) -> list[Iface]:
        """Return all interfaces, after making sure that VRF `main` exists."""
        found = await self.interfaces()
        if all(iface.id != n.GR_VRF_DEFAULT_ID for iface in found):
            # grout makes `main` with the first interface of any type, and keeps it. Create that
            # interface down: its link-up event would be processed when the first port starts a
            # worker, after the interface is deleted, and grout aborts (decision 0014).
            iface = Iface(type=n.GR_IFACE_TYPE_BRIDGE, name="dualpath", flags=0, info=BridgeInfo())
            await self._check_name(iface.name)
            await self._delete((await self._add(iface)).id)
            found = await self.interfaces()
        return found

    async def interfaces(self) -> list[Iface]:
        """Return all interfaces of grout."""
        api = self._channel.api
        rows = self._channel.each("GR_IFACE_LIST", api.pack("gr_iface_list_req"))
        return [wire.decode(api, row) async for row in rows]

    def tap(self, vni: Vni) -> Tap | None:
        """Return the TAP of a VNI's bridge; probes of its hosts go through it."""
        bridge = None if _routes_nothing(vni) else self._table.named(vni.bridge)
        return Tap(bridge.name, bridge.cp_id, b"", bridge.mtu) if bridge else None

    async def refresh(self, iface: int) -> Iface | None:
        """Read one interface again."""
        try:
            payload = self._channel.api.pack("gr_iface_get_req", iface_id=iface)
            found = wire.decode(
                self._channel.api, await self._channel.call("GR_IFACE_GET", payload)
            )
        except Refused:
            self._table.pop(iface)
            return None
        self._table.put(found)
        return found

    async def _make(self, record: Record, upsert: bool) -> None:
        match record:
            case Vrf():
                await (self._ensure_vrf(record) if upsert else self._remove(record.name, "vrf"))
            case Vni() if upsert:
                await self._ensure_vni(record)
            case Vni():
                await self._remove(record.device, "vxlan", "vni")
                await self._remove(record.bridge, "vni")
            case _:
                raise OSError(errno.EOPNOTSUPP, f"{record.kind.name} is no VRF and no VNI")

    async def _ensure_vrf(self, vrf: Vrf) -> None:
        mark = encode(Mark("vrf", notes={"table": vrf.table}))
        held = self._own(vrf.name, n.GR_IFACE_TYPE_VRF)
        if not held:
            # The name is not checked: grout reuses a VRF device that a killed grout left.
            iface = Iface(type=n.GR_IFACE_TYPE_VRF, name=vrf.name, description=mark, info=VrfInfo())
            await self._add(iface)
        else:
            wanted = replace(held, description=mark, flags=held.flags | n.GR_IFACE_F_UP)
            if attributes := _base_differs(held, wanted):
                await self._set(wanted, attributes)

    async def _ensure_vni(self, vni: Vni) -> None:
        if not vni.local:
            raise OSError(errno.EINVAL, f"VNI {vni.vni} has no local VTEP address")
        vrf = self._table.vrf_id(vni.vrf)
        if not vrf:
            raise OSError(errno.ENODEV, f"grout has no VRF {vni.vrf}")
        if vni.layer == 3:
            await self._ensure_vxlan(vni, vrf, domain=0)
        else:
            bridge = await self._ensure_bridge(vni, vrf)
            await self._ensure_vxlan(vni, 0, domain=bridge.id)

    async def _ensure_bridge(self, vni: Vni, vrf: int) -> Iface:
        held = self._own(vni.bridge, n.GR_IFACE_TYPE_BRIDGE)
        mark = decode(held.description) if held else None
        wanted = _bridge_of(vni, vrf)
        if held and held.vrf != vrf:
            await self._delete(held.id)
            held = None
        if not held:
            await self._check_name(vni.bridge)
            held = await self._add(wanted)
        elif attributes := _bridge_differs(held, wanted, bool(vni.mac)):
            held = await self._set(replace(wanted, id=held.id), attributes)
        request = adverts.encode_no_default_router(self._channel.api, held.id)
        await self._channel.call(adverts.SET, request)
        await self._set_addresses(held.id, vni.gateways, mark.addresses if mark else ())
        return held

    async def _ensure_vxlan(self, vni: Vni, vrf: int, domain: int) -> None:
        held = self._own(vni.device, n.GR_IFACE_TYPE_VXLAN)
        wanted = _vxlan_of(vni, vrf, domain)
        if held and (held.mode, held.domain or held.vrf) != (wanted.mode, domain or vrf):
            await self._delete(held.id)
            held = None
        try:
            if not held:
                await self._check_name(vni.device)
                await self._add(wanted)
            elif attributes := _vxlan_differs(held, wanted):
                await self._set(replace(wanted, id=held.id), attributes)
        except Refused as refused:
            if refused.errno != errno.EADDRNOTAVAIL:
                raise
            local = ipaddress.ip_address(vni.local)
            reason = f"no interface of grout has the VTEP address {local} yet"
            raise OSError(errno.EADDRNOTAVAIL, reason) from refused

    async def _set_addresses(
        self, iface: int, wanted: Sequence[Address], before: Sequence[Address]
    ) -> None:
        api, have = self._channel.api, await self._addresses(iface)
        for address in before:
            if address in have and address not in wanted:
                payload = wire_addresses.encode_del(api, iface, address)
                await self._channel.call(f"{TYPE[family_of(address.ip)]}_ADDR_DEL", payload)
        for address in wanted:
            if address not in have:
                payload = wire_addresses.encode_add(api, iface, address)
                await self._channel.call(f"{TYPE[family_of(address.ip)]}_ADDR_ADD", payload)

    async def _addresses(self, iface: int) -> list[Address]:
        found: list[Address] = []
        for family in Family:
            payload = wire_addresses.encode_list(self._channel.api, family, iface=iface)
            async for row in self._channel.each(f"{TYPE[family]}_ADDR_LIST", payload):
                owner, address = wire_addresses.decode(self._channel.api, family, row)
                if owner == iface:
                    found.append(address)
        return found

    async def _vni(self, iface: Iface, mark: Mark) -> Vni:
        """Return the VNI of a marked bridge or VXLAN interface, without `local` if incomplete."""
        number = int(iface.name[2:])
        vxlan = self._table.vxlan(number)
        info = vxlan.info if vxlan and isinstance(vxlan.info, VxlanInfo) else None
        own = iface.info.mac if isinstance(iface.info, BridgeInfo | VxlanInfo) else b""
        have = await self._addresses(iface.id) if mark.addresses else []
        named = bool(mark.notes.get("vrf", 0))
        return Vni(
            vni=number,
            layer=int(mark.notes.get("layer", 2)),
            vrf=self._table.vrf_name(iface.vrf) if named else "",
            local=info.local if info else b"",
            port=info.port if info else 0,
            mac=b"" if mark.flag("anymac") else own,
            gateways=tuple(address for address in mark.addresses if address in have),
            mtu=iface.mtu,
        )

    def _own(self, name: str, type_: int) -> Iface | None:
        held = self._table.named(name)
        if held and held.type != type_:
            raise OSError(errno.EEXIST, f"grout has an interface {name} of another type")
        return held

    async def _remove(self, name: str, *whats: str) -> None:
        held = self._table.named(name)
        mark = decode(held.description) if held else None
        if held and mark and mark.what in whats:
            await self._delete(held.id)

    async def _add(self, iface: Iface) -> Iface:
        api = self._channel.api
        answer = await self._channel.call("GR_IFACE_ADD", wire.encode(api, iface))
        added = await self.refresh(wire.decode_added(api, answer))
        if not added:
            raise OSError(errno.ENODEV, f"{iface.name} is gone again")
        return added

    async def _set(self, iface: Iface, attributes: int) -> Iface:
        payload = wire.encode_set(self._channel.api, iface, attributes)
        await self._channel.call("GR_IFACE_SET", payload)
        return await self.refresh(iface.id) or iface

    async def _delete(self, iface: int) -> None:
        payload = self._channel.api.pack("gr_iface_del_req", iface_id=iface)
        await self._channel.call("GR_IFACE_DEL", payload)
        self._table.pop(iface)


def _bridge_of(vni: Vni, vrf: int) -> Iface:
    """Return the bridge that an L2VNI should have."""
    return Iface(
        type=n.GR_IFACE_TYPE_BRIDGE,
        name=vni.bridge,
        flags=n.GR_IFACE_F_NEIGH_SNOOP if _routes_nothing(vni) else SNOOPING,
        mtu=vni.mtu,
        vrf=vrf,
        description=_mark_of(vni),
        info=BridgeInfo(flags=BRIDGE_FLAGS, mac=vni.mac or wire.ZERO_MAC, ageing_s=AGEING_S),
    )


def _routes_nothing(vni: Vni) -> bool:
    """Return whether a VNI's bridge has no VRF and no gateway.

    If it were up, it would route in the default VRF. A bridge that is down in grout forwards frames
    and routes nothing.
    """
    return not vni.vrf and not vni.gateways


def _vxlan_of(vni: Vni, vrf: int, domain: int) -> Iface:
    """Return the VXLAN interface that a VNI should have, in its VRF or in its bridge."""
    mac = vni.mac if vni.layer == 3 and vni.mac else wire.ZERO_MAC
    return Iface(
        type=n.GR_IFACE_TYPE_VXLAN,
        name=vni.device,
        mode=n.GR_IFACE_MODE_BRIDGE if domain else n.GR_IFACE_MODE_VRF,
        mtu=vni.mtu,
        vrf=vrf,
        domain=domain,
        description=encode(Mark("vxlan")) if domain else _mark_of(vni),
        info=VxlanInfo(vni=vni.vni, local=vni.local, port=vni.port, mac=mac),
    )


def _mark_of(vni: Vni) -> str:
    notes = {"layer": vni.layer, "anymac": int(not vni.mac), "vrf": int(bool(vni.vrf))}
    return encode(Mark("vni", vni.gateways, dict(notes)))


def _base_differs(held: Iface, wanted: Iface) -> int:
    attributes = 0
    if held.mtu != wanted.mtu:
        attributes |= n.GR_IFACE_SET_MTU
    if held.flags & SNOOPING != wanted.flags & SNOOPING:
        attributes |= n.GR_IFACE_SET_FLAGS
    if held.description != wanted.description:
        attributes |= n.GR_IFACE_SET_DESCR
    return attributes


def _bridge_differs(held: Iface, wanted: Iface, with_mac: bool) -> int:
    attributes = _base_differs(held, wanted)
    assert isinstance(held.info, BridgeInfo)
    assert isinstance(wanted.info, BridgeInfo)
    if held.info.flags != wanted.info.flags:
        attributes |= n.GR_BRIDGE_SET_FLAGS
    if held.info.ageing_s != wanted.info.ageing_s:
        attributes |= n.GR_BRIDGE_SET_AGEING_TIME
    if with_mac and held.info.mac != wanted.info.mac:
        attributes |= n.GR_BRIDGE_SET_MAC
    return attributes


def _vxlan_differs(held: Iface, wanted: Iface) -> int:
    attributes = _base_differs(held, wanted)
    assert isinstance(held.info, VxlanInfo)
    assert isinstance(wanted.info, VxlanInfo)
    if held.info.local != wanted.info.local:
        attributes |= n.GR_VXLAN_SET_LOCAL
    if held.info.port != wanted.info.port:
        attributes |= n.GR_VXLAN_SET_DST_PORT
    if wanted.info.mac not in (wire.ZERO_MAC, held.info.mac):
        attributes |= n.GR_VXLAN_SET_MAC
    if held.info.flags:
        attributes |= n.GR_VXLAN_SET_FLAGS
    return attributes
