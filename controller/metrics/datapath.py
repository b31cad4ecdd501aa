"""Ports and facts of the datapath as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from datapaths.base import Facts, FibUse, NodeStats, PortState

_PORTS: tuple[tuple[str, str, Callable[[PortState], int]], ...] = (
    ("rx_packets", "Packets that entered by a port.", lambda port: port.rx_packets),
    ("rx_bytes", "Bytes that entered by a port.", lambda port: port.rx_bytes),
    ("rx_dropped", "Packets that a port dropped on entry.", lambda port: port.rx_dropped),
    ("tx_packets", "Packets that left by a port.", lambda port: port.tx_packets),
    ("tx_bytes", "Bytes that left by a port.", lambda port: port.tx_bytes),
    ("tx_errors", "Packets that a port could not send.", lambda port: port.tx_errors),
)
_FIBS: tuple[tuple[str, str, Callable[[FibUse], int]], ...] = (
    ("routes", "Routes in a table of the datapath.", lambda fib: fib.used),
    ("max_routes", "Most routes that a table takes; 0 is any number.", lambda fib: fib.limit),
    ("blocks", "Second-level blocks of a table (DPDK: tbl8).", lambda fib: fib.blocks),
)
_NODES: tuple[tuple[str, str, Callable[[NodeStats], int]], ...] = (
    ("packets", "Packets that a node of the packet graph saw.", lambda node: node.packets),
    ("batches", "Calls of a node of the packet graph.", lambda node: node.batches),
    ("cycles", "CPU cycles in a node of the packet graph.", lambda node: node.cycles),
)


def ports(states: Sequence[PortState]) -> Iterator[Metric]:
    up = GaugeMetricFamily("dualpath_port_up", "Is a port up, with carrier?", labels=["port"])
    for port in states:
        up.add_metric([port.name], float(port.up))
    yield up
    for name, text, read in _PORTS:
        counter = CounterMetricFamily(f"dualpath_port_{name}", text, labels=["port"])
        for port in states:
            counter.add_metric([port.name], read(port))
        yield counter


def metrics_of(facts: Facts) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "dualpath_datapath_fact",
        "A fact that the datapath reports; always 1.",
        labels=["name", "value"],
    )
    for name, value in facts.values:
        info.add_metric([name, value], 1)
    yield info
    for name, text, read in _FIBS:
        gauge = GaugeMetricFamily(f"dualpath_fib_{name}", text, labels=["vrf", "family"])
        for fib in facts.fibs:
            gauge.add_metric([fib.vrf, "ipv4" if fib.family.width == 4 else "ipv6"], read(fib))
        yield gauge
    for name, text, read_node in _NODES:
        counter = CounterMetricFamily(f"dualpath_graph_{name}", text, labels=["node"])
        for node in facts.nodes:
            counter.add_metric([node.name], read_node(node))
        yield counter
