"""The stream of ListRoutes: tables in order, a page of slots at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from controller.inspect import routes
from controller.inspect.lookup import SCAN_ROWS
from dualpath.model.routes import Family
from dualpath.model.view import RouteRows, StateView
from dualpath.pb import inspect_pb2 as pb

MESSAGE_ROWS = 512
"""Rows in one streamed message: a few milliseconds of work, well under gRPC's 4 MiB."""


class RouteList:
    """Sends the routes that pass the filters of one request. Raises BadRequest."""

    def __init__(self, view: StateView, request: pb.ListRoutesRequest) -> None:
        self._view = view
        self._filter = routes.RouteFilter(request)
        self._first = routes.parse_token(request.page_token) if request.page_token else None
        self._limit = request.limit

    async def messages(self) -> AsyncIterator[pb.ListRoutesResponse]:
        first, left = self._first, self._limit
        for vrf, family in self._view.route_tables():
            if not self._filter.wants(vrf, family) or (first and (vrf, family) < first[:2]):
                continue
            start = first[2] if first and (vrf, family) == first[:2] else 0
            while start >= 0:
                hits, start = self._scan(vrf, family, start, left)
                async for message in self._in_messages(hits):
                    yield message
                if self._limit:
                    left -= len(hits.lengths)
                    if not left:
                        token = routes.position(vrf, family, start) if start >= 0 else ""
                        token = token or self._next_table(vrf, family)
                        yield pb.ListRoutesResponse(next_page_token=token)
                        return

    def _scan(self, vrf: str, family: Family, start: int, limit: int) -> tuple[RouteRows, int]:
        """Return the rows of one page that pass, at most `limit`, and the slot to continue at."""
        page, following = self._view.routes(vrf, family, start, SCAN_ROWS)
        hits = np.flatnonzero(self._filter.mask(page, self._view.nexthop))
        if limit and len(hits) > limit:
            # Slots have gaps: ask for a page that ends just behind the last hit.
            hits = hits[:limit]
            _, following = self._view.routes(vrf, family, start, int(hits[-1]) + 1)
        return routes.take(page, hits), following

    async def _in_messages(self, hits: RouteRows) -> AsyncIterator[pb.ListRoutesResponse]:
        nexthops = routes.encoded_nexthops(self._view.nexthop)
        for at in range(0, len(hits.lengths), MESSAGE_ROWS):
            part = routes.take(hits, slice(at, at + MESSAGE_ROWS))
            yield routes.message(part, nexthops)
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _next_table(self, vrf: str, family: Family) -> str:
        for table in self._view.route_tables():
            if table > (vrf, family) and self._filter.wants(*table):
                return routes.position(*table, 0)
        return ""
