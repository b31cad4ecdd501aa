"""Targets with a socket: both gRPC services, metrics by HTTP, and a daemon's vty."""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from controller.inspect.server import serve as serve_inspect
from controller.metrics.http import MetricsServer
from datapaths.memory import MemoryDatapath
from datapaths.remote.server import serve as serve_datapath
from dualpath.pb import datapath_pb2, inspect_pb2
from dualpath.rpc.server import RpcServer
from frr_bridge.vty import Vty, VtyError
from tests.fakes.view import fabric
from tests.fakes.vty import FakeDaemon
from tests.fuzz.messages import filled
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target

_ANSWER_S = 5.0
_STREAM_S = 0.05  # some streams end never
_SEPARATOR = b"\n"


class Served(Target):
    """A gRPC service: every method, with messages that are valid, odd, or damaged."""

    service: str

    def __init__(self, file: Any) -> None:  # noqa: ANN401  a generated module
        super().__init__()
        described = file.DESCRIPTOR.services_by_name[self.service]
        self._streams = {method.name: method.server_streaming for method in described.methods}
        self._requests: dict[str, type[Message]] = {
            method.name: GetMessageClass(method.input_type) for method in described.methods
        }
        self._directory = tempfile.TemporaryDirectory()
        self._listen = f"unix:{self._directory.name}/s"

    async def serve(self) -> RpcServer:
        raise NotImplementedError

    async def start(self) -> None:
        self._server = await self.serve()
        self._channel = grpc.aio.insecure_channel(self._listen)

    async def stop(self) -> None:
        try:
            name = next(iter(self._requests))
            answer = await self._call(name, b"", _ANSWER_S)
            assert answer in ("OK", "DEADLINE_EXCEEDED"), f"{name} answers {answer} afterwards"
        finally:
            await self._channel.close()
            await self._server.stop()
            self._directory.cleanup()

    def input(self, source: random.Random) -> bytes:
        name = source.choice(list(self._requests))
        data = filled(source, self._requests[name]).SerializeToString()
        if source.randrange(2):
            data = mutated(source, data, [data])
        return name.encode() + _SEPARATOR + data

    async def execute(self, data: bytes) -> str:
        name, _, request = data.partition(_SEPARATOR)
        return await self._call(name.decode(), request, _ANSWER_S)

    async def _call(self, name: str, request: bytes, timeout_s: float) -> str:
        path = f"/dualpath.v1.{self.service}/{name}"
        try:
            if not self._streams[name]:
                await self._channel.unary_unary(path)(request, timeout=timeout_s)
                return "OK"
            call = self._channel.unary_stream(path)(request, timeout=timeout_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STREAM_S):
                    async for _ in call:
                        pass
            call.cancel()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNKNOWN:
                return str(error.code().name)
            # gRPC says so of a request that cannot be parsed, and of a handler that raised.
            if "DecodeError" in (error.details() or ""):
                return "malformed"
            raise
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
        return "OK"


class Inspect(Served):
    name = "inspect"
    service = "Inspect"

    def __init__(self) -> None:
        super().__init__(inspect_pb2)

    async def serve(self) -> RpcServer:
        view = fabric()
        return await serve_inspect(view, view.datapath, listen=self._listen)


class Datapath(Served):
    name = "datapath"
    service = "Datapath"

    def __init__(self) -> None:
        super().__init__(datapath_pb2)

    async def serve(self) -> RpcServer:
        return await serve_datapath(MemoryDatapath(), listen=self._listen)


class Metrics(Target):
    """HTTP: requests that are damaged, cut off, too long; afterwards a scrape has to work."""

    name = "metrics"

    async def start(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._path = f"{self._directory.name}/m"
        self._server = MetricsServer(self._text, str, f"unix:{self._path}")
        await self._server.start()
        self.corpus = [
            b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /metrics?x=y HTTP/1.0\r\n\r\n",
            b"GET /readyz HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
        ]

    async def stop(self) -> None:
        answer = await self._ask(self.corpus[0])
        self._server.close()
        self._directory.cleanup()
        assert answer.endswith(b"up 1\n"), f"a scrape afterwards: {answer[:100]!r}"

    async def execute(self, data: bytes) -> str:
        answer = await self._ask(data)
        return answer[9:12].decode() if answer else "closed"

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(request)
            writer.write_eof()
            async with asyncio.timeout(_ANSWER_S * 2):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()

    @staticmethod
    async def _text(accept: str) -> tuple[bytes, str]:
        return b"up 1\n", CONTENT_TYPE_LATEST


class VtySocket(Target):
    """A daemon's vty socket, whose replies are damaged in their framing."""

    name = "vty-socket"

    async def start(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._daemon = FakeDaemon(Path(self._directory.name) / "zebra.vty").start()
        self._vty = Vty(self._daemon.path)
        self.corpus: Sequence[bytes] = [
            b'{"a": [1, 2]}',
            b"% Unknown command",
            b"[" * 500,
            b"x" * 9000,
        ]

    async def stop(self) -> None:
        self._daemon.answers["show"] = "whole"
        self._vty.close()
        afterwards = Vty(self._daemon.path)
        answer = await afterwards.command("show")
        afterwards.close()
        await self._daemon.die()
        self._directory.cleanup()
        assert answer == "whole", answer

    async def execute(self, data: bytes) -> str:
        self._daemon.answers["show"] = data.decode("latin-1")
        self._daemon.piece = 1 + len(data) % 977
        try:
            await self._vty.json("show")
        except VtyError as error:
            return type(error).__name__
        return "taken"
