"""Whether a node may take what the API server has: an operator permits it, unless it is gone.

While a rollout has not come to this node, the node keeps what it has. It never goes on by itself
for lack of an operator: then every node would, at once. But it reports that. An operator that leads
a rollout renews the Rollout's status, and a node that waits looks at it now and then. A Rollout
that was deleted holds nobody back, even if its operator left the annotations of Nodes behind.
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
    """The decision of one node; `problem` says why it waits with no operator at work."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = ""  # the revision that waits
        self._asked_s = 0.0
        self._renewed: object = None
        self._renewed_s = 0.0
        self.problem = ""

    @property
    def held(self) -> bool:
        return bool(self._held)

    async def opens(self, node: Object, wanted: str) -> bool:
        """Tell whether a Node may take this revision; ask the API server where it may not."""
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
