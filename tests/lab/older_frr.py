"""The standard topology with an older FRR on the PEs, and 10.7 on the spine."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.fabric import STANDARD, Fabric, Options
from tests.lab.frr import Settings, Version
from tests.lab.frr_programs import installed
from tests.lab.ping import flows
from tests.lab.scenario import Scenario


@contextmanager
def started(lab: Scenario, version: Version, overlay_s: float) -> Iterator[Fabric]:
    """Run the topology until all hosts reach one another, `overlay_s` at the most, and it is live.

    No --asic-offload: zebra 10.3 drops every acknowledgement, so its routes would stay queued.
    """
    fabric = Fabric(lab, STANDARD, Options(frr=Settings(version=version, zebra=("-K20",))))
    for spine in fabric.spines:
        spine.start()
    with installed(version):
        for pe in fabric.pes:
            pe.start()
        for pe in fabric.pes:
            pe.attach_hosts()
        fabric.wait_for_overlay(overlay_s)
        fabric.wait_until_live()
        yield fabric


def longest_gap_s(fabric: Fabric) -> float:
    """Kill the first PE's FRR and start it again; return for how long pings got no answer."""
    pe1, pe2 = fabric.pes
    targets = (pe2.routed.v4, pe2.routed.v6, pe2.bridged.v4, pe2.bridged.v6)
    sources = (pe1.routed.namespace,) * 2 + (pe1.bridged.namespace,) * 2
    with flows(*zip(sources, targets, strict=True)) as results:
        pe1.router.kill()
        pe1.router.start()
        fabric.wait_for_bgp()
        fabric.wait_until_live(240.0)
    return max(result.longest_gap_s for result in results)
