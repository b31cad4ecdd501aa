"""The gRPC methods of dualpath.v1.Inspect: each a few lines over the pure modules beside it.

Runs in the daemon's event loop and must never hold it: lists are read and sent in slices.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import chain, islice, starmap
from typing import TypeAlias

import grpc
import numpy as np

from controller.inspect import routes, rows
from controller.inspect.about import about
from controller.inspect.explain import UnknownVrf, explain
from controller.inspect.filters import (
    BadRequest,
    RecordFilter,
    page_token,
    parse_position,
    places,
    position,
)
from controller.inspect.lookup import SCAN_ROWS
from controller.inspect.view import Asked, Inspected
from controller.inspect.watch import check, watch
from datapaths.base import LooksUp, PortState, Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, RemoteVtep
from dualpath.model.routes import Family
from dualpath.model.view import RecordRow, RouteRows
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import inspect_pb2_grpc as pb_grpc

AUDIT_ROWS = 1000
MESSAGE_ROWS = 512
"""Rows in one streamed message: a few milliseconds of work, well under gRPC's 4 MiB."""

Context: TypeAlias = grpc.aio.ServicerContext
Page = tuple[list[RecordRow], str]


class InspectService(pb_grpc.InspectServicer):
    """Answers from a view of the daemon's state, and from the datapath."""

    def __init__(self, view: Inspected, datapath: Asked) -> None:
        self._view = view
        self._datapath = datapath
        self._look_up = datapath.look_up if isinstance(datapath, LooksUp) else None

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        answer = rows.status(self._view.status(), self._view.sequence())
        answer.datapath_status.CopyFrom(await about(self._datapath))
        return answer

    async def Intent(self, request: pb.IntentRequest, context: Context) -> pb.IntentResponse:
        if planned := self._view.plan():
            return rows.plan(planned, self._view.status().datapath)
        text = "this controller was started without manifests (--config)"
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, text)
        raise AssertionError("abort returned")

    async def ListRoutes(
        self, request: pb.ListRoutesRequest, context: Context
    ) -> AsyncIterator[pb.ListRoutesResponse]:
        try:
            async for message in self._routes(request):
                yield message
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def ListNexthops(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListNexthopsResponse]:
        async for page, token in self._pages(request, context, Kind.NEXTHOP):
            nexthops = [rows.nexthop_row(row, self._view.nexthop) for row in page]
            yield pb.ListNexthopsResponse(nexthops=nexthops, next_page_token=token)

    async def ListMacs(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListMacsResponse]:
        async for page, token in self._pages(request, context, Kind.MAC):
            macs = [rows.mac(row, self._view.vteps) for row in page]
            yield pb.ListMacsResponse(macs=macs, next_page_token=token)

    async def ListNeighbors(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListNeighborsResponse]:
        async for page, token in self._pages(request, context, Kind.NEIGHBOR):
            neighbors = map(rows.neighbor, page)
            yield pb.ListNeighborsResponse(neighbors=neighbors, next_page_token=token)

    async def ListVteps(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListVtepsResponse]:
        async for page, token in self._pages(request, context, Kind.REMOTE_VTEP, Kind.FLOOD):
            yield pb.ListVtepsResponse(vteps=map(rows.vtep, page), next_page_token=token)

    async def ListVnis(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListVnisResponse]:
        vteps = await self._vteps()
        async for page, token in self._pages(request, context, Kind.VNI):
            vnis = [rows.vni(row, vteps.get(row.record.key, ())) for row in page]
            yield pb.ListVnisResponse(vnis=vnis, next_page_token=token)

    async def ListVrfs(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListVrfsResponse]:
        l3vnis = places(self._view).l3vnis
        async for page, token in self._pages(request, context, Kind.VRF):
            vrfs = [rows.vrf(row, l3vnis) for row in page]
            yield pb.ListVrfsResponse(vrfs=vrfs, next_page_token=token)

    async def ListPorts(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListPortsResponse]:
        links, unavailable = await self._links()
        if unavailable:
            yield pb.ListPortsResponse(unavailable=unavailable)
        async for page, token in self._pages(request, context, Kind.PORT):
            ports = [rows.port(row, links) for row in page]
            yield pb.ListPortsResponse(ports=ports, next_page_token=token)

    async def ListLsps(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListLspsResponse]:
        async for page, token in self._pages(request, context, Kind.LSP):
            yield pb.ListLspsResponse(lsps=map(rows.lsp, page), next_page_token=token)

    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        after = request.after if request.HasField("after") else self._view.sequence()
        await context.send_initial_metadata(())  # tells the client that it misses nothing now
        try:
            check(request)
            async with aclosing(watch(self._view, request, after)) as batches:
                async for batch in batches:
                    yield pb.WatchResponse(changes=starmap(rows.change, batch))
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except LookupError:
            why = "no longer reaches back to"
            if after > self._view.sequence():
                why = "was begun anew and has not come to"
            text = f"the journal {why} {after}: list, then watch again"
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, text)

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        try:
            return await explain(
                self._view, self._datapath.ports, request.vrf, request.address, self._look_up
            )
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except UnknownVrf as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        raise AssertionError("abort returned")

    async def Audit(self, request: pb.AuditRequest, context: Context) -> pb.AuditResponse:
        try:
            found = await self._view.audit(request.limit or AUDIT_ROWS)
        except Unavailable as error:
            text = f"the datapath does not answer: {error}"
            await context.abort(grpc.StatusCode.UNAVAILABLE, text)
            raise AssertionError("abort returned") from error
        listed = [
            pb.AuditRow(
                kind=rows.KINDS[row.kind],
                vrf=row.vrf,
                text=row.text,
                problem=pb.AuditProblem.Name(row.problem.value),
            )
            for row in found.rows
        ]
        return pb.AuditResponse(differed=found.differed, rows=listed, unchecked=found.unchecked)

    async def Resync(self, request: pb.ResyncRequest, context: Context) -> pb.ResyncResponse:
        try:
            return pb.ResyncResponse(differed=await self._view.resync())
        except Unavailable as error:
            text = f"the datapath does not answer: {error}"
            await context.abort(grpc.StatusCode.UNAVAILABLE, text)
        raise AssertionError("abort returned")

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        return pb.ReleaseResponse(message=self._view.release())

    async def _routes(self, request: pb.ListRoutesRequest) -> AsyncIterator[pb.ListRoutesResponse]:
        """Send tables in order, each a page of slots at a time. Raises BadRequest."""
        wanted = routes.RouteFilter(request)
        first = routes.parse_token(request.page_token) if request.page_token else None
        left = request.limit
        for vrf, family in self._view.route_tables():
            if not wanted.wants(vrf, family) or (first and (vrf, family) < first[:2]):
                continue
            start = first[2] if first and (vrf, family) == first[:2] else 0
            while start >= 0:
                hits, start = self._scan(wanted, vrf, family, start, left)
                async for message in self._in_messages(hits):
                    yield message
                if request.limit:
                    left -= len(hits.lengths)
                    if not left:
                        token = routes.position(vrf, family, start) if start >= 0 else ""
                        token = token or self._next_table(wanted, vrf, family)
                        yield pb.ListRoutesResponse(next_page_token=token)
                        return

    def _scan(
        self, wanted: routes.RouteFilter, vrf: str, family: Family, start: int, limit: int
    ) -> tuple[RouteRows, int]:
        """Return the rows of one page that pass, at most `limit`, and the slot to go on from."""
        page, following = self._view.routes(vrf, family, start, SCAN_ROWS)
        hits = np.flatnonzero(wanted.mask(page, self._view.nexthop))
        if limit and len(hits) > limit:
            # Slots have holes: ask for a page that ends just behind the last hit.
            hits = hits[:limit]
            _, following = self._view.routes(vrf, family, start, int(hits[-1]) + 1)
        return routes.take(page, hits), following

    async def _in_messages(self, hits: RouteRows) -> AsyncIterator[pb.ListRoutesResponse]:
        for at in range(0, len(hits.lengths), MESSAGE_ROWS):
            part = routes.take(hits, slice(at, at + MESSAGE_ROWS))
            yield pb.ListRoutesResponse(routes=routes.messages(part, self._view.nexthop))
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _next_table(self, wanted: routes.RouteFilter, vrf: str, family: Family) -> str:
        for table in self._view.route_tables():
            if table > (vrf, family) and wanted.wants(*table):
                return routes.position(*table, 0)
        return ""

    async def _pages(
        self, request: pb.ListRequest, context: Context, *kinds: Kind
    ) -> AsyncIterator[Page]:
        """Yield what passes the filters, a message's worth at a time, with its page token.

        A page ends behind a row and not at a place, so that what goes meanwhile hides nothing.
        Kinds are given in ascending order.
        """
        try:
            wanted = RecordFilter(request, self._view)
            after = parse_position(request.page_token)
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return
        source = (row for row in self._records(*kinds) if position(row) > after)
        left = request.limit
        page: list[RecordRow] = []
        while part := list(islice(source, MESSAGE_ROWS)):
            for row in part:
                if wanted.passes(row):
                    page.append(row)
                if left and len(page) == left:
                    yield page, page_token(row)
                    return
            left -= len(page) if left else 0
            if page:
                yield page, ""
            page = []
            await asyncio.sleep(0)

    def _records(self, *kinds: Kind) -> Iterator[RecordRow]:
        return chain.from_iterable(map(self._view.records, kinds))

    async def _vteps(self) -> dict[object, set[bytes]]:
        """Return every VNI's remote VTEPs."""
        vteps: dict[object, set[bytes]] = defaultdict(set)
        source = self._records(Kind.FLOOD, Kind.REMOTE_VTEP)
        while part := list(islice(source, MESSAGE_ROWS)):
            for row in part:
                if isinstance(row.record, Flood | RemoteVtep):
                    vteps[row.record.vni].add(row.record.vtep)
            await asyncio.sleep(0)
        return vteps

    async def _links(self) -> tuple[dict[str, PortState], str]:
        try:
            return {port.name: port for port in await self._datapath.ports()}, ""
        except Unavailable as error:
            return {}, f"the datapath does not answer: {error}"
