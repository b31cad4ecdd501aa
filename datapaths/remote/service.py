"""The gRPC methods of dualpath.v1.Datapath, over any datapath."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import aclosing
from typing import NoReturn, TypeAlias, TypeVar

import grpc

from datapaths.base import Datapath, DatapathError, Learned, LooksUp, Lost, Unsupported
from datapaths.remote import wire
from datapaths.remote.slices import lost_parts, slices
from dualpath.pb import datapath_pb2 as pb
from dualpath.pb import datapath_pb2_grpc as pb_grpc

EVENTS_IN_MESSAGE = 512
MESSAGE_WEIGHT = 1024 * 1024  # bytes; the largest part of a loss has 1.5 MiB
EVENTS_WAITING = 4096  # beyond that the inbox waits, with the last event of each key

Context: TypeAlias = grpc.aio.ServicerContext
T = TypeVar("T")


class DatapathService(pb_grpc.DatapathServicer):
    """Serves one datapath."""

    def __init__(self, datapath: Datapath) -> None:
        self._datapath = datapath
        self._applying = asyncio.Lock()  # two controllers at once must do no harm

    async def Capabilities(
        self, request: pb.CapabilitiesRequest, context: Context
    ) -> pb.CapabilitiesResponse:
        found = await _answer(context, self._datapath.capabilities)
        return wire.capabilities_to_pb(found)

    async def Apply(self, request: pb.ApplyRequest, context: Context) -> pb.ApplyResponse:
        try:
            batch = wire.request_from_pb(request)
        except ValueError as error:
            await _refuse(context, error)
        async with self._applying:
            failures = await _answer(context, lambda: self._datapath.apply(batch))
        return wire.failures_to_pb(failures)

    async def Dump(
        self, request: pb.DumpRequest, context: Context
    ) -> AsyncIterator[pb.DumpResponse]:
        try:
            kind = wire.kind_from_pb(request.kind)
        except ValueError as error:
            await _refuse(context, error)
        try:
            async for batch in self._datapath.dump(kind):
                for _, part in slices(batch):
                    yield wire.dumped_to_pb(part)
        except DatapathError as error:
            await _fail(context, error)

    async def Ports(self, request: pb.PortsRequest, context: Context) -> pb.PortsResponse:
        return wire.ports_to_pb(await _answer(context, self._datapath.ports))

    async def Facts(self, request: pb.FactsRequest, context: Context) -> pb.FactsResponse:
        return wire.facts_to_pb(await _answer(context, self._datapath.facts))

    async def LookUp(self, request: pb.LookUpRequest, context: Context) -> pb.LookUpResponse:
        asked: object = self._datapath
        if not isinstance(asked, LooksUp):
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this datapath has no lookup")
            raise AssertionError("abort returned")
        look_up = asked.look_up
        try:
            vrf, address = wire.lookup_from_pb(request)
        except ValueError as error:
            await _refuse(context, error)
        return wire.found_to_pb(await _answer(context, lambda: look_up(vrf, address)))

    async def Learned(
        self, request: pb.LearnedRequest, context: Context
    ) -> AsyncIterator[pb.LearnedResponse]:
        await context.send_initial_metadata(())  # tells the client that its stream is open
        try:
            async with aclosing(_gathered(self._datapath.learned())) as batches:
                async for events in batches:
                    for message in messages(events):
                        yield message
        except DatapathError as error:
            await _fail(context, error)


def messages(events: Iterable[Learned]) -> Iterator[pb.LearnedResponse]:
    """Yield messages with the events in order, all well below the 4 MiB that a client accepts.

    One Lost may name every MAC of a large tenant: 200,000 of them are 7 MiB.
    """
    message, weight = pb.LearnedResponse(), 0
    for event in events:
        for part in lost_parts(event) if isinstance(event, Lost) else (event,):
            one = wire.event_to_pb(part)
            size = one.ByteSize()
            if weight and weight + size > MESSAGE_WEIGHT:
                yield message
                message, weight = pb.LearnedResponse(), 0
            message.events.append(one)
            weight += size
    if weight:
        yield message


async def _gathered(events: AsyncIterator[Learned]) -> AsyncGenerator[list[Learned]]:
    """Yield events in lists, so that a burst needs only a few messages."""
    waiting: asyncio.Queue[Learned | None] = asyncio.Queue()
    taken = asyncio.Event()

    async def gather() -> None:
        try:
            async for event in events:
                waiting.put_nowait(event)
                while waiting.qsize() > EVENTS_WAITING:
                    taken.clear()
                    await taken.wait()
        finally:
            waiting.put_nowait(None)

    gathering = asyncio.create_task(gather())
    try:
        ended = False
        while not ended:
            some = [await waiting.get()]
            while not waiting.empty() and len(some) < EVENTS_IN_MESSAGE:
                some.append(waiting.get_nowait())
            taken.set()
            ended = some[-1] is None
            if found := [event for event in some if event is not None]:
                yield found
        await gathering  # raises the error that ended it
    finally:
        gathering.cancel()
        await asyncio.wait([gathering])


async def _answer(context: Context, call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except DatapathError as error:
        await _fail(context, error)


async def _fail(context: Context, error: DatapathError) -> NoReturn:
    never = isinstance(error, Unsupported)
    code = grpc.StatusCode.FAILED_PRECONDITION if never else grpc.StatusCode.UNAVAILABLE
    await context.abort(code, str(error))
    raise AssertionError("abort returned")


async def _refuse(context: Context, error: ValueError) -> NoReturn:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    raise AssertionError("abort returned")
