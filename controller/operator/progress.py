"""A plan as a Rollout's status, Events and metrics. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.kubernetes import rollouts
from controller.kubernetes.objects import Object
from controller.operator.rollout import Phase, Plan, State

MANAGER = "dualpath-operator"
MOST_NAMED = 100

REASONS: Mapping[Phase, str] = {
    Phase.COMPLETE: "RolloutComplete",
    Phase.PROGRESSING: "RolloutProgressing",
    Phase.PAUSED: "RolloutPaused",
    Phase.STOPPED: "RolloutStopped",
    Phase.DEGRADED: "NodesDegraded",
}
"""The reasons of conditions and Events."""
WARNINGS = (Phase.STOPPED, Phase.DEGRADED)


def status(plan: Plan, generation: int, before: Object, now: str) -> Object:
    """Return the status of a Rollout, but for the nodes' rows; times are RFC 3339."""
    degraded = plan.degraded
    complete = plan.phase in (Phase.COMPLETE, Phase.DEGRADED)
    return {
        "observedGeneration": generation,
        "phase": str(plan.phase),
        "message": plan.message,
        "progress": f"{plan.count(State.UPDATED)}/{len(plan.states)}",
        "updatedNodes": plan.count(State.UPDATED),
        "unavailableNodes": plan.count(State.UPDATING, State.DEGRADED),
        "waitingNodes": plan.count(State.WAITING, State.AWAY),
        "degradedNodes": degraded[:MOST_NAMED],
        "renewTime": now,
        "conditions": [
            _condition(type_, flag, plan, before, now)
            for type_, flag in (("Complete", complete), ("Degraded", bool(degraded)))
        ],
    }


def _condition(type_: str, flag: bool, plan: Plan, before: Object, now: str) -> Object:
    text = "True" if flag else "False"
    found = before.get("conditions")
    same = [
        condition
        for condition in (found if isinstance(found, list) else ())
        if isinstance(condition, dict)
        and (condition.get("type"), condition.get("status")) == (type_, text)
    ]
    return {
        "type": type_,
        "status": text,
        "reason": REASONS[plan.phase],
        "message": plan.message,
        "lastTransitionTime": str(same[0].get("lastTransitionTime") or now) if same else now,
    }


def content(item: Object) -> Object:
    """Return a Rollout's status without times."""
    found = item.get("status") or {}
    return {key: value for key, value in found.items() if key not in _TIMES}


def body(status: Object) -> Object:
    return {**rollouts.nothing(), "status": status}


_TIMES = {"renewTime", "conditions", "nodes"}


def metrics(plan: Plan | None) -> Iterator[str]:
    """Yield lines in Prometheus' text format; a replica that does not lead has no plan."""
    yield "# HELP dualpath_operator_leading Whether this replica leads."
    yield "# TYPE dualpath_operator_leading gauge"
    yield f"dualpath_operator_leading {int(plan is not None)}"
    if plan is None or not plan.states:
        return
    yield "# HELP dualpath_rollout_nodes Nodes of the rollout, by state."
    yield "# TYPE dualpath_rollout_nodes gauge"
    for state in State:
        yield f'dualpath_rollout_nodes{{state="{state}"}} {plan.count(state)}'
    yield "# HELP dualpath_rollout_phase The phase of the rollout is 1, all others 0."
    yield "# TYPE dualpath_rollout_phase gauge"
    for phase in Phase:
        yield f'dualpath_rollout_phase{{phase="{phase}"}} {int(phase is plan.phase)}'
