"""Requests to an API server: list, watch, and our part of a status. Keeps nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from controller.kubernetes.cluster import Cluster

Object = dict[str, Any]

PAGE = 500
REQUEST_S = 30.0
SLACK_S = 10.0  # by which a stream may overrun the time that the server was asked for
LONGEST_LINE = 4 << 20  # etcd takes no object over 1.5 MB
MOST_OBJECTS = 100_000


class ApiError(Exception):
    """The API server refused a request, or cannot be reached."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Gone(ApiError):
    """The resource version is too old: list again (410)."""


class Client:
    """One connection pool to one API server."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        timeout = httpx.Timeout(REQUEST_S)
        self._http = httpx.AsyncClient(
            base_url=cluster.server, verify=cluster.context, timeout=timeout, trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> Object:
        """Return one object. Raises ApiError."""
        return await self._json("GET", path)

    async def list(self, path: str, **selectors: str) -> tuple[list[Object], str]:
        """Return all objects of a collection, and its resource version. Raises ApiError."""
        items: list[Object] = []
        more = ""
        while True:
            query = {**selectors, "limit": str(PAGE), **({"continue": more} if more else {})}
            page = await self._json("GET", path, query=query)
            metadata = page.get("metadata") or {}
            items += page.get("items") or ()
            if len(items) > MOST_OBJECTS:
                raise ApiError(f"{path}: more than {MOST_OBJECTS} objects")
            more = metadata.get("continue") or ""
            if not more:
                return items, str(metadata.get("resourceVersion", ""))

    async def watch(
        self, path: str, version: str, seconds: int, **selectors: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (ADDED, MODIFIED, DELETED or BOOKMARK, object) until the server ends the stream.

        Raises Gone, or ApiError; also when the server is silent for longer than `seconds`.
        """
        query = {
            **selectors,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        async with self._stream(path, query, seconds + SLACK_S) as response:
            async for line in _lines(response):
                event = _decoded(line)
                found = event.get("object")
                if not isinstance(found, dict):
                    raise ApiError(f"{path}: an event without an object")
                if event.get("type") == "ERROR":
                    raise _refusal(int(found.get("code") or 0), found, path)
                yield str(event.get("type")), found

    async def apply_status(self, path: str, body: Object, manager: str) -> None:
        """Apply our fields of an object's status, and no others. Raises ApiError.

        Server-side apply: fields that we applied before and are not in `body` are removed.
        """
        query = {"fieldManager": manager, "force": "true"}
        kind = "application/apply-patch+yaml"
        await self._json("PATCH", f"{path}/status", query=query, body=body, content=kind)

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = "application/json",
    ) -> Object:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": content} if data is not None else {}
        try:
            response = await self._http.request(
                method,
                path,
                params=query,
                content=data,
                headers={**headers, **self._cluster.authorization()},
            )
        except (httpx.HTTPError, OSError) as error:
            raise ApiError(_unreachable(path, error)) from error
        found = _decoded(response.content)
        if response.is_error:
            raise _refusal(response.status_code, found, path)
        return found

    @asynccontextmanager
    async def _stream(
        self, path: str, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with self._http.stream(
                "GET",
                path,
                params=query,
                headers=self._cluster.authorization(),
                timeout=httpx.Timeout(REQUEST_S, read=silence_s),
            ) as response:
                if response.is_error:
                    body = _decoded(await response.aread())
                    raise _refusal(response.status_code, body, path)
                yield response
        except (httpx.HTTPError, OSError) as error:
            raise ApiError(_unreachable(path, error)) from error


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the lines of a stream; none may be longer than any object is."""
    rest = b""
    async for chunk in response.aiter_raw():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > LONGEST_LINE:
            raise ApiError(f"{response.url.path}: an event of more than {LONGEST_LINE} bytes")


def _decoded(data: bytes) -> Object:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {"message": data[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {}


def _refusal(status: int, body: Object, path: str) -> ApiError:
    text = f"{path}: {body.get('message') or 'refused'} ({status})"
    return Gone(text, status) if status == 410 else ApiError(text, status)


def _unreachable(path: str, error: Exception) -> str:
    return f"{path}: {str(error) or type(error).__name__}"
