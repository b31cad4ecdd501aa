"""Runs the rollout: permits revisions on Nodes, and reports progress. A task of the leader.

`rollout` decides. Each decision starts from the API server's state, so a new leader continues where
the previous one stopped. Without a Rollout it removes the Nodes' annotations, so every node applies
every change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

from controller.kubernetes import rollouts
from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import Object
from controller.kubernetes.status import manager_of
from controller.operator import events, progress, rollout
from controller.operator.events import Note
from controller.operator.inventory import Inventory
from controller.operator.reporter import Recorder
from controller.operator.rollout import Member, Phase, Plan, State, Times

log = logging.getLogger(__name__)

GATHER_S = 0.5  # after a change, so objects of one manifest make one revision
TICK_S = 2.0  # deadlines and `minReadySeconds` pass without an event
RENEW_S = 30.0
RETRY_S = 5.0
NODES = "/api/v1/nodes"


class Conductor:
    """Runs until cancelled; `plan` is the latest one, None while another replica leads."""

    def __init__(self, client: Client, inventory: Inventory, recorder: Recorder) -> None:
        self._client = client
        self._inventory = inventory
        self._recorder = recorder
        self._changed = inventory.listen()
        self._times = Times()
        self._renewed_s = float("-inf")
        self.plan: Plan | None = None

    async def lead(self) -> NoReturn:
        self._times, self.plan = Times(), Plan((), Phase.COMPLETE, "", {})
        try:
            while True:
                self._changed.clear()
                try:
                    if self._inventory.knows_rollout:
                        await self._step()
                except ApiError as error:
                    log.warning("rollout: %s; retrying", error)
                    await asyncio.sleep(RETRY_S)
                await self._news()
                await asyncio.sleep(GATHER_S)
        finally:
            self.plan = None

    async def _news(self) -> None:
        try:
            async with asyncio.timeout(TICK_S):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _step(self) -> None:
        nodes, item = self._inventory.nodes, self._inventory.rollout
        if item is None:
            await self._end(nodes)
            return
        wanted = rollouts.revisions(self._inventory.objects, nodes)
        rows = rollouts.rows(item)
        members = [_member(node, wanted, rows) for node in nodes]
        now_s = asyncio.get_running_loop().time()
        self._times.note(members, now_s)
        self.plan = plan = rollout.plan(rollouts.parse(item), members, self._times, now_s)
        await self._report(item, plan, now_s)  # first: a rollout must not run unseen
        for name in plan.permit:
            await self._permit(name, wanted[name])
        for name in sorted(rows.keys() - {member.name for member in members}):
            await self._apply(rollouts.nothing(), manager_of(name))

    async def _end(self, nodes: list[Object]) -> None:
        """Let every node apply every change, because no Rollout exists."""
        self.plan = Plan((), Phase.COMPLETE, "", {})
        annotated = [node["metadata"]["name"] for node in nodes if rollouts.permitted(node)]
        for name in sorted(annotated):
            await self._permit(name, None)
        if annotated:
            log.info("no Rollout: all nodes apply changes at once")

    async def _permit(self, name: str, revision: str | None) -> None:
        try:
            await self._client.merge(f"{NODES}/{name}", rollouts.permission(revision))
        except ApiError as error:
            if error.status != 404:
                raise
            return
        if revision is not None:
            log.info("Node %s may apply revision %s", name, revision)

    async def _report(self, item: Object, plan: Plan, now_s: float) -> None:
        """Write the status if it changed, or to show waiting nodes that an operator runs."""
        generation = item["metadata"].get("generation") or 0
        before = item.get("status") or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = progress.status(plan, generation, before, now)
        same = progress.content(item) == progress.content({"status": status})
        waits = plan.count(State.WAITING, State.AWAY)
        if same and not (waits and now_s >= self._renewed_s + RENEW_S):
            return
        await self._apply(progress.body(status), progress.MANAGER)
        self._renewed_s = now_s
        if plan.phase != before.get("phase"):
            await self._announce(item, plan)

    async def _announce(self, item: Object, plan: Plan) -> None:
        bad = plan.phase in progress.WARNINGS
        log.log(logging.WARNING if bad else logging.INFO, "rollout %s", _line(plan))
        about = events.regarding(rollouts.ROLLOUTS.kind, rollouts.ROLLOUTS.group, item)
        reason = progress.REASONS[plan.phase]
        await self._recorder.record(Note(about, reason, plan.message, bad))

    async def _apply(self, body: Object, manager: str) -> None:
        try:
            await self._client.apply_status(rollouts.PATH, body, manager)
        except ApiError as error:
            if error.status != 404:  # deleted meanwhile
                raise


def _member(node: Object, wanted: Mapping[str, str], rows: Mapping[str, rollouts.Row]) -> Member:
    name = node["metadata"]["name"]
    away = rollout.is_away(node)
    return Member(name, wanted[name], rollouts.permitted(node), rows.get(name), away)


def _line(plan: Plan) -> str:
    return f"{str(plan.phase).lower()}: {plan.message}"
