"""Metrics of a daemon that has a value for every family."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from controller.metrics.server import Source
from dualpath.model.view import (
    BgpSession,
    FrrVni,
    Histogram,
    HostCount,
    NeighborTable,
    PlaneStatus,
    ResourceStatus,
    Role,
    Timing,
)
from tests.fakes.view import NOW, MemoryView, fabric

TOOK = Histogram((0.01, 1.0), (3, 4, 5), 12.5)
LABELS_OF_SAMPLES = {"le"}


def full_view() -> MemoryView:
    view = fabric()
    view.timed = Timing(2.5, TOOK, (("done", TOOK), ("rolled_back", TOOK)))
    view.state = replace(
        view.state,
        repaired=5,
        undecoded=3,
        degraded="1 of 1 resources are not in force: L3VNI red",
        degraded_by=("resources",),
        resources=(ResourceStatus("L3VNI", "red", False, "ValidationFailed"),),
        neighbors=(NeighborTable("ipv6", entries=900, limit=1024, refused=7),),
        hosts=(HostCount(100, "ipv6", announced=8192, left_out=11808),),
        planes=(PlaneStatus("kernel", Role.ACTIVE, 9, 9), PlaneStatus("dpdk", Role.STANDBY, 9, 7)),
        sessions=(
            BgpSession("default", "192.168.1.0", 65000, "Established", NOW, 7, 5, bfd="Up"),
            BgpSession("red", "10.1.0.3", 64901, "Active", bfd="Down"),
            BgpSession("red", "10.1.0.4", 64902, "Active"),
        ),
        vnis=(FrrVni(100, 3, "red", True, 1, 1, 0), FrrVni(110, 2, "red", False, 4, 2, 1)),
    )
    return view


async def exposition(view: MemoryView, accept: str = "") -> str:
    """Return what a scrape gets."""
    body, _ = await Source(view, view.datapath).text(accept)
    return body.decode()


async def live_metrics() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return type and labels of every metric of ours, by the name that a query uses.

    The metrics of the process are the library's.
    """
    found = {}
    for family in text_string_to_metric_families(await exposition(full_view())):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels}
        if not name.startswith("dualpath_process_"):
            found[name] = (family.type, tuple(sorted(labels - LABELS_OF_SAMPLES)))
    return found
