"""The gRPC methods of dualpath.v1.Inspect, each a few lines over the modules beside it.

They run in the daemon's event loop and must never block it: lists are read and sent in slices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import starmap
from typing import TypeAlias

import grpc

from controller.inspect import rows
from controller.inspect.about import about
from controller.inspect.explain import UnknownVrf, explain
from controller.inspect.filters import BadRequest, places
from controller.inspect.recordlist import Page, pages, remote_vteps
from controller.inspect.routelist import RouteList
from controller.inspect.view import Inspected, QueriedDatapath
from controller.inspect.watch import check, watch
from datapaths.base import LooksUp, PortState, Unavailable
from dualpath.model.kinds import Kind
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import inspect_pb2_grpc as pb_grpc

AUDIT_ROWS = 1000

Context: TypeAlias = grpc.aio.ServicerContext


class InspectService(pb_grpc.InspectServicer):
    """Answers from a view of the daemon's state, and from the datapath."""

    def __init__(self, view: Inspected, datapath: QueriedDatapath) -> None:
        self._view = view
        self._datapath = datapath
        self._look_up = datapath.look_up if isinstance(datapath, LooksUp) else None

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        answer = rows.status(self._view.status(), self._view.sequence())
        answer.datapath_status.CopyFrom(await about(self._datapath))
        return answer

    async def Intent(self, request: pb.IntentRequest, context: Context) -> pb.IntentResponse:
        if planned := self._view.plan():
            return rows.plan(planned, self._view.datapath_name())
        text = "this controller was started without manifests (--config)"
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, text)
        raise AssertionError("abort returned")

    async def ListRoutes(
        self, request: pb.ListRoutesRequest, context: Context
    ) -> AsyncIterator[pb.ListRoutesResponse]:
        try:
            async for message in RouteList(self._view, request).messages():
                yield message
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def ListNexthops(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListNexthopsResponse]:
        async for page, token in self._pages(request, context, Kind.NEXTHOP):
            message = rows.nexthops(page, self._view.nexthop)
            message.next_page_token = token
            yield message

    async def ListMacs(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListMacsResponse]:
        async for page, token in self._pages(request, context, Kind.MAC):
            message = rows.macs(page, self._view.vteps)
            message.next_page_token = token
            yield message

    async def ListNeighbors(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListNeighborsResponse]:
        async for page, token in self._pages(request, context, Kind.NEIGHBOR):
            message = rows.neighbors(page)
            message.next_page_token = token
            yield message

    async def ListVteps(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListVtepsResponse]:
        async for page, token in self._pages(request, context, Kind.REMOTE_VTEP, Kind.FLOOD):
            yield pb.ListVtepsResponse(vteps=map(rows.vtep, page), next_page_token=token)

    async def ListVnis(
        self, request: pb.ListRequest, context: Context
    ) -> AsyncIterator[pb.ListVnisResponse]:
        vteps = await remote_vteps(self._view)
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
        await context.send_initial_metadata(())  # from now on the client misses nothing
        try:
            check(request)
            async with aclosing(watch(self._view, request, after)) as batches:
                async for batch in batches:
                    yield pb.WatchResponse(changes=starmap(rows.change, batch))
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except LookupError:
            problem = "no longer has change"
            if after > self._view.sequence():
                problem = "began again with the daemon and does not have change"
            text = f"the journal {problem} {after}: list, then watch again"
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
                datapath=row.datapath,
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

    async def _pages(
        self, request: pb.ListRequest, context: Context, *kinds: Kind
    ) -> AsyncIterator[Page]:
        try:
            async for page in pages(self._view, request, *kinds):
                yield page
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def _links(self) -> tuple[dict[str, PortState], str]:
        try:
            return {port.name: port for port in await self._datapath.ports()}, ""
        except Unavailable as error:
            return {}, f"the datapath does not answer: {error}"
