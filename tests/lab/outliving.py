"""What survives the end of a daemon: packets always, and the programmed rows."""

import contextlib
import time
from collections.abc import Iterator

from tests.lab.fabric import Fabric, Pe
from tests.lab.ping import flows
from tests.lab.waiting import wait_until

BACK_S = 60.0


def state_of(pe: Pe) -> str:
    return str(pe.dualpath_json("status")["session_state"])


def comes_back(fabric: Fabric, pe: Pe) -> None:
    """Wait until a PE has recovered."""
    time.sleep(1)
    fabric.wait_for_bgp(BACK_S)
    wait_until(pe.is_live, f"{pe.name} live", BACK_S, every_s=0.5)


@contextlib.contextmanager
def nothing_lost(fabric: Fabric) -> Iterator[None]:
    """Send 100 pings/s over the L3VNI and the L2VNI, in both families: none may be lost."""
    pe1, pe2 = fabric.pes
    with flows(
        (pe1.routed.namespace, pe2.routed.v4),
        (pe2.routed.namespace, pe1.routed.v6),
        (pe1.bridged.namespace, pe2.bridged.v4),
        (pe2.bridged.namespace, pe1.bridged.v6),
    ) as results:
        yield
    for result in results:
        assert result.lost == 0, result
        assert result.transmitted > 100, result


@contextlib.contextmanager
def nothing_rewritten(pe: Pe) -> Iterator[None]:
    """Check that no route and no nexthop of the forwarding namespace changes meanwhile."""
    before = pe.view.tables()
    with pe.view.changes() as changes:
        yield
        assert changes() == []
    assert pe.view.tables() == before
