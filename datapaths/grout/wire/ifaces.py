"""Interfaces: struct gr_iface and the info of each type, in gr_infra.h and gr_l2.h."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import pack_l3, read_l3, text
from datapaths.grout.wire.table import Api, DecodeError

ZERO_MAC = bytes(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortInfo:
    devargs: str = ""
    mac: bytes = ZERO_MAC
    driver: str = ""  # set by grout
    n_rxq: int = 0  # 0: grout's default, as in the next three
    n_txq: int = 0
    rxq_size: int = 0
    txq_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fib:
    max_routes: int = 0  # 0 is grout's default
    num_tbl8: int = 0  # 0: chosen by `max_routes`


@dataclass(frozen=True, slots=True, kw_only=True)
class VrfInfo:
    ipv4: Fib = Fib()
    ipv6: Fib = Fib()
    mac: bytes = ZERO_MAC


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeInfo:
    flags: int = 0  # GR_BRIDGE_F_*
    mac: bytes = ZERO_MAC  # zero: grout chooses one
    ageing_s: int = 0  # 0 is 300
    members: tuple[int, ...] = ()  # set by grout


@dataclass(frozen=True, slots=True, kw_only=True)
class VxlanInfo:
    vni: int
    local: bytes  # 4 or 16 bytes
    encap_vrf: int = n.GR_VRF_DEFAULT_ID
    port: int = 4789
    mac: bytes = ZERO_MAC
    flags: int = 0  # GR_VXLAN_F_*


Info = PortInfo | VrfInfo | BridgeInfo | VxlanInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Iface:
    """An interface; `info` is None for a type that Dualpath does not use."""

    type: int
    name: str = ""
    id: int = 0
    mode: int = n.GR_IFACE_MODE_VRF
    flags: int = n.GR_IFACE_F_UP
    state: int = 0
    mtu: int = 0
    vrf: int = 0  # id of the VRF
    domain: int = 0  # id of the bridge, in GR_IFACE_MODE_BRIDGE
    cp_id: int = 0  # ifindex of its TAP, in grout's namespace
    description: str = field(default="", repr=False)
    info: Info | None = None

    @property
    def running(self) -> bool:
        return bool(self.flags & n.GR_IFACE_F_UP and self.state & n.GR_IFACE_S_RUNNING)


def encode(api: Api, iface: Iface) -> bytes:
    """Return struct gr_iface, the payload of GR_IFACE_ADD."""
    base = api.new(
        "gr_iface",
        id=iface.id,
        type=iface.type,
        mode=iface.mode,
        flags=iface.flags,
        mtu=iface.mtu,
        vrf_id=iface.vrf,
        domain_id=iface.domain,
    )
    _put_text(base, "name", iface.name)
    _put_text(base, "description", iface.description)
    return base.tobytes() + _encode_info(api, iface.info)


def encode_set(api: Api, iface: Iface, attributes: int) -> bytes:
    """Return the payload of GR_IFACE_SET; grout sets the fields in `attributes` (GR_*_SET_*)."""
    request = api.pack("gr_iface_set_req", set_attrs=attributes)
    size = api.structs["gr_iface_set_req"].fields["iface"][1]  # type: ignore[index]
    return request[:size] + encode(api, iface)


def decode(api: Api, payload: bytes) -> Iface:
    """Read struct gr_iface. Raises DecodeError."""
    row = api.one("gr_iface", payload)
    type_ = int(row["type"])
    return Iface(
        type=type_,
        name=text(row["name"]),
        id=int(row["id"]),
        mode=int(row["mode"]),
        flags=int(row["flags"]),
        state=int(row["state"]),
        mtu=int(row["mtu"]),
        vrf=int(row["vrf_id"]),
        domain=int(row["domain_id"]),
        cp_id=int(row["cp_id"]),
        description=text(row["description"]),
        info=_decode_info(api, type_, payload, api.size("gr_iface")),
    )


def decode_added(api: Api, payload: bytes) -> int:
    """Read the answer to GR_IFACE_ADD: the interface's id."""
    return int(api.one("gr_iface_add_resp", payload)["iface_id"])


def _put_text(row: np.ndarray, name: str, value: str) -> None:
    data = value.encode()
    size = row.dtype[name].itemsize
    if len(data) >= size:  # grout wants a terminating zero
        raise ValueError(f"{name} {value!r} is longer than {size - 1} bytes")
    row[name] = np.frombuffer(data.ljust(size, b"\0"), np.uint8)


def _encode_info(api: Api, info: Info | None) -> bytes:
    match info:
        case None:
            return b""
        case PortInfo():
            row = api.new("gr_iface_info_port", mac=list(info.mac))
            for name in ("n_rxq", "n_txq", "rxq_size", "txq_size"):
                row[name] = getattr(info, name)
            _put_text(row, "devargs", info.devargs)
        case VrfInfo():
            row = api.new("gr_iface_info_vrf", mac=list(info.mac))
            for family, fib in (("ipv4", info.ipv4), ("ipv6", info.ipv6)):
                row[f"{family}.max_routes"] = fib.max_routes
                row[f"{family}.num_tbl8"] = fib.num_tbl8
        case BridgeInfo():
            row = api.new("gr_iface_info_bridge", mac=list(info.mac), flags=info.flags)
            row["ageing_time"] = info.ageing_s
        case VxlanInfo():
            row = api.new("gr_iface_info_vxlan", vni=info.vni, mac=list(info.mac))
            row["encap_vrf_id"], row["dst_port"] = info.encap_vrf, info.port
            row["local.af"], row["local.ipv6"] = pack_l3(info.local)
            row["flags"] = info.flags
        case _:
            assert_never(info)
    return row.tobytes()


def _decode_info(api: Api, type_: int, payload: bytes, at: int) -> Info | None:
    match type_:
        case n.GR_IFACE_TYPE_PORT:
            row = api.one("gr_iface_info_port", payload, at)
            queues = {name: int(row[name]) for name in ("n_rxq", "n_txq", "rxq_size", "txq_size")}
            return PortInfo(
                devargs=text(row["devargs"]),
                mac=row["mac"].tobytes(),
                driver=text(row["driver_name"]),
                **queues,
            )
        case n.GR_IFACE_TYPE_VRF:
            row = api.one("gr_iface_info_vrf", payload, at)
            v4, v6 = (
                Fib(max_routes=int(row[f"{f}.max_routes"]), num_tbl8=int(row[f"{f}.num_tbl8"]))
                for f in ("ipv4", "ipv6")
            )
            return VrfInfo(ipv4=v4, ipv6=v6, mac=row["mac"].tobytes())
        case n.GR_IFACE_TYPE_BRIDGE:
            return _decode_bridge(api.one("gr_iface_info_bridge", payload, at), at)
        case n.GR_IFACE_TYPE_VXLAN:
            row = api.one("gr_iface_info_vxlan", payload, at)
            return VxlanInfo(
                vni=int(row["vni"]),
                local=read_l3(int(row["local.af"]), row["local.ipv6"].tobytes()),
                encap_vrf=int(row["encap_vrf_id"]),
                port=int(row["dst_port"]),
                mac=row["mac"].tobytes(),
                flags=int(row["flags"]),
            )
        case _:
            return None


def _decode_bridge(row: np.void, at: int) -> BridgeInfo:
    members = np.frombuffer(row["members"].tobytes(), np.uint16)
    count = int(row["n_members"])
    if count > len(members):
        raise DecodeError(f"a bridge with {count} members", offset=at)
    return BridgeInfo(
        flags=int(row["flags"]),
        mac=row["mac"].tobytes(),
        ageing_s=int(row["ageing_time"]),
        members=tuple(members[:count].tolist()),
    )
