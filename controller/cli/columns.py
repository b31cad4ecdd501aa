"""The columns of each table, and the order of its rows. Pure, except for the clock of ages.

A column is *own* if it shows a field in which all rows of a long list differ. The other columns are
rendered once for all rows with equal contents.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from controller.cli.table import Column
from controller.cli.values import time_text
from dualpath.model.nexthops import called, is_reserved
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import state_pb2

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def state_text(number: int) -> str:
    """Return `programmed` for ROW_STATE_PROGRAMMED, and an unknown number unchanged."""
    return _enum_text(pb.RowState, number, "ROW_STATE_")


def kind_text(number: int) -> str:
    return _enum_text(pb.Kind, number, "KIND_").replace("_", "-")


def _enum_text(enum: Any, number: int, prefix: str) -> str:  # noqa: ANN401 - an enum wrapper
    try:
        name: str = enum.Name(number)
    except ValueError:
        return str(number)
    return name.removeprefix(prefix).lower()


def standing_text(row: Any) -> str:  # noqa: ANN401 - any row
    """Return the state, and why the row failed."""
    text = state_text(row.state)
    return f"{text}: {row.error}" if row.error else text


def age_text(at: Timestamp) -> str:
    """Return `5s`, `3m`, `2h` or `4d`; "-" for no time."""
    return _age_text(at.seconds, int(time.time()))


@lru_cache(4096)
def _age_text(seconds: int, now: int) -> str:
    return span_text(now - seconds) if seconds else "-"


def span_text(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def nexthop_text(nexthop: pb.Nexthop) -> str:
    """Return `via 192.0.2.1 dev eth1`, `via 192.0.2.2 vni 100`, a drop type, or a group's legs."""
    if nexthop.type == state_pb2.NEXTHOP_TYPE_UNSPECIFIED:
        return called(nexthop.id)
    if nexthop.type == state_pb2.NEXTHOP_TYPE_GROUP:
        legs = [f"{nexthop_text(m.nexthop)} weight {m.weight}" for m in nexthop.members]
        return ", ".join(legs) or "empty group"
    via = f"via {nexthop.vtep or nexthop.gateway} " if nexthop.gateway else ""
    if nexthop.vni:
        return f"{via}vni {nexthop.vni}"
    if nexthop.device:
        return f"{via}dev {nexthop.device}"
    return via.strip() or _enum_text(state_pb2.NexthopType, nexthop.type, "NEXTHOP_TYPE_")


def _route_nexthop(route: pb.Route) -> str:
    return nexthop_text(route.desired if route.HasField("desired") else route.programmed)


def _id_text(identity: int) -> str:
    """Return a nexthop id of the datapath, "-" for a reserved id: that stands for a reason."""
    return "-" if is_reserved(identity) else str(identity)


def _column(header: str, field: str, *, wide: bool = False, own: bool = False) -> Column:
    return Column(header, lambda row: _cell(getattr(row, field)), wide, own)


def _text_column(header: str, field: str) -> Column:
    """Return the column of an own field that is a text, and seldom empty."""
    get = attrgetter(field)
    return Column(header, lambda row: get(row) or "-", own=True)


def _cell(value: object) -> str:
    """Return a cell as text: zero and empty as "-"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return str(value or "-")
    return ",".join(map(str, value)) or "-" if isinstance(value, Sequence) else str(value)


STANDING = (
    Column("STATE", standing_text),
    Column("SESSION", lambda row: str(row.session or "-")),
    Column("AGE", lambda row: age_text(row.changed_at)),
    Column("CHANGED", lambda row: time_text(row.changed_at), wide=True),
)

ROUTES = (
    _column("VRF", "vrf"),
    _text_column("PREFIX", "prefix"),
    _column("PROTOCOL", "protocol"),
    Column("NEXTHOP", _route_nexthop),
    Column("PROGRAMMED", lambda row: nexthop_text(row.programmed) or "-", wide=True),
    Column("ID", lambda row: _id_text(row.desired.id or row.programmed.id), wide=True),
    *STANDING,
)

NEXTHOPS = (
    Column("ID", lambda row: str(row.nexthop.id), own=True),
    Column("NEXTHOP", lambda row: nexthop_text(row.nexthop), own=True),
    Column("ONLINK", lambda row: _cell(row.nexthop.onlink), wide=True, own=True),
    Column("GATEWAY", lambda row: _cell(row.nexthop.gateway), wide=True, own=True),
    *STANDING,
)


def _where(mac: pb.Mac) -> str:
    """Return all VTEPs, or the one of several that the datapath uses."""
    if mac.vtep and len(mac.vteps) > 1:
        return f"{mac.vtep} (one of {len(mac.vteps)})"
    return mac.vtep or ",".join(mac.vteps)


MACS = (
    _column("VNI", "vni"),
    _text_column("MAC", "mac"),
    Column("VTEP", _where),
    _column("STICKY", "sticky", wide=True),
    *STANDING,
)

NEIGHBORS = (
    _column("VNI", "vni"),
    _text_column("ADDRESS", "address"),
    _text_column("MAC", "mac"),
    _column("ROUTER", "router", wide=True),
    *STANDING,
)

VTEPS = (
    _column("VNI", "vni"),
    _column("VTEP", "vtep"),
    Column("ROLE", lambda row: _enum_text(pb.Vtep.Role, row.role, "ROLE_")),
    _column("MAC", "mac"),
    *STANDING,
)

VNIS = (
    _column("VNI", "vni"),
    Column("TYPE", lambda row: f"L{row.layer}"),
    _column("VRF", "vrf"),
    _column("LOCAL", "local"),
    Column("VTEPS", lambda row: str(len(row.vteps))),
    _column("GATEWAYS", "gateways"),
    _column("MAC", "mac", wide=True),
    _column("PORT", "port", wide=True),
    _column("MTU", "mtu", wide=True),
    _column("BRIDGE", "bridge", wide=True),
    _column("DEVICE", "device", wide=True),
    _column("REMOTE", "vteps", wide=True),
    *STANDING,
)

VRFS = (
    _column("NAME", "name"),
    _column("TABLE", "table"),
    _column("L3VNI", "l3vni"),
    *STANDING,
)

PORTS = (
    _column("NAME", "name"),
    Column("TYPE", lambda row: _enum_text(pb.Port.Type, row.type, "TYPE_")),
    Column("IN", lambda row: f"vni {row.vni}" if row.vni else row.vrf),
    Column("LINK", lambda row: _link(row, lambda link: "up" if link.up else "down")),
    _column("ADDRESSES", "addresses"),
    Column("MTU", lambda row: _link(row, lambda link: str(link.mtu))),
    _column("TWIN", "twin", wide=True),
    Column("HOST", lambda row: _host(row.host), wide=True),
    Column("MAC", lambda row: _link(row, lambda link: link.mac), wide=True),
    Column("RX", lambda row: _link(row, lambda link: str(link.rx_packets)), wide=True),
    Column("TX", lambda row: _link(row, lambda link: str(link.tx_packets)), wide=True),
    Column("DROPPED", lambda row: _link(row, lambda link: str(link.rx_dropped)), wide=True),
    Column("ERRORS", lambda row: _link(row, lambda link: str(link.tx_errors)), wide=True),
    Column("DRIVER", lambda row: _link(row, lambda link: link.driver), wide=True),
    *STANDING,
)

LSPS = (
    _column("LABEL", "label"),
    Column("NEXTHOPS", lambda row: "; ".join(row.nexthops) or "-"),
    *STANDING,
)


def _link(port: pb.Port, cell: Callable[[pb.Link], str]) -> str:
    return cell(port.link) or "-" if port.HasField("link") else "-"


def _host(host: pb.HostEnd) -> str:
    return "/".join(part for part in (host.netns, host.name) if part) or "-"


def address_key(text: str) -> tuple[int, int, int]:
    """Sort addresses and prefixes by number, IPv4 first; other texts come before them."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return 0, 0, 0
    return interface.version, int(interface.ip), interface.network.prefixlen


def route_key(route: pb.Route) -> tuple[str, tuple[int, int, int]]:
    return route.vrf, address_key(route.prefix)
