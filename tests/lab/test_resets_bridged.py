"""What a reset of a BGP session costs, before and after FRR has caught up (decision 0065).

An L2VNI alone, so it runs straight in namespaces: `python -m tests.lab run --mode straight
tests/lab/test_resets_bridged.py -m "lab and long"`.
"""

import re
import time
from collections.abc import Callable

import pytest

from frr_bridge.coalesce import SHORT_MS, STEADY_S
from frr_bridge.frr_config import COALESCE_MS
from tests.lab import bridged
from tests.lab.fabric import Fabric, Pe
from tests.lab.ping import FlowResult, flows
from tests.lab.plan import Topology
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

LONG, SHORT = {COALESCE_MS}, {SHORT_MS}
SHORTENED_S = STEADY_S + 30.0
RESET_S = 10.0  # until traffic flows again, with the long value too


def values(pe: Pe) -> set[int]:
    """Return the values of `coalesce-time` that FRR has."""
    text = pe.router.vtysh("show running-config")
    return {int(value) for value in re.findall(r"^ coalesce-time (\d+)", text, re.MULTILINE)}


def wait_for_short(*pes: Pe) -> None:
    for pe in pes:
        wait_until(lambda pe=pe: values(pe) == SHORT, f"{pe.name} has caught up", SHORTENED_S)  # type: ignore[misc]


def reset(fabric: Fabric) -> list[FlowResult]:
    """Reset the spine's sessions, and return what pings both ways lost."""
    one, two = fabric.pes[:2]
    with flows(
        (one.bridged.namespace, two.bridged.v4), (two.bridged.namespace, one.bridged.v6)
    ) as results:
        time.sleep(1.0)
        fabric.spines[0].vtysh("clear bgp *")
        time.sleep(RESET_S)
        fabric.wait_for_bgp()
        one.bridged.wait_for_ping(two.bridged.v4)
    return results


def test_reset_session_has_its_routes_back_sooner_once_frr_has_caught_up(
    lab: Scenario, say: Callable[[str], None]
) -> None:
    fabric = bridged.started(lab, Topology())
    one, two = fabric.pes[:2]
    assert (values(one), values(two)) == (LONG, LONG)
    before = reset(fabric)
    say(f"{COALESCE_MS} ms: " + "; ".join(map(str, before)))
    wait_for_short(one, two)
    after = reset(fabric)
    say(f"{SHORT_MS} ms: " + "; ".join(map(str, after)))
    gap_s = max(flow.lost_for_s for flow in after)
    assert gap_s < max(flow.lost_for_s for flow in before) - 2.0


def test_frr_starts_with_the_long_value_again_and_loses_nothing(lab: Scenario) -> None:
    fabric = bridged.started(lab, Topology())
    one, two = fabric.pes[:2]
    wait_for_short(one)
    pairs = (one.bridged.namespace, two.bridged.v4), (two.bridged.namespace, one.bridged.v4)
    with flows(*pairs) as results:
        one.router.kill()
        one.router.start()
        wait_until(lambda: values(one) == LONG, "FRR reads its file", 20.0)
        wait_until(one.is_live, "the session is live", 90.0)
        assert values(one) == LONG
        one.controller.kill()  # frr-bridge needs no controller for it
        wait_for_short(one)
        one.controller.start()
        wait_until(one.is_live, "the session is live", 90.0)
        one.wait_for_clean_audit(60.0)
    assert [str(flow) for flow in results if flow.lost] == []
    assert values(one) == SHORT  # the configuration was in force: nothing was reloaded
