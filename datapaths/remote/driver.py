"""Datapath over gRPC: whatever serves dualpath.v1.Datapath, in whatever process and language."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import grpc

from datapaths.base import (
    Batch,
    Capabilities,
    DatapathError,
    Facts,
    Found,
    Learned,
    PortState,
    RowFailure,
    Unavailable,
    Unsupported,
)
from datapaths.remote import wire
from datapaths.remote.bounds import MESSAGE_BYTES, DumpMeter, cut
from datapaths.remote.picture import Picture
from datapaths.remote.slices import halves, slices
from dualpath.model.kinds import Kind
from dualpath.pb import datapath_pb2 as pb
from dualpath.pb import datapath_pb2_grpc as pb_grpc
from dualpath.process.backoff import Backoff
from dualpath.rpc.connect import ClientTls, target_of

log = logging.getLogger(__name__)

CALL_S = 10.0  # a question
APPLY_S = 120.0  # a batch that makes devices, one after another
DUMP_S = 300.0
MOST_REFUSED = 64  # calls for one batch that make no sense to the other side
AGAIN_S, AGAIN_MOST_S = 0.5, 8.0  # after a stream that broke: the controller then compares all
STEADY_S = 10.0  # a stream that lived so long is opened again after AGAIN_S
OVERTAKEN_S = 10.0  # after one that ended, as it does when somebody else listens

OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
NEVER = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)

T = TypeVar("T")


class _NotUnderstood(Unsupported):
    """A request makes no sense to the other side, which did nothing."""


class RemoteDatapath:
    """Datapath at unix:/PATH or ADDRESS:PORT; the latter only on this host or with `tls`.

    What breaks is Unavailable, and mended by the next call. Raises ConnectError when the address
    makes no sense. Has to be made within an event loop.
    """

    def __init__(self, address: str, tls: ClientTls | None = None, name: str = "remote") -> None:
        self.name = name
        self._address = address
        target = target_of(address, tls)
        if target.credentials:
            self._channel = grpc.aio.secure_channel(target.address, target.credentials, OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(target.address, OPTIONS)
        self._stub: Any = pb_grpc.DatapathStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._closed = asyncio.Event()

    async def capabilities(self) -> Capabilities:
        said = await self._call(self._stub.Capabilities, pb.CapabilitiesRequest())
        found = self._read(wire.capabilities_from_pb, said)
        self.name = found.name
        return found

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        failures: list[RowFailure] = []
        for first, part in slices(batch):
            rows = await self._apply(part)
            failures += [replace(row, index=row.index + first) for row in rows] if first else rows
        return failures

    async def _apply(self, batch: Batch) -> list[RowFailure]:
        """Apply what one message carries; rows that make no sense over there fail, and no others.

        They are found by halving, unless there are many: then some fail with their neighbours.
        """
        failures: list[RowFailure] = []
        todo, refused = [(0, batch)], 0
        while todo:
            first, part = todo.pop()
            try:
                said = await self._call(self._stub.Apply, wire.request_to_pb(part), APPLY_S)
            except _NotUnderstood as error:
                refused += 1
                if len(part) > 1 and refused < MOST_REFUSED:
                    near, far = halves(part)
                    todo += [(first + len(near), far), (first, near)]
                else:
                    rows = range(first, first + len(part))
                    failures += [RowFailure(row, "EINVAL", str(error)) for row in rows]
                continue
            for row in self._read(lambda a, part=part: wire.failures_from_pb(a, len(part)), said):  # type: ignore[misc]
                failures.append(replace(row, index=row.index + first))
        return failures

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        """Yield what is installed. Raises Unavailable when that is more than `bounds` allow."""
        self._check_open()
        call = self._stub.Dump(pb.DumpRequest(kind=kind), timeout=DUMP_S)
        meter = DumpMeter()
        try:
            while (message := await self._ask(call.read)) is not grpc.aio.EOF:
                yield self._read(lambda reply: wire.dumped_from_pb(reply, kind, meter), message)
        finally:
            call.cancel()

    async def ports(self) -> Sequence[PortState]:
        said = await self._call(self._stub.Ports, pb.PortsRequest())
        return self._read(wire.ports_from_pb, said)

    async def facts(self) -> Facts:
        said = await self._call(self._stub.Facts, pb.FactsRequest())
        return self._read(wire.facts_from_pb, said)

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        said = await self._call(self._stub.LookUp, pb.LookUpRequest(vrf=vrf, address=address))
        return self._read(wire.found_from_pb, said)

    async def learned(self) -> AsyncIterator[Learned]:
        """Yield what is learnt. After a lost connection everything is to be looked at again.

        Then what is told anew is compared with what was: what is missing has gone.
        """
        picture, backoff = Picture(), Backoff(AGAIN_S, AGAIN_MOST_S, steady_s=STEADY_S)
        while not self._closed.is_set():
            pause_s, began = OVERTAKEN_S, time.monotonic()
            try:
                async for event in self._listen(picture):
                    yield event
                why = "somebody else listens now"
            except Unavailable as error:
                pause_s, why = backoff.after(time.monotonic() - began), str(error)
            if picture.interrupted() and not self._closed.is_set():
                log.warning("%s: lost sight of what is learnt: %s", self.name, why)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._closed.wait()

    async def close(self) -> None:
        self._closed.set()
        await self._channel.close()

    async def _listen(self, picture: Picture) -> AsyncIterator[Learned]:
        self._check_open()
        call = self._stub.Learned(pb.LearnedRequest(), wait_for_ready=True)
        try:
            while (said := await self._ask(call.read)) is not grpc.aio.EOF:
                for told in self._read(lambda said: list(wire.learned_from_pb(said)), said):
                    for event in self._read(lambda one: list(picture.take(one)), told):
                        yield event
        finally:
            call.cancel()

    async def _call(self, method: Any, request: object, timeout_s: float = CALL_S) -> object:  # noqa: ANN401  grpc has no types
        self._check_open()
        return await self._ask(lambda: method(request, timeout=timeout_s))

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():  # it is we who are cancelled, not the call
                raise
            raise Unavailable(f"the connection to {self._address} is closed") from None

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise Unavailable(f"the connection to {self._address} is closed")

    def _error(self, error: grpc.aio.AioRpcError) -> DatapathError:
        code, details = error.code(), error.details() or "no reason given"
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return Unsupported(f"{self._address} does not serve dualpath.v1.Datapath: {details}")
        if code is grpc.StatusCode.INVALID_ARGUMENT:  # of one release and another
            return _NotUnderstood(details)
        if code in NEVER:
            return Unsupported(details)
        if details.startswith(("failed to connect", "Socket closed")):
            return Unavailable(f"nobody answers at {self._address}")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:  # most often a message beyond the limit
            return Unavailable(f"{self._address}: {cut(details)}")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Unavailable(f"{self._address} did not answer in time")
        return Unavailable(details)

    def _read(self, convert: Callable[[Any], T], said: object) -> T:
        try:
            return convert(said)
        except ValueError as error:
            raise Unavailable(f"{self._address} answers with nonsense: {error}") from None
