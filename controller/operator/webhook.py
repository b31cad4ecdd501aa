"""The HTTPS server that validates changes for API servers. `judgement` decides.

API servers do not authenticate themselves, so anybody who reaches the port may send requests. So
bodies, connections and times have limits. One thread validates requests one after the other, and a
request that waits too long is refused. Idle connections are closed.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable

from aiohttp import web

from controller.kubernetes.cluster import load_pair
from controller.operator import admission
from controller.operator.admission import BadReview
from controller.operator.certificate import Pair
from controller.operator.inventory import Inventory
from controller.operator.judgement import Change, Judge, Unreadable, Verdict
from dualpath.process.options import listening_host

log = logging.getLogger(__name__)

PATH = "/validate"
CONNECTIONS = 64
WAITING = 32  # waiting and validated requests
REQUEST_S = 8.0  # less than the API server waits: see timeoutSeconds in deploy/operator
IDLE_S = 60.0
LONGEST = 8 << 20  # bytes: an object and its former version, of 1.5 MB each in etcd


class Webhook:
    """Answers AdmissionReviews; ready once it has a certificate and has seen every object."""

    def __init__(self, inventory: Inventory, metrics: Callable[[], Iterable[str]] = tuple) -> None:
        self._inventory = inventory
        self._metrics = metrics
        self._judge = Judge()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._silent: dict[object, asyncio.TimerHandle] = {}  # connections without a request yet
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._presents: Pair | None = None
        self._server = web.Server(
            self._answer,
            keepalive_timeout=IDLE_S,
            max_line_size=8190,
            max_field_size=8190,
            access_log=None,
        )

    @property
    def ready(self) -> bool:
        return self._presents is not None and self._inventory.listed

    def present(self, pair: Pair) -> None:
        """Use this certificate from the next connection on. Raises ssl.SSLError."""
        if pair != self._presents:
            load_pair(self._context, pair.certificate, pair.key)
            self._presents = pair

    async def serve(self, host: str, port: int) -> None:
        """Listen until cancelled, on `::` for IPv4 as well. Raises OSError."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            self._connection,
            listening_host(host),
            port,
            ssl=self._context,
            ssl_handshake_timeout=REQUEST_S,
        )
        try:
            async with listener:
                await listener.serve_forever()
        finally:
            await self._server.shutdown(1.0)

    def _connection(self) -> asyncio.Protocol:
        if len({*self._server.connections, *self._silent}) >= CONNECTIONS:
            return _Refusal()
        protocol: web.RequestHandler = self._server()
        end = asyncio.get_running_loop().call_later(REQUEST_S, self._end, protocol)
        self._silent[protocol] = end
        return protocol

    def _end(self, protocol: web.RequestHandler) -> None:
        del self._silent[protocol]
        protocol.force_close()

    def _speaks(self, protocol: object) -> None:
        if (end := self._silent.pop(protocol, None)) is not None:
            end.cancel()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._speaks(request.protocol)
        if request.method == "GET" and request.path in ("/healthz", "/readyz"):
            good = self.ready or request.path == "/healthz"
            return web.Response(status=200 if good else 503, text="ok\n" if good else "not yet\n")
        if request.method == "GET" and request.path == "/metrics":
            return web.Response(text="".join(f"{line}\n" for line in self._metrics()))
        if request.method != "POST" or request.path != PATH:
            return web.Response(status=404, text=f"only POST {PATH}\n")
        if self._waiting >= WAITING:
            return web.Response(status=503, text="too many requests\n")
        self._waiting += 1
        try:
            async with asyncio.timeout(REQUEST_S):
                return await self._review(await _body(request))
        except BadReview as error:
            return web.Response(status=400, text=f"{error}\n")
        except TimeoutError:
            return web.Response(status=503, text="too busy to judge this in time\n")
        finally:
            self._waiting -= 1

    async def _review(self, data: bytes) -> web.StreamResponse:
        review = admission.decode(data)
        if not self._inventory.listed:
            return web.Response(status=503, text="the API server has not listed all objects yet\n")
        if review.change is None:
            return web.json_response(admission.answer(review.uid, Verdict()))
        await self._turn.acquire()
        # A cancelled request does not stop the thread, which keeps the turn until it ends.
        judging = asyncio.ensure_future(self._judged(review.change, dry_run=review.dry_run))
        verdict = await asyncio.shield(judging)
        if verdict.refused:
            log.info("refused: %s", "; ".join(verdict.refused))
        return web.json_response(admission.answer(review.uid, verdict))

    async def _judged(self, change: Change, *, dry_run: bool) -> Verdict:
        """Validate a change in a thread; then release the turn."""
        objects, nodes = self._inventory.expected(), self._inventory.nodes
        try:
            verdict = await asyncio.to_thread(self._judge.judge, objects, nodes, change)
        except Unreadable as error:
            return Verdict((str(error),))
        finally:
            self._turn.release()
        if not (verdict.refused or dry_run):
            self._inventory.admitted(change)
        return verdict


async def _body(request: web.BaseRequest) -> bytes:
    """Return the body of a request. Raises BadReview."""
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > LONGEST:
            raise BadReview(f"more than {LONGEST} bytes")
    return bytes(data)


class _Refusal(asyncio.Protocol):
    """Ends a connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
