"""Requests to an API server: list, watch, and writes. Stateless.

Every answer is checked first: `checked` lists the guarantees for an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx

from controller.kubernetes.cluster import Cluster
from controller.kubernetes.objects import Object

PAGE = 500
REQUEST_S = 30.0
SLACK_S = 10.0  # a stream may overrun the requested time by this
LONGEST_LINE = 4 << 20  # etcd takes no object over 1.5 MB
LONGEST_REPLY = 64 << 20  # of one page
MOST_PAGES = 200

FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError)
"""What a request may raise: also for a token file that is gone or no text, and a bad path."""

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # RFC 1123 subdomain
NAMESPACE = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?")  # RFC 1123 label, or none


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
            base_url=cluster.server,
            verify=cluster.context,
            timeout=timeout,
            limits=httpx.Limits(max_connections=None),  # a stream keeps one for good
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> Object:
        """Return one object. Raises ApiError; 404 if there is none."""
        return checked(await self._json("GET", path), path)

    async def document(self, path: str, **query: str) -> Object:
        """Return a document that is no object, unchecked. Raises ApiError."""
        return await self._json("GET", path, query=query)

    async def list(self, path: str, **selectors: str) -> tuple[list[Object], str]:
        """Return all objects of a collection, and its resource version. Raises ApiError."""
        items: list[Object] = []
        more = ""
        for _ in range(MOST_PAGES):
            query = {**selectors, "limit": str(PAGE), **({"continue": more} if more else {})}
            page = await self._json("GET", path, query=query)
            metadata, found = page.get("metadata"), page.get("items") or []
            if not isinstance(metadata, dict) or not isinstance(found, list):
                raise ApiError(f"{path}: not a list of objects")
            items += [checked(item, path) for item in found]
            more = str(metadata.get("continue") or "")
            if not more:
                return items, str(metadata.get("resourceVersion") or "")
        raise ApiError(f"{path}: more than {MOST_PAGES} pages")

    async def watch(
        self, path: str, version: str, seconds: int, opened: Callable[[], None], **selectors: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (ADDED, MODIFIED, DELETED or BOOKMARK, object) until the server ends the stream.

        It calls `opened` when the server accepted the request: a quiet server sends nothing else.
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
            opened()
            async for line in _lines(response):
                event = _decoded(line)
                kind, found = str(event.get("type")), event.get("object")
                if not isinstance(found, dict):
                    raise ApiError(f"{path}: an event without an object")
                if kind == "ERROR":
                    code = found.get("code")
                    raise _refusal(code if isinstance(code, int) else 0, found, path)
                yield kind, checked(found, path, named=kind != "BOOKMARK")

    async def apply(self, path: str, body: Object, manager: str) -> None:
        """Apply only our fields of an object; create it if absent. Raises ApiError.

        Server-side apply: fields that we applied before and are not in `body` are removed.
        """
        query = {"fieldManager": manager, "force": "true"}
        kind = "application/apply-patch+yaml"
        await self._json("PATCH", path, query=query, body=body, content=kind)

    async def apply_status(self, path: str, body: Object, manager: str) -> None:
        """Apply only our fields of an existing object's status. Raises ApiError."""
        await self.apply(f"{path}/status", body, manager)

    async def create(self, path: str, body: Object) -> Object:
        """Create an object in a collection, and return it. Raises ApiError; 409 if it exists."""
        return checked(await self._json("POST", path, body=body), path)

    async def replace(self, path: str, body: Object) -> Object:
        """Replace an object, and return it. Raises ApiError.

        With a `resourceVersion` the server refuses it (409) if the object changed meanwhile.
        """
        return checked(await self._json("PUT", path, body=body), path)

    async def merge(self, path: str, body: Object) -> Object:
        """Change the fields that `body` has (RFC 7386), and return the object. Raises ApiError."""
        content = "application/merge-patch+json"
        return checked(await self._json("PATCH", path, body=body, content=content), path)

    async def delete(self, path: str, uid: str) -> None:
        """Delete the object with this uid, not a later one of that name. Raises ApiError."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        await self._json("DELETE", path, body=options)

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
            async with self._http.stream(
                method,
                path,
                params=query,
                content=data,
                headers={**headers, **self._cluster.authorization()},
            ) as response:
                found = _decoded(await _read(response))
        except FAILURES as error:
            raise ApiError(_unreachable(path, error)) from error
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
                    body = _decoded(await _read(response))
                    raise _refusal(response.status_code, body, path)
                yield response
        except FAILURES as error:
            raise ApiError(_unreachable(path, error)) from error


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the lines of a stream; no line may be longer than the largest object."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > LONGEST_LINE:
            raise ApiError(f"{response.url.path}: an event of more than {LONGEST_LINE} bytes")


async def _read(response: httpx.Response) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > LONGEST_REPLY:
            raise ApiError(f"{response.url.path}: a reply of more than {LONGEST_REPLY} bytes")
    return bytes(data)


def checked(item: object, path: str, *, named: bool = True) -> Object:
    """Return an object if its names are valid and its fields have the expected types.

    Raises ApiError. Names become file paths and request paths. A bookmark has no name.
    """
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(metadata, dict):
        raise ApiError(f"{path}: an object without metadata")
    name, namespace = metadata.get("name"), metadata.get("namespace") or ""
    if named and not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ApiError(f"{path}: {str(name)[:80]!r} is not the name of an object")
    if not (isinstance(namespace, str) and NAMESPACE.fullmatch(namespace)):
        raise ApiError(f"{path}: {str(namespace)[:80]!r} is not a namespace")
    parts = [(metadata, p) for p in ("labels", "annotations")]
    parts += [(item, p) for p in ("spec", "data", "status")]
    for whole, part in parts:
        if not isinstance(whole.get(part) or {}, dict):
            raise ApiError(f"{path}: {part} of {name} is not a mapping")
    if not isinstance(metadata.get("generation") or 0, int):
        raise ApiError(f"{path}: generation of {name} is not a number")
    metadata.pop("managedFields", None)  # a record per node that wrote: large and unused
    return item


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
