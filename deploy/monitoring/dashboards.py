"""Writes the Grafana dashboards: `python -m deploy.monitoring.dashboards`.

The three files in dashboards/ are what people import; this module is what they are reviewed as.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "dashboards"
WIDTH, HEIGHT = 24, 8
SOURCE = {"type": "prometheus", "uid": "${source}"}
NODE = 'instance=~"$node"'
TENANT = 'vrf=~"$vrf"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `queries` are pairs of PromQL and legend."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"  # or "stat", "table"
    columns: int = 3  # panels of this width in a row
    good: float | None = None  # a stat is green at this value, and red otherwise


@dataclass(frozen=True, slots=True)
class Dashboard:
    name: str
    title: str
    panels: Sequence[Panel]
    variables: Sequence[tuple[str, str]] = field(default=())  # name, query of its values


def rate(metric: str, where: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def quantile(share: float, metric: str, where: str, by: str) -> str:
    buckets = rate(f"{metric}_bucket", where, f"{by}, le" if by else "le")
    return f"histogram_quantile({share}, {buckets})"


def of_tenant(metric: str) -> str:
    """Return the rate of a port's counter, for the ports of a VRF."""
    inside = f"on (instance, port) group_left (vrf) dualpath_port_info{{{TENANT}}}"
    return f"rate({metric}[$__rate_interval]) * {inside}"


NODES = ("node", "label_values(dualpath_build_info, instance)")
TENANTS = ("vrf", 'label_values(dualpath_vni_up{vrf!=""}, vrf)')

FLEET = Dashboard(
    "fleet",
    "Dualpath: fleet",
    (
        Panel("Nodes", [("count(dualpath_build_info)", "")], kind="stat", columns=6),
        Panel(
            "Not ready", [("count(dualpath_ready == 0) or vector(0)", "")], "short", "stat", 6, 0
        ),
        Panel(
            "Degraded", [("count(dualpath_degraded == 1) or vector(0)", "")], "short", "stat", 6, 0
        ),
        Panel(
            "Fabric sessions down",
            [('count(dualpath_bgp_session_up{vrf="default"} == 0) or vector(0)', "")],
            "short",
            "stat",
            6,
            0,
        ),
        Panel(
            "VNIs down", [("count(dualpath_vni_up == 0) or vector(0)", "")], "short", "stat", 6, 0
        ),
        Panel("Rows refused", [("sum(dualpath_failed_rows)", "")], "short", "stat", 6, 0),
        Panel("Versions", [("dualpath_build_info", "")], kind="table", columns=1),
        Panel(
            "Behind FRR",
            [("topk(10, dualpath_behind_seconds)", "{{instance}}")],
            "s",
        ),
        Panel(
            "Convergence, 9 of 10 within",
            [(quantile(0.9, "dualpath_convergence_seconds", "", "instance"), "{{instance}}")],
            "s",
        ),
        Panel("Routes", [('dualpath_programmed_rows{kind="route"}', "{{instance}}")]),
        Panel(
            "Repairs per second",
            [(rate("dualpath_repaired_rows_total", "", "instance"), "{{instance}}")],
        ),
        Panel(
            "Switches of the datapath in an hour",
            [("sum by (outcome) (increase(dualpath_switch_seconds_count[1h]))", "{{outcome}}")],
        ),
        Panel(
            "Neighbor table, share of gc_thresh3",
            [
                (
                    "dualpath_neighbor_table_rows / dualpath_neighbor_table_max_rows",
                    "{{instance}} {{family}}",
                )
            ],
            "percentunit",
        ),
    ),
)

NODE_PAGE = Dashboard(
    "node",
    "Dualpath: node",
    (
        Panel("Ready", [(f"dualpath_ready{{{NODE}}}", "")], "short", "stat", 6, 1),
        Panel(
            "frr-bridge connected",
            [(f"dualpath_bridge_connected{{{NODE}}}", "")],
            "short",
            "stat",
            6,
            1,
        ),
        Panel("FPM session", [(f"dualpath_session{{{NODE}}}", "")], kind="stat", columns=6),
        Panel(
            "Messages not decoded",
            [(f"dualpath_undecoded_messages_total{{{NODE}}}", "")],
            "short",
            "stat",
            6,
            0,
        ),
        Panel("Rows held", [(f"sum(dualpath_stale_rows{{{NODE}}})", "")], "short", "stat", 6, 0),
        Panel(
            "Up since",
            [(f"dualpath_start_time_seconds{{{NODE}}} * 1000", "")],
            "dateTimeFromNow",
            "stat",
            6,
        ),
        Panel(
            "Desired and programmed",
            [
                (f"dualpath_desired_rows{{{NODE}}}", "{{kind}} desired"),
                (f"dualpath_programmed_rows{{{NODE}}}", "{{kind}} programmed"),
            ],
        ),
        Panel(
            "Refused and unmanaged",
            [
                (f"dualpath_failed_rows{{{NODE}}}", "{{kind}} refused"),
                (f"dualpath_unmanaged_rows{{{NODE}}}", "{{kind}} unmanaged"),
            ],
        ),
        Panel(
            "Convergence",
            [
                (quantile(0.5, "dualpath_convergence_seconds", NODE, ""), "half within"),
                (quantile(0.99, "dualpath_convergence_seconds", NODE, ""), "99 of 100 within"),
                (f"dualpath_behind_seconds{{{NODE}}}", "behind now"),
            ],
            "s",
        ),
        Panel(
            "BGP sessions",
            [(f"dualpath_bgp_session_up{{{NODE}}}", "{{vrf}} {{peer}}")],
            kind="table",
            columns=2,
        ),
        Panel(
            "BFD sessions",
            [(f"dualpath_bfd_session_up{{{NODE}}}", "{{vrf}} {{peer}}")],
            kind="table",
            columns=2,
        ),
        Panel(
            "Prefixes",
            [
                (f"dualpath_bgp_received_prefixes{{{NODE}}}", "from {{vrf}} {{peer}}"),
                (f"dualpath_bgp_sent_prefixes{{{NODE}}}", "to {{vrf}} {{peer}}"),
            ],
        ),
        Panel(
            "Bits per second",
            [
                (f"8 * {rate('dualpath_port_rx_bytes_total', NODE, 'port')}", "{{port}} in"),
                (f"8 * {rate('dualpath_port_tx_bytes_total', NODE, 'port')}", "{{port}} out"),
            ],
            "bps",
        ),
        Panel(
            "Packets lost at ports, per second",
            [
                (rate("dualpath_port_rx_dropped_total", NODE, "port"), "{{port}} dropped"),
                (rate("dualpath_port_tx_errors_total", NODE, "port"), "{{port}} not sent"),
            ],
            "pps",
        ),
        Panel(
            "Cycles per packet, by node of the graph",
            [
                (
                    f"{rate('dualpath_graph_cycles_total', NODE, 'node')} / "
                    f"{rate('dualpath_graph_packets_total', NODE, 'node')}",
                    "{{node}}",
                )
            ],
        ),
        Panel(
            "CPU of the controller",
            [(rate("dualpath_process_cpu_seconds_total", NODE, "instance"), "cores")],
        ),
        Panel(
            "Memory of the controller",
            [(f"dualpath_process_resident_memory_bytes{{{NODE}}}", "resident")],
            "bytes",
        ),
    ),
    (NODES,),
)

TENANT_PAGE = Dashboard(
    "tenant",
    "Dualpath: tenant",
    (
        Panel(
            "VNIs", [(f"dualpath_vni_up{{{TENANT}}}", "{{instance}} {{vni}}")], "short", "table", 2
        ),
        Panel(
            "BGP sessions of hosts",
            [(f"dualpath_bgp_session_up{{{TENANT}}}", "{{instance}} {{peer}}")],
            kind="table",
            columns=2,
        ),
        *(
            Panel(
                title,
                [
                    (
                        f"{metric} * on (instance, vni) group_left (vrf) "
                        f"dualpath_vni_up{{{TENANT}}}",
                        "{{instance}} {{vni}}",
                    )
                ],
            )
            for title, metric in (
                ("MACs", "dualpath_vni_macs"),
                ("Addresses of hosts", "dualpath_vni_neighbors"),
                ("Remote VTEPs", "dualpath_vni_vteps"),
            )
        ),
        Panel(
            "Prefixes of hosts",
            [(f"dualpath_bgp_received_prefixes{{{TENANT}}}", "{{instance}} {{peer}}")],
        ),
        Panel(
            "Bits per second at host legs",
            [
                (f"8 * {of_tenant('dualpath_port_rx_bytes_total')}", "{{instance}} {{port}} in"),
                (f"8 * {of_tenant('dualpath_port_tx_bytes_total')}", "{{instance}} {{port}} out"),
            ],
            "bps",
        ),
        Panel(
            "Hosts above the limit",
            [("dualpath_local_hosts_left_out > 0", "{{instance}} {{vni}} {{kind}}")],
        ),
    ),
    (TENANTS,),
)

DASHBOARDS = (FLEET, NODE_PAGE, TENANT_PAGE)


def rendered(dashboard: Dashboard) -> str:
    """Return the file of a dashboard."""
    page = {
        "uid": f"dualpath-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["dualpath"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source(), *(_variable(*it) for it in dashboard.variables)]},
        "panels": _placed(dashboard.panels),
    }
    return json.dumps(page, indent=1) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
    }


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    placed, x, y, tall = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        width = WIDTH // panel.columns
        height = HEIGHT // 2 if panel.kind == "stat" else HEIGHT
        if x + width > WIDTH:
            x, y, tall = 0, y + tall, 0
        tall = max(tall, height)
        placed.append(_panel(number, panel, {"x": x, "y": y, "w": width, "h": height}))
        x += width
    return placed


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind != "timeseries"
    made = {
        "id": number,
        "title": panel.title,
        "type": panel.kind,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit} | _colors(panel), "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": legend,
                "instant": instant,
                "range": not instant,
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for at, (expr, legend) in enumerate(panel.queries)
        ],
    }
    return made


def _colors(panel: Panel) -> dict[str, Any]:
    if panel.good is None:
        return {}
    above = "red" if panel.good == 0 else "green"
    below = "green" if panel.good == 0 else "red"
    steps = [{"color": below, "value": None}, {"color": above, "value": 1}]
    return {"thresholds": {"mode": "absolute", "steps": steps}}


def main() -> None:
    HERE.mkdir(exist_ok=True)
    for dashboard in DASHBOARDS:
        (HERE / f"{dashboard.name}.json").write_text(rendered(dashboard))


if __name__ == "__main__":
    main()
