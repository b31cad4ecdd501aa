"""Counters that show whether packets pass."""

from __future__ import annotations

import pytest

from controller.core.flow import Sample, problem


def sample(entered: dict[str, int], left: dict[str, int], seen: dict[str, int]) -> Sample:
    return Sample(entered, left, seen)


BEFORE = sample({"eth1": 1000, "leg": 1000}, {"eth1": 1000, "leg": 1000}, {})


@pytest.mark.parametrize(
    ("after", "to_second", "why"),
    [
        (sample({"eth1": 990, "leg": 995}, {"eth1": 980, "leg": 985}, {"leg": 990}), ["leg"], ""),
        (sample({"eth1": 500, "leg": 500}, {"eth1": 20, "leg": 10}, {"leg": 500}), ["leg"], "30"),
        (sample({"eth1": 900, "leg": 900}, {"eth1": 900, "leg": 900}, {}), ["leg"], "saw none"),
        (sample({"eth1": 900, "leg": 3}, {"eth1": 900, "leg": 900}, {}), ["leg"], ""),
        (sample({"eth1": 0, "leg": 0}, {"eth1": 0, "leg": 0}, {}), [], ""),
        (sample({"eth1": 900, "leg": 900}, {"eth1": 100, "leg": 90}, {}), [], "190 packets left"),
    ],
)
def test_packets_that_no_longer_leave_are_a_problem(
    after: Sample, to_second: list[str], why: str
) -> None:
    found = problem(BEFORE, after, to_second)
    assert why in found if why else found == ""


def test_idle_node_has_no_problem() -> None:
    idle = sample({"eth1": 10}, {"eth1": 10}, {})
    assert problem(idle, sample({"eth1": 12}, {"eth1": 0}, {}), ["eth1"]) == ""


def test_counters_that_began_again_are_no_negative_numbers() -> None:
    assert sample({"a": 5}, {}, {}).since(sample({"a": 100}, {}, {})).entered == {"a": 0}
