"""Decides which nodes get the newest revision next, and the phase of a rollout. Pure.

Each Node has a wanted and a permitted revision, and perhaps one that its agent reports
(`controller.kubernetes.rollouts`). With maxUnavailable 1, after an edit for all of four:

    node-1  wanted 90ab  permitted 90ab  reports 90ab, ready   updated
    node-2  wanted 90ab  permitted 90ab  reports 5f1c          updating: the only one at a time
    node-3  wanted 90ab  permitted 5f1c                        waiting
    node-4 wanted 90ab permitted 5f1c, its Node not Ready away: the rollout skips it

A node that has the newest revision and is not ready is degraded; then no other node gets that
revision. An edit makes a new revision, and degraded nodes get it first, so a repair reaches them
first. The other nodes never get the failed revision.

A node without a permission, or with a new Rollout, gets the newest revision at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from controller.intent.reasons import Reason
from controller.kubernetes.objects import Object
from controller.kubernetes.rollouts import RolloutSpec, Row
from controller.operator.conditions import NAMED, names
from dualpath.model.words import counted

LONGEST = 4096
INVALID = "the spec makes no sense: paused until it does"


class State(StrEnum):
    """The state of a node in a rollout."""

    UPDATED = "updated"
    UPDATING = "updating"
    DEGRADED = "degraded"
    WAITING = "waiting"
    AWAY = "away"


class Phase(StrEnum):
    """The state of a rollout."""

    COMPLETE = "Complete"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    STOPPED = "Stopped"
    DEGRADED = "Degraded"  # nobody waits, but a node is not ready


@dataclass(frozen=True, slots=True)
class Member:
    """One Node."""

    name: str
    wanted: str
    permitted: str | None
    row: Row | None = None
    away: bool = False  # its kubelet does not report

    @property
    def settled(self) -> bool:
        """Tell whether it is ready with its permitted revision."""
        return self.row is not None and self.row.ready and self.row.revision == self.permitted


@dataclass(slots=True)
class Times:
    """When each node entered its state, by the leader's clock; a new leader starts at zero."""

    permitted: dict[str, tuple[str, float]] = field(default_factory=dict)
    ready: dict[str, tuple[str, float]] = field(default_factory=dict)
    first: bool = True

    def note(self, members: Iterable[Member], now_s: float) -> None:
        """Note the present states. A new leader counts ready nodes as ready for long."""
        members = list(members)
        well = {m.name: m.wanted for m in members if m.permitted == m.wanted and m.settled}
        since = {m.name: m.wanted for m in members if m.permitted == m.wanted}
        self.ready = _since(self.ready, well, float("-inf") if self.first else now_s)
        self.permitted = _since(self.permitted, since, now_s)
        self.first = False


def _since(
    before: Mapping[str, tuple[str, float]], now: Mapping[str, str], now_s: float
) -> dict[str, tuple[str, float]]:
    return {
        name: before[name] if before.get(name, ("",))[0] == revision else (revision, now_s)
        for name, revision in now.items()
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """The permissions to write now, and the report."""

    permit: tuple[str, ...]  # names of nodes, for the revision that each should have
    phase: Phase
    message: str
    states: Mapping[str, State]

    def count(self, *states: State) -> int:
        return sum(state in states for state in self.states.values())

    @property
    def degraded(self) -> list[str]:
        return sorted(name for name, state in self.states.items() if state is State.DEGRADED)


def plan(spec: RolloutSpec | None, members: Sequence[Member], times: Times, now_s: float) -> Plan:
    """Return the next step. `times` must have noted these members."""
    given = spec or RolloutSpec(paused=True)
    states, faults = {}, {}
    for member in members:
        states[member.name], fault = _state(given, member, times, now_s)
        if fault:
            faults[member.name] = fault
    new = [member.name for member in members if member.permitted is None]
    waiting = [m for m in members if states[m.name] is State.WAITING and m.permitted is not None]
    waiting.sort(key=lambda member: (member.settled, member.name))
    room = given.at_once(len(members)) - sum(s is State.UPDATING for s in states.values())
    next_ones = [] if faults or given.paused else [m.name for m in waiting[: max(room, 0)]]
    phase = _phase(states, faults, paused=given.paused)
    text = _message(states, faults, phase) if spec is not None else INVALID
    return Plan((*new, *next_ones), phase, text[:LONGEST], states)


def _state(spec: RolloutSpec, member: Member, times: Times, now_s: float) -> tuple[State, str]:
    """Return the state of a node, and its problem."""
    if member.permitted != member.wanted:
        return State.AWAY if member.away and member.permitted is not None else State.WAITING, ""
    if member.settled:
        rested_s = now_s - times.ready[member.name][1]
        return State.UPDATED if rested_s >= spec.min_ready_seconds else State.UPDATING, ""
    row = member.row
    reports = row is not None and row.revision == member.wanted
    if reports and row is not None and row.reason != Reason.NOT_IN_FORCE:
        return State.DEGRADED, row.message or row.reason
    if now_s - times.permitted[member.name][1] < spec.progress_deadline_seconds:
        return State.UPDATING, ""
    late = f"not in force after {spec.progress_deadline_seconds} s"
    if reports and row is not None:
        return State.DEGRADED, f"{late}: {row.message}"
    return State.DEGRADED, f"{late}: its agent has not reported it"


def _phase(states: Mapping[str, State], faults: Mapping[str, str], *, paused: bool) -> Phase:
    waits = State.WAITING in states.values()
    if faults:
        return Phase.STOPPED if waits else Phase.DEGRADED
    if waits and paused:
        return Phase.PAUSED
    if waits or State.UPDATING in states.values():
        return Phase.PROGRESSING
    return Phase.COMPLETE


def _message(states: Mapping[str, State], faults: Mapping[str, str], phase: Phase) -> str:
    """Return the phase and a message."""
    by_state: dict[State, list[str]] = {}
    for name in sorted(states):
        by_state.setdefault(states[name], []).append(name)
    parts = [f"{name}: {faults[name]}" for name in sorted(faults)[:NAMED]]
    if len(faults) > NAMED:
        parts.append(f"{len(faults) - NAMED} more nodes are degraded")
    parts += [
        f"{state} {names(by_state[state])}"
        for state in (State.UPDATING, State.WAITING, State.AWAY)
        if state in by_state and not (state is State.UPDATING and phase is Phase.PAUSED)
    ]
    done = len(by_state.get(State.UPDATED, ()))
    return "; ".join([*parts, f"updated {done} of {counted(len(states), 'node')}"])


def is_away(node: Object) -> bool:
    """Tell whether a Node's kubelet is known not to report."""
    found = (node.get("status") or {}).get("conditions")
    return any(
        isinstance(condition, dict)
        and condition.get("type") == "Ready"
        and condition.get("status") != "True"
        for condition in (found if isinstance(found, list) else ())
    )
