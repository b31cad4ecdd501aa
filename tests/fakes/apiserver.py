"""A small API server: list, watch, write, schemas. Real HTTP on loopback."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections import defaultdict
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Object = dict[str, Any]


class FakeApiServer:
    """Collections of objects by path, and every change since `compacted`."""

    def __init__(self) -> None:
        self.version = 10
        self.compacted = 0  # changes up to this version are forgotten
        self.objects: dict[str, dict[str, Object]] = defaultdict(dict)
        self.requests: list[str] = []
        self.token = ""  # without it every request is refused; "" takes any
        self.refuse = 0  # the status with which every request is answered
        self.forbidden = ""  # the collection that may not be read
        self.line = b""  # the only line of every stream
        self.silent = False  # no request is answered at all
        self.applied: dict[str, dict[str, Object]] = defaultdict(dict)  # path -> manager -> body
        self.absent: set[str] = set()  # collections of kinds that are not served
        self.merged: set[str] = set()  # collections whose objects are replaced by applied ones
        self.documents: dict[str, Object] = {}  # by path, whatever the query
        self._history: list[tuple[int, str, str, Object]] = []
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> FakeApiServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    @property
    def address(self) -> str:
        assert self._server
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        await self.cut()
        await self._server.wait_closed()
        collect_connections()

    async def cut(self) -> None:
        """End every connection."""
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def put(self, collection: str, name: str, *, namespace: str = "", **rest: Any) -> None:  # noqa: ANN401
        """Create an object, or replace it."""
        self.version += 1
        before = self.objects[collection].get(f"{namespace}/{name}")
        metadata = {"name": name, "resourceVersion": str(self.version), **rest.pop("metadata", {})}
        if namespace:
            metadata["namespace"] = namespace
        item = {"metadata": metadata, **rest}
        self.objects[collection][f"{namespace}/{name}"] = item
        await self._note("MODIFIED" if before else "ADDED", collection, item)

    async def delete(self, collection: str, name: str, *, namespace: str = "") -> None:
        self.version += 1
        item = self.objects[collection].pop(f"{namespace}/{name}")
        item["metadata"]["resourceVersion"] = str(self.version)
        await self._note("DELETED", collection, item)

    async def compact(self) -> None:
        """Forget every change so far, and end the streams."""
        self.version += 1
        self.compacted = self.version
        await self.cut()

    async def _note(self, event: str, collection: str, item: Object) -> None:
        self._history.append((self.version, event, collection, json.loads(json.dumps(item))))
        async with self._news:
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._request(reader, writer)
        finally:
            self._clients.discard(task)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n", 1)[0].split()
        lines = (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value for name, value in lines}
        length = int(headers.get("content-length", "0"))
        body = await reader.readexactly(length)
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        self.requests.append(f"{method} {url.path}{' watch' if 'watch' in query else ''}")
        if self.silent:
            await asyncio.Event().wait()
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            _answer(writer, 401, {"message": "Unauthorized", "code": 401})
            await writer.drain()
            return
        refuse = 403 if url.path == self.forbidden else self.refuse
        if refuse:
            _answer(writer, refuse, {"message": "refused here", "code": refuse})
        elif url.path.startswith("/openapi"):
            document = self.documents.get(url.path)
            _answer(writer, 200 if document else 404, document or {"message": "none"})
        elif url.path in self.absent or url.path.rpartition("/")[0] in self.absent:
            _answer(writer, 404, {"message": "no such kind", "code": 404})
        elif method == "PATCH" and "fieldManager" not in query:
            _answer(writer, *await self._merge(url.path, json.loads(body)))
        elif method == "PATCH":
            self.applied[url.path][query["fieldManager"]] = json.loads(body)
            await self._apply(url.path, json.loads(body))
            _answer(writer, 200, {})
        elif method in ("POST", "PUT", "DELETE"):
            _answer(writer, *await self._write(method, url.path, json.loads(body)))
        elif "watch" in query:
            await self._watch(writer, url.path, query)
        else:
            self._list(writer, url.path, query)
        await writer.drain()

    async def _apply(self, path: str, body: Object) -> None:
        """Make an object of what is applied, or note its status; `applied` has both."""
        whole, _, status = path.partition("/status")
        collection, _, name = whole.rpartition("/")
        namespace = body["metadata"].get("namespace", "")
        collection = collection if collection in self.merged else ""
        before = self.objects[collection].get(f"{namespace}/{name}", {})
        if collection and (before or not status):
            metadata = {k: v for k, v in body["metadata"].items() if k not in ("name", "namespace")}
            metadata = {**before.get("metadata", {}), **metadata}
            metadata.pop("resourceVersion", None)
            told = body.get("status") or before.get("status") or {}
            await self.put(collection, name, namespace=namespace, metadata=metadata, status=told)

    async def _merge(self, path: str, body: Object) -> tuple[int, Object]:
        """Apply a merge patch, with the resource version as a precondition if it has one."""
        collection, _, name = path.rpartition("/")
        namespace = path.partition("/namespaces/")[2].split("/")[0]
        found = self.objects[collection].get(f"{namespace}/{name}")
        if not found:
            return 404, {"message": "not found", "code": 404}
        version = body.get("metadata", {}).get("resourceVersion")
        if version not in (None, found["metadata"]["resourceVersion"]):
            return 409, {"message": "changed meanwhile", "code": 409}
        made = _merged(found, body)
        metadata = {k: v for k, v in made.pop("metadata").items() if k != "resourceVersion"}
        name, namespace = metadata.pop("name"), metadata.pop("namespace", "")
        await self.put(collection, name, namespace=namespace, metadata=metadata, **made)
        return 200, self.objects[collection][f"{namespace}/{name}"]

    async def _write(self, method: str, path: str, body: Object) -> tuple[int, Object]:
        collection, _, name = path.rpartition("/")
        if method == "POST":
            collection, name = path, body["metadata"]["name"]
        namespace = path.partition("/namespaces/")[2].split("/")[0]
        found = self.objects[collection].get(f"{namespace}/{name}")
        if method == "POST" and found:
            return 409, {"message": "already exists", "code": 409}
        if method != "POST" and not found:
            return 404, {"message": "not found", "code": 404}
        if method == "DELETE":
            await self.delete(collection, name, namespace=namespace)
            return 200, {}
        version = body["metadata"].pop("resourceVersion", None)
        if found and version not in (None, found["metadata"]["resourceVersion"]):
            return 409, {"message": "changed meanwhile", "code": 409}
        rest = {k: v for k, v in body.items() if k not in ("metadata", "status")}
        metadata = {k: v for k, v in body["metadata"].items() if k not in ("name", "namespace")}
        await self.put(collection, name, namespace=namespace, metadata=metadata, **rest)
        return 200, self.objects[collection][f"{namespace}/{name}"]

    def _list(self, writer: asyncio.StreamWriter, path: str, query: dict[str, str]) -> None:
        collection, _, name = path.rpartition("/")
        namespace = path.partition("/namespaces/")[2].split("/")[0]
        if found := self.objects.get(collection, {}).get(f"{namespace}/{name}"):
            _answer(writer, 200, found)
            return
        if "limit" not in query:
            _answer(writer, 404, {"message": "not found", "code": 404})
            return
        items = [o for o in self.objects[path].values() if _selected(o, query)]
        start, limit = int(query.get("continue", "0")), int(query["limit"])
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        _answer(writer, 200, {"metadata": metadata, "items": items[start : start + limit]})

    async def _watch(self, writer: asyncio.StreamWriter, path: str, query: dict[str, str]) -> None:
        version = int(query["resourceVersion"])
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        if self.line:
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.line), self.line))
            return
        if version < self.compacted:
            _event(writer, "ERROR", {"code": 410, "message": "too old resource version"})
            writer.write(b"0\r\n\r\n")
            return
        seen = 0
        while True:
            for number, event, collection, item in self._history[seen:]:
                seen += 1
                if number > version and collection == path and _selected(item, query):
                    _event(writer, event, item)
            await writer.drain()
            async with self._news:
                if seen == len(self._history):
                    await self._news.wait()


def _merged(before: Object, patch: Object) -> Object:
    """Apply a merge patch (RFC 7386)."""
    made = {name: value for name, value in before.items() if patch.get(name, "") is not None}
    for name, value in patch.items():
        if isinstance(value, dict):
            inner = made.get(name)
            made[name] = _merged(inner if isinstance(inner, dict) else {}, value)
        elif value is not None:
            made[name] = value
    return made


def _selected(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels") or {}
    label = query.get("labelSelector", "")
    if label.startswith("!") and label[1:] in labels:
        return False
    if "=" in label and labels.get(label.partition("=")[0]) != label.partition("=")[2]:
        return False
    field, _, value = query.get("fieldSelector", "").partition("=")
    where, _, name = field.rpartition(".")
    return not field or (item["metadata"] if where else item).get(name) == value


def _answer(writer: asyncio.StreamWriter, status: int, value: Object) -> None:
    data = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} Answer\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)


def _event(writer: asyncio.StreamWriter, event: str, item: Object) -> None:
    data = json.dumps({"type": event, "object": item}).encode() + b"\n"
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def collect_connections() -> None:
    """Collect the connections that httpcore does not close: their opening was cancelled.

    Collected later they would be errors of a test that has nothing to do with them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
