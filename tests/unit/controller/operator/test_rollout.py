"""Which nodes may take the newest revision next."""

from __future__ import annotations

from typing import Any

import pytest

from controller.intent.reasons import Reason
from controller.kubernetes.crd import rollout_status
from controller.kubernetes.rollouts import RolloutSpec, Row
from controller.operator import progress, rollout
from controller.operator.rollout import Member, Phase, Plan, State, Times

OLD, NEW = "5f1c", "90ab"


def spec(**given: object) -> RolloutSpec:
    return RolloutSpec.model_validate(given)


SPEC = spec(minReadySeconds=10, progressDeadlineSeconds=60)


def row(revision: str, why: str = "", reason: str = Reason.VALIDATION_FAILED) -> Row:
    reason = reason if why else Reason.CONFIGURATION_SUCCESSFUL
    return Row(revision, not why, reason, why)


def old(name: str, **more: Any) -> Member:  # noqa: ANN401
    return Member(name, NEW, OLD, **{"row": row(OLD), **more})


def new(name: str, reported: Row | None = None, **more: Any) -> Member:  # noqa: ANN401
    return Member(name, NEW, NEW, reported or row(NEW), **more)


def plan(*members: Member, by: RolloutSpec | None = SPEC, after_s: float = 0.0) -> Plan:
    """Return the plan for members that are so for some seconds, and were otherwise before."""
    times = Times()
    times.note((), 0.0)
    times.note(members, 0.0)
    times.note(members, after_s)
    return rollout.plan(by, members, times, after_s)


def test_as_many_nodes_as_may_be_unavailable_get_it_at_once() -> None:
    nodes = [old(f"n{number}") for number in range(10)]
    assert plan(*nodes).permit == ("n0",)
    assert plan(*nodes, by=spec(maxUnavailable=3)).permit == ("n0", "n1", "n2")
    assert plan(*nodes, by=spec(maxUnavailable="25%")).permit == ("n0", "n1")
    assert plan(*nodes, by=spec(maxUnavailable="1%")).permit == ("n0",)


def test_a_node_counts_until_it_has_been_ready_for_a_while() -> None:
    nodes = new("n1"), old("n2")
    assert plan(*nodes, after_s=9.0).permit == ()
    assert plan(*nodes, after_s=10.0).permit == ("n2",)


def test_a_node_that_does_not_report_is_waited_for_until_the_deadline() -> None:
    nodes = new("n1", row(OLD)), old("n2")
    early = plan(*nodes, after_s=59.0)
    assert (early.permit, early.phase) == ((), Phase.PROGRESSING)
    late = plan(*nodes, after_s=60.0)
    assert (late.permit, late.phase, late.degraded) == ((), Phase.STOPPED, ["n1"])
    assert late.message.startswith("n1: not in force after 60 s: its agent has not reported it; ")


def test_a_node_that_is_not_yet_in_force_is_degraded_after_the_deadline_only() -> None:
    nodes = new("n1", row(NEW, "FRR is away", Reason.NOT_IN_FORCE)), old("n2")
    assert plan(*nodes).phase is Phase.PROGRESSING
    late = plan(*nodes, after_s=60.0)
    assert late.phase is Phase.STOPPED
    assert "n1: not in force after 60 s: FRR is away" in late.message


def test_a_degraded_node_stops_it_at_once_and_is_named() -> None:
    nodes = new("n1"), new("n2", row(NEW, "L3VNI red: no")), old("n3"), old("n4")
    found = plan(*nodes, by=spec(maxUnavailable=4, minReadySeconds=0))
    assert (found.permit, found.phase) == ((), Phase.STOPPED)
    assert found.message == "n2: L3VNI red: no; waiting n3, n4; updated 1 of 4 nodes"


def test_an_edit_reaches_nodes_first_that_are_not_well() -> None:
    nodes = old("n1"), old("n2"), old("n3", row=row(OLD, "L3VNI red: no"))
    found = plan(*nodes)
    assert (found.permit, found.phase) == (("n3",), Phase.PROGRESSING)
    assert plan(old("n1"), old("n2", row=None)).permit == ("n2",)


def test_a_paused_rollout_permits_nothing_but_to_new_nodes() -> None:
    nodes = old("n1"), Member("n2", NEW, None)
    found = plan(*nodes, by=spec(paused=True))
    assert (found.permit, found.phase) == (("n2",), Phase.PAUSED)


def test_a_spec_that_makes_no_sense_is_as_a_paused_one() -> None:
    found = plan(old("n1"), by=None)
    assert (found.permit, found.phase, found.message) == ((), Phase.PAUSED, rollout.INVALID)


def test_a_node_that_is_away_is_neither_waited_for_nor_changed() -> None:
    found = plan(old("n1", away=True), new("n2"), after_s=10.0)
    assert (found.permit, found.phase) == ((), Phase.COMPLETE)
    assert found.message == "away n1; updated 1 of 2 nodes"


def test_a_node_that_went_away_after_it_was_permitted_counts() -> None:
    found = plan(new("n1", row(OLD), away=True), old("n2"), after_s=60.0)
    assert found.phase is Phase.STOPPED


def test_a_new_leader_believes_that_ready_nodes_have_been_so_for_long() -> None:
    times = Times()
    members = new("n1"), old("n2")
    times.note(members, 1000.0)
    assert rollout.plan(SPEC, members, times, 1000.0).permit == ("n2",)


def test_a_degraded_node_without_others_that_wait_has_a_phase_of_its_own() -> None:
    found = plan(new("n1", row(NEW, "no")))
    assert (found.phase, found.states) == (Phase.DEGRADED, {"n1": State.DEGRADED})


def test_a_node_without_a_ready_condition_is_not_away() -> None:
    def node(*conditions: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"metadata": {"name": "n"}, "status": {"conditions": list(conditions)}}

    assert not rollout.is_away({"metadata": {"name": "n"}})
    assert not rollout.is_away(node("nonsense", {"type": "Ready", "status": "True"}))
    assert rollout.is_away(node({"type": "Ready", "status": "Unknown"}))


def test_the_status_has_the_fields_of_the_definition_and_keeps_its_times() -> None:
    found = plan(new("n1", row(NEW, "no")), old("n2"))
    first = progress.status(found, 3, {}, "2026-01-01T00:00:00Z")
    later = progress.status(found, 3, first, "2026-01-02T00:00:00Z")
    assert first.keys() <= rollout_status()["properties"].keys()
    assert later["conditions"] == first["conditions"]
    assert later["renewTime"] != first["renewTime"]
    assert (first["phase"], first["progress"], first["degradedNodes"]) == ("Stopped", "0/2", ["n1"])
    assert progress.content({"status": first}) == progress.content({"status": later})


def test_metrics_have_each_state_and_say_who_leads() -> None:
    assert list(progress.metrics(None))[-1] == "dualpath_operator_leading 0"
    lines = list(progress.metrics(plan(new("n1", row(NEW, "no")), old("n2"))))
    assert 'dualpath_rollout_nodes{state="degraded"} 1' in lines
    assert 'dualpath_rollout_phase{phase="Stopped"} 1' in lines


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_reason(phase: Phase) -> None:
    assert progress.REASONS[phase]
