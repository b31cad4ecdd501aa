"""Prometheus metrics of the daemon, and the small HTTP server that hands them out.

The names are an interface: docs/API.md lists them. Values are read from the state when somebody
asks, in the daemon's event loop; prometheus-client's own server would read it from a thread.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from controller.metrics import datapath
from controller.model.view import KindCount, StateView, Status
from controller.rpc.listen import SOCKET_MODE, ListenError, prepare, unix_path
from datapaths.base import DatapathError, Facts, PortState

log = logging.getLogger(__name__)

CLIENTS = 32
REQUEST_MAX = 8192
REQUEST_TIMEOUT_S = 5.0
PATIENCE_S = 2.0  # with the datapath


class MetricsError(Exception):
    """Cannot listen; the text is one sentence."""


_COUNTS: tuple[tuple[str, str, Callable[[KindCount], int]], ...] = (
    ("desired", "Rows that FRR or intent want.", lambda count: count.desired),
    ("programmed", "Rows in the datapath.", lambda count: count.programmed),
    ("failed", "Rows that the datapath refused.", lambda count: count.failed),
    ("stale", "Rows kept although zebra's session has not repeated them.", lambda c: c.stale),
)


class StatusCollector(Collector):
    """Status as metrics."""

    def __init__(self, view: StateView) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        status = self._view.status()
        yield from _daemon(status)
        yield from _rows(status)
        yield from _neighbors(status)
        ready = GaugeMetricFamily(
            "dualpath_resource_ready", "Is a manifest resource in force?", labels=["kind", "name"]
        )
        for resource in status.resources:
            ready.add_metric([resource.kind, resource.name], float(resource.ready))
        yield ready

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not read the state."""
        return []


def _daemon(status: Status) -> Iterator[Metric]:
    labels = {
        "version": status.version,
        "datapath": status.datapath,
        "netns": status.netns,
        "frr_netns": status.frr_netns,
    }
    info = GaugeMetricFamily("dualpath_build_info", "What runs; always 1.", labels=list(labels))
    info.add_metric(list(labels.values()), 1)
    yield info
    yield _gauge("ready", "Does the daemon do its work?", status.ready)
    yield _gauge("start_time_seconds", "When it was started, since the epoch.", status.started_at)
    connected = status.bridge == "connected"
    yield _gauge("bridge_connected", "Is frr-bridge connected?", connected)
    yield _gauge("session", "Number of zebra's FPM session, 0 before the first.", status.session)
    state = GaugeMetricFamily(
        "dualpath_session_state", "State of that session; always 1.", labels=["state"]
    )
    state.add_metric([status.session_state], 1)
    yield state
    held = status.stale_after
    yield _gauge("stale_release_time_seconds", "When held rows go, 0 is never.", held)
    yield CounterMetricFamily(
        "dualpath_repaired_rows", "Rows put back after somebody changed them.", status.repaired
    )


def _rows(status: Status) -> Iterator[Metric]:
    for name, text, read in _COUNTS:
        rows = GaugeMetricFamily(f"dualpath_{name}_rows", text, labels=["kind"])
        for count in status.counts:
            rows.add_metric([count.kind.name.lower()], read(count))
        yield rows


def _neighbors(status: Status) -> Iterator[Metric]:
    used = GaugeMetricFamily(
        "dualpath_neighbor_table_rows", "Rows of the machine's neighbor table.", labels=["family"]
    )
    limit = GaugeMetricFamily(
        "dualpath_neighbor_table_max_rows", "Most rows it takes (gc_thresh3).", labels=["family"]
    )
    full = CounterMetricFamily(
        "dualpath_neighbor_table_full", "Rows not made as it was full.", labels=["family"]
    )
    for table in status.neighbors:
        used.add_metric([table.family], table.entries)
        limit.add_metric([table.family], table.limit)
        full.add_metric([table.family], table.refused)
    yield from (used, limit, full)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"dualpath_{name}", text, value)


class Asked(Protocol):
    """What is asked of the datapath itself. Both raise Unavailable."""

    async def ports(self) -> Sequence[PortState]: ...

    async def facts(self) -> Facts: ...


class DatapathCollector(Collector):
    """What the datapath said when it was last asked. Silence has no values, not old ones."""

    def __init__(self, datapath: Asked) -> None:
        self._datapath = datapath
        self._ports: Sequence[PortState] = ()
        self._facts = Facts()

    async def ask(self) -> None:
        self._ports, self._facts = (), Facts()
        with suppress(DatapathError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                self._ports, self._facts = (
                    await self._datapath.ports(),
                    await self._datapath.facts(),
                )

    def collect(self) -> Iterator[Metric]:
        yield from datapath.ports(self._ports)
        yield from datapath.facts(self._facts)

    def describe(self) -> list[Metric]:
        return []


class Source:
    """Our metrics, those of the datapath, and those of the process (CPU, memory, descriptors)."""

    def __init__(self, view: StateView, asked: Asked) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StatusCollector(view))
        self._datapath = DatapathCollector(asked)
        self._registry.register(self._datapath)
        ProcessCollector(namespace="dualpath", registry=self._registry)

    async def text(self) -> bytes:
        await self._datapath.ask()
        return generate_latest(self._registry)


async def serve_metrics(view: StateView, asked: Asked, listen: str) -> asyncio.Server:
    """Serve `GET /metrics` on unix:/PATH or ADDRESS:PORT until closed. Raises MetricsError."""
    server = _Server(Source(view, asked))
    try:
        if path := unix_path(listen):
            return await _listen_unix(server, path)
        host, port = _split(listen)
        if not _is_loopback(host):
            log.warning("metrics: %s is no loopback address: whoever reaches it reads them", listen)
        return await asyncio.start_server(server.answer, host, port, limit=REQUEST_MAX)
    except OSError as error:
        raise MetricsError(f"metrics: cannot listen on {listen}: {error.strerror}") from None
    except ListenError as error:
        raise MetricsError(f"metrics: {error}") from None


async def _listen_unix(server: _Server, path: Path) -> asyncio.Server:
    prepare(path)
    umask = os.umask(0o777 & ~SOCKET_MODE)  # so that it never exists with a wider mode
    try:
        return await asyncio.start_unix_server(server.answer, path, limit=REQUEST_MAX)
    finally:
        os.umask(umask)


def _split(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise MetricsError(f"metrics: {listen!r} is neither unix:/PATH nor ADDRESS:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server:
    """Answers a few clients at a time; a client beyond them is closed at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._clients = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close: HTTP/1.0 is all that a scrape needs."""
        if self._clients >= CLIENTS:
            writer.transport.abort()
            return
        self._clients += 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _response(self._source, head))
                writer.close()
                await writer.wait_closed()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass  # not a scraper, or one that went away
        finally:
            self._clients -= 1
            writer.transport.abort()  # one that does not read keeps neither memory nor descriptor


async def _response(source: Source, head: bytes) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method != b"GET" or path != b"/metrics":
        return _http("404 Not Found", "text/plain; charset=utf-8", b"only GET /metrics\n")
    return _http("200 OK", CONTENT_TYPE_LATEST, await source.text())


def _http(status: str, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.0 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
