from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.metrics.server import MetricsError, serve_metrics
from controller.model.view import ResourceStatus
from tests.fakes.view import MemoryView, fabric


async def scrape(view: MemoryView, request: str) -> str:
    server = await serve_metrics(view, view.datapath, "127.0.0.1:0")
    async with server:
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request.encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    return answer


async def test_the_state_is_shown_as_metrics() -> None:
    view = fabric()
    broken = ResourceStatus("L3VNI", "red", False, "ValidationFailed")
    view.state = replace(view.state, repaired=5, resources=(broken,))
    answer = await scrape(view, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition("\r\n\r\n")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for metric in text_string_to_metric_families(body)
        for sample in metric.samples
    }
    assert head.startswith("HTTP/1.0 200")
    assert samples["dualpath_ready",] == 1
    assert samples["dualpath_repaired_rows_total",] == 5
    assert samples["dualpath_failed_rows", "route"] == 1
    assert samples["dualpath_resource_ready", "L3VNI", "red"] == 0
    assert samples["dualpath_session_state", "live"] == 1
    assert samples["dualpath_port_rx_bytes_total", "eth1"] == 1000
    assert samples["dualpath_fib_max_routes", "ipv4", "red"] == 65536
    assert samples["dualpath_graph_cycles_total", "ip_input"] == 5000
    assert samples["dualpath_datapath_fact", "13", "api version"] == 1


async def test_a_silent_datapath_has_no_values() -> None:
    view = fabric()
    view.unavailable = "gone"
    answer = await scrape(view, "GET /metrics HTTP/1.1\r\n\r\n")
    assert "dualpath_port_rx_bytes_total{" not in answer
    assert "dualpath_ready 1.0" in answer


@pytest.mark.parametrize(
    "request_", ["GET / HTTP/1.1\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", "\r\n\r\n"]
)
async def test_anything_else_is_not_found(request_: str) -> None:
    assert (await scrape(fabric(), request_)).startswith("HTTP/1.0 404")


async def test_a_request_without_end_is_dropped() -> None:
    assert await scrape(fabric(), "x" * 20000) == ""


@pytest.mark.parametrize("listen", ["", ":9100", "127.0.0.1", "127.0.0.1:x", "192.0.2.1:9100"])
async def test_an_address_that_cannot_be_used_is_refused(listen: str) -> None:
    view = fabric()
    with pytest.raises(MetricsError):
        await serve_metrics(view, view.datapath, listen)
