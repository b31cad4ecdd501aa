"""Decides whether a node may apply the API server's objects: a Rollout may delay them.

Until the rollout reaches this node, the node keeps its objects. It does not continue without an
operator, because then all nodes would at the same moment; it reports the problem instead. The
leading operator renews the Rollout's status, and a waiting node reads it from time to time. After
the Rollout is deleted no node waits, even if annotations of Nodes are left.
"""

from __future__ import annotations

import asyncio
import logging

from controller.kubernetes import rollouts
from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import Object

log = logging.getLogger(__name__)

ASK_S = 30.0
STALE_S = 180.0  # an operator renews the status every 30 s


class Gate:
    """The decision of one node; `problem` says that it waits without an operator."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = ""  # the revision that waits
        self._asked_s = 0.0
        self._renewed: object = None
        self._renewed_s = 0.0
        self.problem = ""

    @property
    def waiting(self) -> bool:
        return bool(self._held)

    async def opens(self, node: Object, wanted: str) -> bool:
        """Tell whether a Node may apply this revision; if not, look for the Rollout."""
        permitted = rollouts.permitted(node)
        if permitted in (None, wanted):
            if self._held:
                log.info("Rollout %s: revision %s is permitted", rollouts.NAME, wanted)
            return self._opened()
        now_s = asyncio.get_running_loop().time()
        if not self._held:
            log.info("Rollout %s: keeping revision %s until its turn", rollouts.NAME, permitted)
            self._renewed_s, self._asked_s = now_s, 0.0
        self._held = wanted
        if now_s < self._asked_s + ASK_S and self._asked_s:
            return False
        self._asked_s = now_s
        try:
            found = await self._client.get(rollouts.PATH)
        except ApiError as error:
            if error.status == 404:
                log.info("Rollout %s was deleted: applying revision %s", rollouts.NAME, wanted)
                return self._opened()
            found = {}
        renewed = (found.get("status") or {}).get("renewTime")
        if renewed is not None and renewed != self._renewed:
            self._renewed, self._renewed_s = renewed, now_s
        silent_s = now_s - self._renewed_s
        self.problem = _silent(silent_s) if silent_s > STALE_S else ""
        return False

    def _opened(self) -> bool:
        self._held = self.problem = ""
        return True


def _silent(seconds: float) -> str:
    return (
        f"Rollout {rollouts.NAME} holds changes back, and no operator has renewed it for "
        f"{seconds / 60:.0f} min: start dualpath-operator, or `kubectl delete rollout "
        f"{rollouts.NAME}` to let all nodes take them at once"
    )
