"""Counters and limits: statistics in gr_infra.h, FIB use in gr_ip4.h and gr_ip6.h."""

from __future__ import annotations

from dataclasses import dataclass

from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.addresses import VERSION, text
from datapaths.grout.wire.table import Api
from dualpath.model.routes import Family

EVERY_CPU = 0xFFFF


@dataclass(frozen=True, slots=True)
class IfaceStats:
    iface: int
    rx_packets: int
    rx_bytes: int
    rx_drops: int
    tx_packets: int
    tx_bytes: int
    tx_errors: int


@dataclass(frozen=True, slots=True)
class GraphNode:
    name: str
    packets: int
    batches: int
    cycles: int


@dataclass(frozen=True, slots=True)
class FibInfo:
    vrf: int
    family: Family
    max_routes: int
    used_routes: int
    num_tbl8: int
    used_tbl8: int  # 0 in 0.19.3, whatever the use


def decode_iface_stats(api: Api, payload: bytes) -> list[IfaceStats]:
    """Read struct gr_iface_stats_get_resp. Raises DecodeError."""
    count = int(api.one("gr_iface_stats_get_resp", payload)["n_stats"])
    rows = api.many("gr_iface_stats", payload, api.size("gr_iface_stats_get_resp"), count)
    received = "rx_packets", "rx_bytes", "rx_drops"
    sent = "tx_packets", "tx_bytes", "tx_errors"
    return [IfaceStats(*(int(row[f]) for f in ("iface_id", *received, *sent))) for row in rows]


def encode_stats_get(api: Api) -> bytes:
    """Return the payload of GR_STATS_GET for the packet graph."""
    return api.pack("gr_stats_get_req", flags=n.GR_STATS_F_SW, cpu_id=EVERY_CPU)


def decode_stats(api: Api, payload: bytes) -> list[GraphNode]:
    """Read struct gr_stats_get_resp. Raises DecodeError."""
    count = int(api.one("gr_stats_get_resp", payload)["n_stats"])
    rows = api.many("gr_stat", payload, api.size("gr_stats_get_resp"), count)
    return [
        GraphNode(text(row["name"]), int(row["packets"]), int(row["batches"]), int(row["cycles"]))
        for row in rows
    ]


def encode_fib_list(api: Api, family: Family, vrf: int = 0) -> bytes:
    """Return the payload of GR_IP4_FIB_INFO_LIST, or of GR_IP6_FIB_INFO_LIST; 0 is all VRFs."""
    return api.pack(f"gr_{VERSION[family]}_fib_info_list_req", vrf_id=vrf)


def encode_fib6_default(api: Api, max_routes: int) -> bytes:
    """Return the payload of GR_IP6_FIB_DEFAULT_SET, which applies to VRFs created later."""
    return api.pack("gr_ip6_fib_default_set_req", max_routes=max_routes)


def decode_fib(api: Api, family: Family, payload: bytes) -> FibInfo:
    """Read struct gr_fib4_info or gr_fib6_info. Raises DecodeError."""
    row = api.one("gr_fib4_info" if family is Family.INET else "gr_fib6_info", payload)
    names = ("max_routes", "used_routes", "num_tbl8", "used_tbl8")
    return FibInfo(int(row["vrf_id"]), family, *(int(row[name]) for name in names))
