"""A datapath over gRPC: any server of dualpath.v1.Datapath, in any process and language.

`bounds` limits what the server's replies may take of memory and time.
"""

from __future__ import annotations

import asyncio
import errno
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

CALL_S = 10.0  # a call that changes nothing
APPLY_S = 120.0  # a batch may make many devices
DUMP_S = 300.0
MOST_REFUSED = 64  # calls for one batch that the server refuses as invalid
AGAIN_S, AGAIN_MOST_S = 0.5, 8.0  # after a stream that broke: the controller then compares all
STEADY_S = 10.0  # a stream that lasted this long is opened again after AGAIN_S
OVERTAKEN_S = 10.0  # after a stream that the server ended, because another client listens

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
    """The server refuses a request as invalid, and did nothing."""


class RemoteDatapath:
    """Datapath at unix:/PATH or ADDRESS:PORT; the latter only on this host or with `tls`.

    A call on a broken connection raises Unavailable; the next call connects again. Raises
    ConnectError for an invalid address. Create it within an event loop.
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
        reply = await self._call(self._stub.Capabilities, pb.CapabilitiesRequest())
        found = self._read(wire.capabilities_from_pb, reply)
        self.name = found.name
        return found

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        failures: list[RowFailure] = []
        for first, part in slices(batch):
            rows = await self._apply(part)
            failures += [replace(row, index=row.index + first) for row in rows] if first else rows
        return failures

    async def _apply(self, batch: Batch) -> list[RowFailure]:
        """Apply the rows of one message. Only rows that the server calls invalid fail.

        Halving finds these rows. After MOST_REFUSED calls, valid rows fail together with them.
        """
        failures: list[RowFailure] = []
        todo, refused = [(0, batch)], 0
        while todo:
            first, part = todo.pop()
            try:
                reply = await self._call(self._stub.Apply, wire.request_to_pb(part), APPLY_S)
            except _NotUnderstood as error:
                refused += 1
                if len(part) > 1 and refused < MOST_REFUSED:
                    near, far = halves(part)
                    todo += [(first + len(near), far), (first, near)]
                else:
                    rows = range(first, first + len(part))
                    failures += [RowFailure(row, errno.EINVAL, str(error)) for row in rows]
                continue
            for row in self._read(lambda a, part=part: wire.failures_from_pb(a, len(part)), reply):  # type: ignore[misc]
                failures.append(replace(row, index=row.index + first))
        return failures

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        """Yield the installed rows. Raises Unavailable if they exceed the limits in `bounds`."""
        self._check_open()
        call = self._stub.Dump(pb.DumpRequest(kind=kind), timeout=DUMP_S)
        meter = DumpMeter()
        try:
            while (message := await self._ask(call.read)) is not grpc.aio.EOF:
                yield self._read(lambda reply: wire.dumped_from_pb(reply, kind, meter), message)
        finally:
            call.cancel()

    async def ports(self) -> Sequence[PortState]:
        reply = await self._call(self._stub.Ports, pb.PortsRequest())
        return self._read(wire.ports_from_pb, reply)

    async def facts(self) -> Facts:
        reply = await self._call(self._stub.Facts, pb.FactsRequest())
        return self._read(wire.facts_from_pb, reply)

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        reply = await self._call(self._stub.LookUp, pb.LookUpRequest(vrf=vrf, address=address))
        return self._read(wire.found_from_pb, reply)

    async def learned(self) -> AsyncIterator[Learned]:
        """Yield the events of the datapath; open the stream again when it breaks.

        A new stream begins with a Lost for each kind, because changes may have been missed. Once it
        has caught up, MACs and neighbors that it did not repeat are reported as gone (`picture`).
        """
        picture, backoff = Picture(), Backoff(AGAIN_S, AGAIN_MOST_S, steady_s=STEADY_S)
        while not self._closed.is_set():
            pause_s, began = OVERTAKEN_S, time.monotonic()
            try:
                async for event in self._listen(picture):
                    yield event
                why = "another client listens now"
            except Unavailable as error:
                pause_s, why = backoff.after(time.monotonic() - began), str(error)
            if picture.interrupted() and not self._closed.is_set():
                log.warning(
                    "%s: the stream of learned rows ended (%s); opening it again", self.name, why
                )
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
            while (message := await self._ask(call.read)) is not grpc.aio.EOF:
                for learned in self._read(lambda reply: list(wire.learned_from_pb(reply)), message):
                    for event in self._read(lambda event: list(picture.apply(event)), learned):
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
            if task and task.cancelling():  # this task is cancelled, not the call
                raise
            raise Unavailable(f"the connection to {self._address} is closed") from None

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise Unavailable(f"the connection to {self._address} is closed")

    def _error(self, error: grpc.aio.AioRpcError) -> DatapathError:
        code, details = error.code(), error.details() or "no reason given"
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return Unsupported(f"{self._address} does not serve dualpath.v1.Datapath: {details}")
        if code is grpc.StatusCode.INVALID_ARGUMENT:  # the two ends are from different releases
            return _NotUnderstood(details)
        if code in NEVER:
            return Unsupported(details)
        if details.startswith(("failed to connect", "Socket closed")):
            return Unavailable(f"no server answers at {self._address}")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:  # usually a message beyond the limit
            return Unavailable(f"{self._address}: {cut(details)}")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Unavailable(f"{self._address} did not answer in time")
        return Unavailable(details)

    def _read(self, convert: Callable[[Any], T], reply: object) -> T:
        try:
            return convert(reply)
        except ValueError as error:
            raise Unavailable(f"{self._address}: invalid reply: {error}") from None
