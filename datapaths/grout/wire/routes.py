"""Routes as columns: gr_ip4_route_add_req, _del_req and gr_ip4_route, and the same for IPv6.

A row holds a request's header and its struct, so a batch in memory is what goes to the socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from datapaths.grout.wire.addresses import TYPE, VERSION
from datapaths.grout.wire.table import Api, DecodeError, Rows
from dualpath.model.routes import U8, U32, Family

U16 = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class RouteColumns:
    """Routes of a VRF and family, as grout lists them."""

    prefixes: U8  # (n, width)
    lengths: U8
    origins: U8
    nh_ids: U32

    def __len__(self) -> int:
        return len(self.lengths)

    def where(self, rows: npt.NDArray[np.bool_]) -> RouteColumns:
        return RouteColumns(
            self.prefixes[rows], self.lengths[rows], self.origins[rows], self.nh_ids[rows]
        )


def encode_adds(
    api: Api, family: Family, vrf: int, prefixes: U8, lengths: U8, nh_ids: U32, origin: int
) -> Rows:
    """Return GR_IP4_ROUTE_ADD or GR_IP6_ROUTE_ADD for each row; an existing route is replaced."""
    rows = _requests(api, family, "add", len(lengths))
    body = rows["body"]
    body["vrf_id"], body["origin"], body["exist_ok"] = vrf, origin, 1
    body["dest.ip"], body["dest.prefixlen"], body["nh_id"] = prefixes, lengths, nh_ids
    return rows


def encode_dels(api: Api, family: Family, vrf: int, prefixes: U8, lengths: U8) -> Rows:
    """Return GR_IP4_ROUTE_DEL or GR_IP6_ROUTE_DEL for each row; an absent route is no error."""
    rows = _requests(api, family, "del", len(lengths))
    body = rows["body"]
    body["vrf_id"], body["missing_ok"] = vrf, 1
    body["dest.ip"], body["dest.prefixlen"] = prefixes, lengths
    return rows


def encode_list(api: Api, family: Family, vrf: int) -> bytes:
    """Return the payload of GR_IP4_ROUTE_LIST or GR_IP6_ROUTE_LIST."""
    return api.pack(f"gr_{VERSION[family]}_route_list_req", vrf_id=vrf)


def encode_get(api: Api, family: Family, vrf: int, address: bytes) -> bytes:
    """Return the payload of GR_IP4_ROUTE_GET or GR_IP6_ROUTE_GET, answered with a nexthop."""
    request = api.new(f"gr_{VERSION[family]}_route_get_req", vrf_id=vrf)
    request["dest"] = np.frombuffer(address, np.uint8)
    return request.tobytes()


def decode(api: Api, family: Family, payloads: U8) -> RouteColumns:
    """Read gr_ip4_route or gr_ip6_route, one in each row, without the nexthop's info.

    Raises DecodeError.
    """
    dtype = api.structs[f"gr_{VERSION[family]}_route"]
    if payloads.shape[1] < dtype.itemsize:
        raise DecodeError(f"a route of {payloads.shape[1]} bytes")
    rows = np.ascontiguousarray(payloads[:, : dtype.itemsize]).view(dtype).reshape(-1)
    lengths = rows["dest.prefixlen"]
    if (lengths > family.width * 8).any():
        raise DecodeError("an impossible prefix length")
    return RouteColumns(rows["dest.ip"], lengths, rows["origin"], rows["nh.nh_id"])


def decode_vrf(api: Api, family: Family, payload: bytes) -> int:
    """Return the VRF of a single route, as in an event. Raises DecodeError."""
    return int(api.one(f"gr_{VERSION[family]}_route", payload)["vrf_id"])


def masked(prefixes: U8, lengths: U8) -> U8:
    """Return prefixes with their host bits cleared: grout sends some with them."""
    bits = np.arange(prefixes.shape[1] * 8) < lengths[:, None]
    return prefixes & np.packbits(bits, axis=1)


def _requests(api: Api, family: Family, verb: str, count: int) -> Rows:
    body = api.structs[f"gr_{VERSION[family]}_route_{verb}_req"]
    rows = np.zeros(count, _request(body))
    rows["type"] = api.types[f"{TYPE[family]}_ROUTE_{verb.upper()}"]
    rows["length"] = body.itemsize
    return rows


@cache
def _request(body: np.dtype[np.void]) -> np.dtype[np.void]:
    return np.dtype([("id", "u4"), ("type", "u4"), ("length", "u4"), ("body", body)])
