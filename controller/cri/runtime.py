"""A client of the container runtime: two calls of CRI, over its UNIX socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc

from controller.cri.sandboxes import BadReply, PodSelector, Sandbox, namespace_path, newest
from dualpath.pb import cri_pb2 as pb

SERVICE = "/runtime.v1.RuntimeService"
CALL_S = 5.0
OPTIONS = (
    ("grpc.max_receive_message_length", 4 << 20),  # a verbose status has 10 KB
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class NoAnswer(Exception):
    """The runtime does not answer, or refuses a call; the text says why."""


class Runtime:
    """The runtime at a socket of root's. Create it within an event loop."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", OPTIONS)
        # Without generated stubs, because those would name the service after our package.
        self._list: Any = self._channel.unary_unary(
            f"{SERVICE}/ListPodSandbox",
            pb.ListPodSandboxRequest.SerializeToString,
            pb.ListPodSandboxResponse.FromString,
        )
        self._status: Any = self._channel.unary_unary(
            f"{SERVICE}/PodSandboxStatus",
            pb.PodSandboxStatusRequest.SerializeToString,
            pb.PodSandboxStatusResponse.FromString,
        )

    async def newest(self, selector: PodSelector) -> Sandbox | None:
        """Return the newest running pod; None if none runs. Raises NoAnswer."""
        reply: pb.ListPodSandboxResponse = await self._call(self._list, selector.request)
        return newest(selector, reply.items)

    async def namespace(self, sandbox: Sandbox) -> str:
        """Return the file of a pod's network namespace. Raises NoAnswer or BadReply."""
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox.id, verbose=True)
        reply: pb.PodSandboxStatusResponse = await self._call(self._status, request)
        if "info" not in reply.info:
            raise BadReply("the runtime's reply has no OCI configuration")
        return namespace_path(reply.info["info"])

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, method: Any, request: object) -> Any:  # noqa: ANN401 - of gRPC
        try:
            async with asyncio.timeout(2 * CALL_S):
                return await method(request, timeout=CALL_S)
        except grpc.aio.AioRpcError as error:
            details = " ".join((error.details() or error.code().name).split())
            raise NoAnswer(details[:200]) from None
        except TimeoutError:
            raise NoAnswer(f"no answer within {2 * CALL_S:g} s") from None
