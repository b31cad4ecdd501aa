"""Decoded values as text, one line each: what the expectations in tests/vectors are made of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from dualpath.model.nexthops import FIRST_RESERVED, NexthopType, unsupported_reason
from dualpath.model.routes import Op, prefix_text
from frr_bridge.wire.columns import Decoded, TableRoutes, decode
from frr_bridge.wire.fpm import FpmFramer
from frr_bridge.wire.inline import Content, InlineNexthop, Unsupported
from frr_bridge.wire.lsp import LspMessage
from frr_bridge.wire.message import Other
from frr_bridge.wire.neighbor import NeighborMessage
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.unit.frr_bridge.wire.build import DictHandles

Meaning = dict[int, int | InlineNexthop]


def render_stream(stream: bytes) -> list[str]:
    """Decode a whole FPM stream at once and render it."""
    handles = DictHandles()
    frames = FpmFramer().feed(stream)
    return render(decode(frames.buffer, frames.offsets, handles), handles.meaning())


def render(decoded: Decoded, meaning: Meaning) -> list[str]:
    lines = [line for table in decoded.routes for line in _routes(table, meaning)]
    lines += [_other(other) for other in decoded.others]
    lines += [f"error {error}" for error in decoded.errors]
    if decoded.ignored:
        lines.append(f"ignored {decoded.ignored}")
    return lines


def _routes(table: TableRoutes, meaning: Meaning) -> Iterator[str]:
    for i in range(len(table)):
        prefix = prefix_text(table.prefixes[i].tobytes(), int(table.lengths[i]))
        where = f"table {table.table} {prefix}"
        if table.ops[i] == Op.WITHDRAW:
            assert (table.nexthops[i], table.protocols[i]) == (0, 0)
            yield f"- {where}"
        else:
            hop = _identity(int(table.nexthops[i]), meaning)
            yield f"+ {where} proto {table.protocols[i]} {hop}"


def _identity(identity: int, meaning: Meaning) -> str:
    if reason := unsupported_reason(identity):
        return f"unsupported: {reason}"
    if identity >= FIRST_RESERVED:
        return NexthopType(identity - FIRST_RESERVED).name.lower()
    what = meaning[identity]
    return _inline(what) if isinstance(what, InlineNexthop) else f"id {what}"


def _inline(hop: Content) -> str:
    if isinstance(hop, Unsupported):
        return f"unsupported: {hop.reason}"
    if hop.type is NexthopType.GROUP:
        return "group " + ", ".join(f"[{_inline(leg)}]x{weight}" for leg, weight in hop.members)
    if hop.type is NexthopType.BLACKHOLE:
        return "blackhole"
    words = [f"via {ipaddress.ip_address(hop.gateway)}"] if hop.gateway else []
    words += [f"dev {hop.oif}"] if hop.oif else []
    words += [f"vni {hop.vni}"] if hop.vni else []
    return " ".join(words + ["onlink"] * hop.onlink)


def _other(other: Other) -> str:
    match other:
        case ZebraNexthop():
            return _nexthop(other)
        case NeighborMessage():
            return _neighbor(other)
        case LspMessage():
            return f"{'-' if other.deleted else '+'} lsp {other.label} {other.nexthops}"
        case _:
            return repr(other)


def _nexthop(hop: ZebraNexthop) -> str:
    if hop.deleted:
        return f"- nexthop {hop.id}"
    members = ", ".join(f"{identity}x{weight}" for identity, weight in hop.members)
    what = _inline(hop.nexthop) if hop.nexthop else f"group {members}"
    return f"+ nexthop {hop.id} proto {hop.protocol} {what}"


def _neighbor(row: NeighborMessage) -> str:
    dst = ipaddress.ip_address(row.dst) if row.dst else "-"
    return (
        f"{'-' if row.deleted else '+'} neighbor family {row.family} dev {row.ifindex} "
        f"{row.lladdr.hex(':')} dst {dst} vni {row.src_vni} master {row.master} "
        f"state {row.state:#x} flags {row.flags:#x} proto {row.protocol}"
    )
