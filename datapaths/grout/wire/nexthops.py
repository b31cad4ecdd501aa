"""Nexthops: struct gr_nexthop and the info of each type, in gr_nexthop.h."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import U8, pack_l3, read_l3
from datapaths.grout.wire.table import Api, DecodeError

ZERO_MAC = bytes(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class L3:
    """A gateway, a neighbor, a VTEP or, without an address, a link."""

    address: bytes = b""  # 4 or 16 bytes
    mac: bytes = ZERO_MAC  # zero: grout resolves it
    flags: int = 0  # GR_NH_F_*
    state: int = field(default=0, compare=False)  # GR_NH_S_*, as grout reports it


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    members: tuple[tuple[int, int], ...] = ()  # nexthop id, weight from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Nexthop:
    """A nexthop; `info` is None for a type without one, or that Dualpath does not use."""

    type: int
    id: int = 0  # 0: grout chooses one
    origin: int = 0
    iface: int = 0
    vrf: int = 0  # an interface's own VRF overrides it
    info: L3 | Group | None = None


def encode_add(api: Api, nexthop: Nexthop, *, exist_ok: bool = True) -> bytes:
    """Return the payload of GR_NH_ADD."""
    head = api.pack("gr_nh_add_req", exist_ok=exist_ok)
    at = api.structs["gr_nh_add_req"].fields["nh"][1]  # type: ignore[index]
    base = api.pack(
        "gr_nexthop",
        type=nexthop.type,
        origin=nexthop.origin,
        iface_id=nexthop.iface,
        vrf_id=nexthop.vrf,
        nh_id=nexthop.id,
    )
    return head[:at] + base + _encode_info(api, nexthop.info)


def encode_del(api: Api, identity: int, *, missing_ok: bool = True) -> bytes:
    """Return the payload of GR_NH_DEL, which also removes the routes that use the nexthop."""
    return api.pack("gr_nh_del_req", missing_ok=missing_ok, nh__nh_id=identity)


def encode_list(api: Api, *, vrf: int = 0, type_: int = n.GR_NH_T_ALL) -> bytes:
    return api.pack("gr_nh_list_req", vrf_id=vrf, type=type_)


def decode(api: Api, payload: bytes) -> Nexthop:
    """Read struct gr_nexthop. Raises DecodeError."""
    row = api.one("gr_nexthop", payload)
    type_ = int(row["type"])
    return Nexthop(
        type=type_,
        id=int(row["nh_id"]),
        origin=int(row["origin"]),
        iface=int(row["iface_id"]),
        vrf=int(row["vrf_id"]),
        info=_decode_info(api, type_, payload, api.size("gr_nexthop")),
    )


def given_up(api: Api, rows: U8) -> Iterator[Nexthop]:
    """Yield the L3 nexthops of a list, one per row, that grout failed to resolve.

    Raises DecodeError.
    """
    offset = api.structs["gr_nexthop_info_l3"].fields["state"][1]  # type: ignore[index]
    at = api.size("gr_nexthop") + offset
    if rows.shape[1] <= at:
        raise DecodeError(f"an L3 nexthop of {rows.shape[1]} bytes")
    for row in rows[rows[:, at] == n.GR_NH_S_FAILED]:
        yield decode(api, row.tobytes())


def _encode_info(api: Api, info: L3 | Group | None) -> bytes:
    match info:
        case None:
            return b""
        case L3():
            row = api.new("gr_nexthop_info_l3", flags=info.flags, mac=list(info.mac))
            row["af"], row["ipv6"] = pack_l3(info.address)
            return row.tobytes()
        case Group():
            head = api.pack("gr_nexthop_info_group", n_members=len(info.members))
            rows = np.zeros(len(info.members), api.structs["gr_nexthop_group_member"])
            for row_, (identity, weight) in zip(rows, info.members, strict=True):
                row_["nh_id"], row_["weight"] = identity, weight
            return head + rows.tobytes()


def _decode_info(api: Api, type_: int, payload: bytes, at: int) -> L3 | Group | None:
    match type_:
        case n.GR_NH_T_L3:
            row = api.one("gr_nexthop_info_l3", payload, at)
            return L3(
                address=read_l3(int(row["af"]), row["ipv6"].tobytes()),
                mac=row["mac"].tobytes(),
                flags=int(row["flags"]),
                state=int(row["state"]),
            )
        case n.GR_NH_T_GROUP:
            count = int(api.one("gr_nexthop_info_group", payload, at)["n_members"])
            if count * api.size("gr_nexthop_group_member") > len(payload):
                raise DecodeError(f"a group of {count} members", offset=at)
            at += api.size("gr_nexthop_info_group")
            rows = api.many("gr_nexthop_group_member", payload, at, count)
            members = zip(rows["nh_id"].tolist(), rows["weight"].tolist(), strict=True)
            return Group(members=tuple(members))
        case _:
            return None
