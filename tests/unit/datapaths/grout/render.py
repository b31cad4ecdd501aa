"""Recordings of grout as text: each line is a message's name and its bytes in hex."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datapaths.grout.wire import addresses, bridges, ifaces, nexthops, routes, stats
from datapaths.grout.wire.addresses import TYPE
from datapaths.grout.wire.table import Api
from dualpath.model.routes import Family

Decoder = Callable[[Api, bytes], object]


def _route(api: Api, family: Family, payload: bytes) -> object:
    columns = routes.decode(api, family, np.frombuffer(payload, np.uint8).reshape(1, -1))
    prefix = columns.prefixes[0].tobytes().hex()
    vrf = routes.decode_vrf(api, family, payload)
    origin, nh_id = columns.origins[0], columns.nh_ids[0]
    return f"{prefix}/{columns.lengths[0]} vrf {vrf} origin {origin} nh {nh_id}"


DECODERS: dict[str, Decoder] = {
    "IFACE": ifaces.decode,
    "NEXTHOP": nexthops.decode,
    "NH": nexthops.decode,
    "FDB": bridges.decode_fdb,
    "FLOOD": bridges.decode_flood,
    "IFACE_STATS": stats.decode_iface_stats,
    "STATS": stats.decode_stats,
    "IP_ROUTE": lambda api, payload: _route(api, Family.INET, payload),
    "IP4_ROUTE": lambda api, payload: _route(api, Family.INET, payload),
    "IP6_ROUTE": lambda api, payload: _route(api, Family.INET6, payload),
    "IP_ADDR": lambda api, payload: addresses.decode(api, Family.INET, payload),
    "IP4_ADDR": lambda api, payload: addresses.decode(api, Family.INET, payload),
    "IP6_ADDR": lambda api, payload: addresses.decode(api, Family.INET6, payload),
    "IP4_FIB_INFO": lambda api, payload: stats.decode_fib(api, Family.INET, payload),
    "IP6_FIB_INFO": lambda api, payload: stats.decode_fib(api, Family.INET6, payload),
}

LISTS = ("IFACE_LIST", "NH_LIST", "FDB_LIST", "FLOOD_LIST", *(
    f"{TYPE[family].removeprefix('GR_')}_{what}_LIST"
    for family in Family
    for what in ("ADDR", "ROUTE", "FIB_INFO")
))  # fmt: skip
"""Streams whose request may be all zeroes except for its VRF."""


def decoder_of(name: str) -> Decoder:
    """Return the decoder of a message, by its name without GR_ and GR_EVENT_."""
    return DECODERS[max((key for key in DECODERS if name.startswith(key)), key=len)]


def render(api: Api, name: str, payload: bytes) -> str:
    return f"{name} {decoder_of(name)(api, payload)}"
