"""Longest match: a vectorised scan over the pages of one table, in slices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.inspect.filters import BadRequest, parse_prefix
from controller.inspect.routes import Mask, encoded_nexthops, message, netmasks, take
from dualpath.model.routes import Family
from dualpath.model.view import RouteRows, StateView
from dualpath.pb import inspect_pb2 as pb

SCAN_ROWS = 16384
"""Rows looked at between two turns of the event loop: under a millisecond."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its family, read from text."""

    text: str
    family: Family
    packed: bytes

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address. Raises BadRequest."""
        if not text or "/" in text:
            raise BadRequest(f"{text!r} is not an address, such as 10.0.0.1")
        family, packed, _ = parse_prefix(text)
        return cls(text, family, packed)


class Covering:
    """Finds the rows that cover an address."""

    def __init__(self, address: Address) -> None:
        whole = np.frombuffer(address.packed, np.uint8)
        self._cut = netmasks(address.family) & whole  # the address, cut to each length

    def mask(self, rows: RouteRows) -> Mask:
        covers: Mask = (rows.prefixes == self._cut[rows.lengths]).all(axis=1)
        return covers


async def covering(view: StateView, vrf: str, address: Address) -> list[pb.Route]:
    """Return the routes of a VRF that cover an address, longest first."""
    cover, start = Covering(address), 0
    found: list[pb.Route] = []
    while start >= 0:
        rows, start = view.routes(vrf, address.family, start, SCAN_ROWS)
        hits = np.flatnonzero(cover.mask(rows))
        found += message(take(rows, hits), encoded_nexthops(view.nexthop)).routes
        await asyncio.sleep(0)
    return sorted(found, key=prefix_length, reverse=True)


def prefix_length(route: pb.Route) -> int:
    return int(route.prefix.partition("/")[2])


Wanted = Callable[[pb.Route], bool]


def repeated_by_frr(route: pb.Route) -> bool:
    """Return whether the current FPM session has sent the route."""
    return route.HasField("desired") and route.state != pb.ROW_STATE_STALE


def desired(route: pb.Route) -> bool:
    return route.HasField("desired")


def programmed(route: pb.Route) -> bool:
    """Return whether the datapath has the route, programmed or created by itself."""
    return route.HasField("programmed") or route.state == pb.ROW_STATE_UNMANAGED


def longest(routes: Sequence[pb.Route], wanted: Wanted) -> pb.Route | None:
    """Return the first wanted route; pass the longest prefix first."""
    return next(filter(wanted, routes), None)
