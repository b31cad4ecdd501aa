"""Sequences of faults: the same seed gives the same one, and a failing one gets smaller."""

import pytest

from tests.lab.chaos import faults, plan
from tests.lab.plan import Datapath

NAMES = ["a", "b", "c", "d", "e"]


def test_seed_gives_the_same_steps_whatever_the_order_of_the_names() -> None:
    assert plan.from_seed(3, 20, NAMES) == plan.from_seed(3, 20, NAMES[::-1])
    assert plan.from_seed(3, 20, NAMES) != plan.from_seed(4, 20, NAMES)


def test_every_fault_comes_once_before_one_comes_twice() -> None:
    drawn = [name for step in plan.from_seed(1, 20, NAMES) for name in step]
    assert sorted(drawn[:5]) == NAMES
    assert {len(step) for step in plan.from_seed(1, 20, NAMES)} == {1, 2}


def test_plan_is_read_as_it_is_written() -> None:
    steps = plan.from_seed(5, 9, NAMES)
    assert plan.parse(plan.text(steps), NAMES) == steps


def test_unknown_fault_is_named() -> None:
    with pytest.raises(ValueError, match="no fault is called x"):
        plan.parse("a+x,b", NAMES)


@pytest.mark.parametrize(
    ("needed", "smallest"),
    [
        ({"c"}, "c"),
        ({"b", "e"}, "b,e"),
        ({"a", "d"}, "a,d"),
        ({"c", "d"}, "c+d"),
    ],
)
def test_shrinking_leaves_what_the_failure_needs(needed: set[str], smallest: str) -> None:
    def fails(steps: list[plan.Step]) -> bool:
        return needed <= {name for step in steps for name in step}

    steps = plan.parse("a,b,c+d,e", NAMES)
    assert plan.text(plan.shrink(steps, fails)) == smallest


@pytest.mark.parametrize("datapath", Datapath)
def test_faults_have_names_that_a_plan_can_hold(datapath: Datapath) -> None:
    known = faults.every(datapath)
    assert len(known) > 40
    assert not [name for name in known if set(name) & {plan.TOGETHER, plan.AFTER, " "}]
    assert all(fault.gap_s >= 0 for fault in known.values())


def test_two_faults_at_once_may_cost_what_both_may() -> None:
    known = faults.every(Datapath.KERNEL)
    routes, fdb, shadow = (known[f"hand:{name}"] for name in ("routes", "fdb", "shadow-vrf"))
    assert faults.allowed_s([routes, fdb]) == routes.gap_s + fdb.gap_s
    assert faults.allowed_s([known["kill:bgpd"], known["kill:bridge"]]) == 0
    assert faults.allowed_s([shadow, known["kill:frr"]]) == float("inf")


def test_the_machine_s_clock_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALPATH_LAB_MODE", faults.STRAIGHT)
    assert not [name for name in faults.every(Datapath.KERNEL) if name.startswith("clock")]
    monkeypatch.setenv("DUALPATH_LAB_MODE", "uml")
    assert [name for name in faults.every(Datapath.KERNEL) if name.startswith("clock")]


@pytest.mark.parametrize("datapath", Datapath)
def test_faults_without_an_l3vni_change_nothing_of_one(datapath: Datapath) -> None:
    every, bridged = faults.every(datapath), faults.every(datapath, bridged_only=True)
    left_out = set(every) - set(bridged)
    assert {"hand:shadow-vrf", "manifest:one-more"} <= left_out
    assert not [name for name in left_out if name.startswith(("kill:", "stop:", "term:", "flap:"))]
