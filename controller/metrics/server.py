"""Prometheus metrics of the daemon.

The names are an interface: docs/METRICS.md lists them. A request reads the values from the state,
in the daemon's event loop; prometheus-client's own server would read them from a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from controller.metrics import datapath, frr, timing
from controller.metrics.http import MetricsServer
from datapaths.base import DatapathError, Facts, PortState
from dualpath.model.kinds import Kind
from dualpath.model.links import Port, Vni
from dualpath.model.routes import DEFAULT_VRF
from dualpath.model.view import KindCount, StateView, Status

PATIENCE_S = 2.0  # to the datapath
OPENMETRICS = "application/openmetrics-text"

_COUNTS: tuple[tuple[str, str, Callable[[KindCount], int]], ...] = (
    ("desired", "Rows that FRR or the intent wants in the datapath.", lambda c: c.desired),
    ("programmed", "Rows in the datapath.", lambda c: c.programmed),
    ("failed", "Rows that the datapath refused.", lambda c: c.failed),
    ("stale", "Rows kept although the FPM session has not repeated them.", lambda c: c.stale),
    (
        "unmanaged",
        "Rows that no datapath is given: connected and kernel routes, labels.",
        lambda c: c.unmanaged,
    ),
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
        yield from _hosts(status)
        yield from _planes(status)
        yield from _places(self._view)
        yield from frr.sessions(status.sessions)
        yield from frr.vnis(status.vnis)
        yield from timing.metrics_of(self._view.timing())
        yield _gauge("degraded", "Is something wanted that is not in force?", bool(status.degraded))
        by = GaugeMetricFamily(
            "dualpath_degraded_by", "Why it is degraded; always 1.", labels=["what"]
        )
        for what in status.degraded_by:
            by.add_metric([what], 1)
        yield by
        ready = GaugeMetricFamily(
            "dualpath_resource_ready", "Is a manifest resource in force?", labels=["kind", "name"]
        )
        for resource in status.resources:
            ready.add_metric([resource.kind, resource.name], float(resource.ready))
        yield ready

    def describe(self) -> list[Metric]:
        """Return nothing, because registering must not read the state."""
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
    released_at = status.stale_after
    yield _gauge("stale_release_time_seconds", "End of the hold; 0: none is set.", released_at)
    yield CounterMetricFamily(
        "dualpath_repaired_rows",
        "Rows restored after another program changed them.",
        status.repaired,
    )
    yield CounterMetricFamily(
        "dualpath_undecoded_messages",
        "Messages of zebra's that frr-bridge could not decode.",
        status.undecoded,
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
        "dualpath_neighbor_table_full", "Rows not added as it was full.", labels=["family"]
    )
    for table in status.neighbors:
        used.add_metric([table.family], table.entries)
        limit.add_metric([table.family], table.limit)
        full.add_metric([table.family], table.refused)
    yield from (used, limit, full)


def _hosts(status: Status) -> Iterator[Metric]:
    labels = ["vni", "kind"]
    announced = GaugeMetricFamily(
        "dualpath_local_hosts", "Local hosts announced to FRR.", labels=labels
    )
    left_out = GaugeMetricFamily(
        "dualpath_local_hosts_left_out", "Local hosts beyond --host-limit.", labels=labels
    )
    for some in status.hosts:
        announced.add_metric([str(some.vni), some.kind], some.announced)
        left_out.add_metric([str(some.vni), some.kind], some.left_out)
    yield from (announced, left_out)


def _planes(status: Status) -> Iterator[Metric]:
    """Yield empty families only, while there is one datapath."""
    role = GaugeMetricFamily(
        "dualpath_datapath_role", "Each of two datapaths; always 1.", labels=["datapath", "role"]
    )
    missing = GaugeMetricFamily(
        "dualpath_datapath_missing_rows",
        "Rows that one of two datapaths lacks, or was not yet rid of.",
        labels=["datapath"],
    )
    for plane in status.planes:
        role.add_metric([plane.name, plane.role], 1)
        missing.add_metric([plane.name], abs(plane.desired - plane.programmed))
    yield from (role, missing)


def _places(view: StateView) -> Iterator[Metric]:
    """Yield the VRF and VNI of each port, to join a tenant with its counters."""
    info = GaugeMetricFamily(
        "dualpath_port_info", "Where a port belongs; always 1.", labels=["port", "vrf", "vni"]
    )
    vnis = [row.record for row in view.records(Kind.VNI)]
    vrfs = {vni.vni: vni.vrf for vni in vnis if isinstance(vni, Vni)}
    for row in view.records(Kind.PORT):
        if isinstance(port := row.record, Port):
            vrf = (vrfs.get(port.vni, "") if port.vni else port.vrf) or DEFAULT_VRF
            info.add_metric([port.name, vrf, str(port.vni or "")], 1)
    yield info


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"dualpath_{name}", text, value)


class QueriedDatapath(Protocol):
    """The part of the datapath that metrics need. Both methods raise Unavailable."""

    async def ports(self) -> Sequence[PortState]: ...

    async def facts(self) -> Facts: ...


class DatapathCollector(Collector):
    """Ports and facts from the last `ask`; none if the datapath did not answer."""

    def __init__(self, datapath: QueriedDatapath) -> None:
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
        yield from datapath.metrics_of(self._facts)

    def describe(self) -> list[Metric]:
        return []


class Source:
    """Our metrics, those of the datapath, and those of the process (CPU, memory, descriptors)."""

    def __init__(self, view: StateView, asked: QueriedDatapath) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StatusCollector(view))
        self._datapath = DatapathCollector(asked)
        self._registry.register(self._datapath)
        ProcessCollector(namespace="dualpath", registry=self._registry)

    async def text(self, accept: str) -> tuple[bytes, str]:
        await self._datapath.ask()
        # Not `choose_encoder` of the library: a version that is no number raises TypeError there.
        form = openmetrics if OPENMETRICS in accept else exposition
        return form.generate_latest(self._registry), form.CONTENT_TYPE_LATEST


async def serve_metrics(view: StateView, asked: QueriedDatapath, listen: str) -> MetricsServer:
    """Serve metrics and probes on unix:/PATH or ADDRESS:PORT until closed. Raises MetricsError."""
    server = MetricsServer(Source(view, asked).text, view.not_ready, listen)
    await server.start()
    return server
