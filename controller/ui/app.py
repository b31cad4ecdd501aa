"""The routes of the server: the page's files, its stream, and two questions. All of them read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from controller.cli.values import plain
from controller.ui.feed import CALL_S, Busy, Feed, Stub
from controller.ui.guard import Guard
from controller.ui.rows import SHAPES, BadQuery, rows
from dualpath.pb import inspect_pb2 as pb

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.OUT_OF_RANGE: 410,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


def make(stub: Stub, feed: Feed, key: str, cookie: str) -> Starlette:
    """Return the application; `key` opens it, `cookie` is the name under which a browser has it."""

    async def stream(_: Request) -> Response:
        try:
            feed.enter()
        except Busy:
            return _problem(503, "too many pages are open: close one")
        return _Stream(feed)

    async def list_rows(request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in SHAPES:
            return _problem(404, f"no list is called {kind!r}")
        return JSONResponse(await rows(stub, kind, dict(request.query_params)))

    async def explain(request: Request) -> Response:
        query = request.query_params
        asked = pb.ExplainRequest(vrf=query.get("vrf", ""), address=query.get("address", ""))
        return JSONResponse(plain(await stub.Explain(asked, timeout=CALL_S)))

    return Starlette(
        routes=[
            *(Route(path, _file(path, source), methods=["GET"]) for path, source in _files()),
            Route("/api/stream", stream, methods=["GET"]),
            Route("/api/rows/{kind}", list_rows, methods=["GET"]),
            Route("/api/explain", explain, methods=["GET"]),
        ],
        middleware=[Middleware(Guard, key=key, cookie=cookie)],
        exception_handlers={grpc.RpcError: _failed, BadQuery: _bad},
    )


class _Stream(StreamingResponse):
    """Gives its place back however it ends, even before the first byte."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed.stream(), media_type="text/event-stream")
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave()


def _files() -> Iterator[tuple[str, Path]]:
    """Yield what may be asked for. No path of a request becomes a path of the file system."""
    yield "/", PAGE / "index.html"
    for path in sorted(PAGE.iterdir()):
        if path.suffix in TYPES:
            yield f"/{path.name}", path


def _file(path: str, source: Path) -> Any:  # noqa: ANN401 - an endpoint
    content, type_ = source.read_bytes(), TYPES[source.suffix]

    async def answer(_: Request) -> Response:
        return Response(content, media_type=type_)

    answer.__name__ = f"file_{path}"
    return answer


async def _failed(_: Request, error: Any) -> Response:  # noqa: ANN401 - grpc has no types
    return _problem(CODES.get(error.code(), 502), str(error.details()))


async def _bad(_: Request, error: Exception) -> Response:
    return _problem(400, str(error))


def _problem(code: int, text: str) -> Response:
    return JSONResponse({"problem": text}, code)
