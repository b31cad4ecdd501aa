"""Forwarding entries of bridges, and flood lists: gr_fdb_entry and gr_flood_entry in gr_l2.h."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import pack_l3, read_l3
from datapaths.grout.wire.table import Api, Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FdbEntry:
    bridge: int
    mac: bytes
    iface: int = 0  # the member behind which it is
    vtep: bytes = b""  # of a remote one
    flags: int = 0  # GR_FDB_F_*
    last_seen: int = field(default=0, compare=False)  # ns, grout's clock: the last local packet


@dataclass(frozen=True, slots=True)
class FloodEntry:
    vni: int
    vtep: bytes
    vrf: int = n.GR_VRF_DEFAULT_ID  # the one of the underlay


def encode_fdb_add(api: Api, entry: FdbEntry, *, exist_ok: bool = True) -> bytes:
    """Return the payload of GR_FDB_ADD. Its VLAN is always 0: any other ends grout 0.19."""
    row = api.new("gr_fdb_entry", bridge_id=entry.bridge, iface_id=entry.iface, flags=entry.flags)
    row["mac"] = np.frombuffer(entry.mac, np.uint8)
    row["vtep.af"], row["vtep.ipv6"] = pack_l3(entry.vtep)
    return _inside(api, "gr_fdb_add_req", "fdb", row, "exist_ok", exist_ok)


def encode_fdb_del(api: Api, bridge: int, mac: bytes, *, missing_ok: bool = True) -> bytes:
    return api.pack("gr_fdb_del_req", bridge_id=bridge, mac=list(mac), missing_ok=missing_ok)


def encode_fdb_list(api: Api, bridge: int = 0, iface: int = 0) -> bytes:
    """Return the payload of GR_FDB_LIST; 0 is any."""
    return api.pack("gr_fdb_list_req", bridge_id=bridge, iface_id=iface)


def decode_fdb(api: Api, payload: bytes) -> FdbEntry:
    """Read struct gr_fdb_entry. Raises DecodeError."""
    row = api.one("gr_fdb_entry", payload)
    return FdbEntry(
        bridge=int(row["bridge_id"]),
        mac=row["mac"].tobytes(),
        iface=int(row["iface_id"]),
        vtep=read_l3(int(row["vtep.af"]), row["vtep.ipv6"].tobytes()),
        flags=int(row["flags"]),
        last_seen=int(row["last_seen"]),
    )


def encode_flood_add(api: Api, entry: FloodEntry, *, exist_ok: bool = True) -> bytes:
    return _inside(api, "gr_flood_add_req", "entry", _flood(api, entry), "exist_ok", exist_ok)


def encode_flood_del(api: Api, entry: FloodEntry, *, missing_ok: bool = True) -> bytes:
    return _inside(api, "gr_flood_del_req", "entry", _flood(api, entry), "missing_ok", missing_ok)


def encode_flood_list(api: Api) -> bytes:
    return api.pack("gr_flood_list_req", type=n.GR_FLOOD_T_VTEP)


def decode_flood(api: Api, payload: bytes) -> FloodEntry:
    """Read struct gr_flood_entry. Raises DecodeError."""
    row = api.one("gr_flood_entry", payload)
    vtep = read_l3(int(row["vtep.addr.af"]), row["vtep.addr.ipv6"].tobytes())
    return FloodEntry(int(row["vtep.vni"]), vtep, int(row["vrf_id"]))


def _flood(api: Api, entry: FloodEntry) -> Rows:
    row = api.new("gr_flood_entry", type=n.GR_FLOOD_T_VTEP, vrf_id=entry.vrf)
    row["vtep.vni"] = entry.vni
    row["vtep.addr.af"], row["vtep.addr.ipv6"] = pack_l3(entry.vtep)
    return row


def _inside(api: Api, struct: str, name: str, row: Rows, flag: str, value: bool) -> bytes:
    request = api.new(struct)
    request[name] = np.frombuffer(row.tobytes(), np.uint8)
    request[flag] = value
    return request.tobytes()
