"""The gRPC service that moves ports between datapaths: dualpath.v1.Operate.

Its socket has mode 0600. Inspect's socket may be open to a group that may only read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol, TypeAlias, cast

import grpc

from dualpath.model.switch import Order, Step, SwitchFailed, SwitchRefused, Tell
from dualpath.pb import operate_pb2 as pb
from dualpath.pb import operate_pb2_grpc as pb_grpc
from dualpath.rpc.listen import PRIVATE_MODE
from dualpath.rpc.server import Options, RpcServer, start

SERVICE = "dualpath.v1.Operate"
OPTIONS: Options = (("grpc.max_receive_message_length", 64 * 1024),)
MOST_BACK_AFTER_S = 86400
STEPS = {
    step: cast("pb.SwitchStep", pb.SwitchStep.Value(f"SWITCH_STEP_{step.name}")) for step in Step
}

Context: TypeAlias = grpc.aio.ServicerContext


class Switchable(Protocol):
    """Carries out orders."""

    async def switch(self, order: Order, tell: Tell) -> None:
        """Raises SwitchRefused or SwitchFailed; a cancellation rolls back."""

    async def confirm(self) -> bool:
        """Keep a switch that has a deadline; return whether there was one."""


class OperateService(pb_grpc.OperateServicer):
    """Passes orders to `Switchable`, and its progress back."""

    def __init__(self, switcher: Switchable) -> None:
        self._switcher = switcher

    async def Switch(
        self, request: pb.SwitchRequest, context: Context
    ) -> AsyncIterator[pb.SwitchProgress]:
        if request.back_after_s > MOST_BACK_AFTER_S:
            text = f"back_after_s: at most {MOST_BACK_AFTER_S}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        order = Order(
            request.to, tuple(request.ports), request.keep, request.dry_run, request.back_after_s
        )
        began = time.monotonic()
        lines: asyncio.Queue[pb.SwitchProgress | None] = asyncio.Queue()

        def tell(step: Step, text: str) -> None:
            seconds = time.monotonic() - began
            lines.put_nowait(pb.SwitchProgress(step=STEPS[step], text=text, seconds=seconds))

        work = asyncio.create_task(self._switcher.switch(order, tell))
        work.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            while (progress := await lines.get()) is not None:
                yield progress
        finally:
            work.cancel()  # the caller is gone: roll back, unless the switch is done
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        try:
            work.result()
        except SwitchRefused as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except SwitchFailed as error:
            await context.abort(grpc.StatusCode.ABORTED, f"rolled back: {error}")

    async def ConfirmSwitch(
        self, request: pb.ConfirmSwitchRequest, context: Context
    ) -> pb.ConfirmSwitchResponse:
        return pb.ConfirmSwitchResponse(confirmed=await self._switcher.confirm())


async def serve_operate(switcher: Switchable, listen: str) -> RpcServer:
    """Start serving on unix:/PATH. Raises ListenError."""

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_OperateServicer_to_server(  # type: ignore[no-untyped-call]  # generated
            OperateService(switcher), server
        )

    async def ready() -> bool:
        return True

    return await start(
        SERVICE, add, ready, listen=listen, tls=None, options=OPTIONS, mode=PRIVATE_MODE
    )
