"""Addresses: struct l3_addr in gr_net_types.h, and those of interfaces in gr_ip4.h and gr_ip6.h."""

from __future__ import annotations

import socket

import numpy as np
import numpy.typing as npt

from datapaths.grout.wire.table import Api, DecodeError
from dualpath.model.links import Address
from dualpath.model.routes import Family

U8 = npt.NDArray[np.uint8]

VERSION = {Family.INET: "ip4", Family.INET6: "ip6"}  # in grout's names
TYPE = {Family.INET: "GR_IP4", Family.INET6: "GR_IP6"}


def family_of(address: bytes) -> Family:
    return Family.INET if len(address) == 4 else Family.INET6


def text(field: U8) -> str:
    """Read a string that ends with a zero byte, or with its field."""
    return field.tobytes().split(b"\0", 1)[0].decode(errors="replace")


def pack_l3(address: bytes) -> tuple[int, U8]:
    """Return af and the 16 bytes of the union; b"" is AF_UNSPEC."""
    af = int(family_of(address)) if address else socket.AF_UNSPEC
    return af, np.frombuffer(address.ljust(16, b"\0"), np.uint8)


def read_l3(af: int, union: bytes) -> bytes:
    """Return the address of struct l3_addr, b"" for AF_UNSPEC. Raises DecodeError."""
    match af:
        case socket.AF_INET:
            return union[:4]
        case socket.AF_INET6:
            return union
        case socket.AF_UNSPEC:
            return b""
        case _:
            raise DecodeError(f"address family {af}")


def encode_add(api: Api, iface: int, address: Address, *, exist_ok: bool = True) -> bytes:
    """Return the payload of GR_IP4_ADDR_ADD, or of GR_IP6_ADDR_ADD for an IPv6 address."""
    return _encode(api, "addr_add_req", iface, address, "exist_ok", exist_ok)


def encode_del(api: Api, iface: int, address: Address, *, missing_ok: bool = True) -> bytes:
    return _encode(api, "addr_del_req", iface, address, "missing_ok", missing_ok)


def _encode(api: Api, struct: str, iface: int, address: Address, flag: str, value: bool) -> bytes:
    version = VERSION[family_of(address.ip)]
    row = api.new(f"gr_{version}_ifaddr", iface_id=iface, addr__prefixlen=address.length)
    row["addr.ip"] = np.frombuffer(address.ip, np.uint8)
    request = api.new(f"gr_{version}_{struct}")
    request["addr"] = np.frombuffer(row.tobytes(), np.uint8)
    request[flag] = value
    return request.tobytes()


def encode_list(api: Api, family: Family, *, vrf: int = 0, iface: int = 0) -> bytes:
    """Return the payload of GR_IP4_ADDR_LIST or GR_IP6_ADDR_LIST; 0 is all."""
    return api.pack(f"gr_{VERSION[family]}_addr_list_req", vrf_id=vrf, iface_id=iface)


def decode(api: Api, family: Family, payload: bytes) -> tuple[int, Address]:
    """Return interface and address. Raises DecodeError."""
    row = api.one(f"gr_{VERSION[family]}_ifaddr", payload)
    length = int(row["addr.prefixlen"])
    if length > family.width * 8:
        raise DecodeError(f"an address with prefix length {length}")
    return int(row["iface_id"]), Address(row["addr.ip"].tobytes(), length)
