"""Numbers the Nodes that need a number. A task of the leader; `numbering` decides.

It lists all Nodes before each write. Only the leader writes, so two Nodes never get the same
number. The API server refuses the write if the Node changed meanwhile; the numberer then retries.
"""

from __future__ import annotations

import logging
from typing import NoReturn

from controller.kubernetes.client import Client
from controller.operator import numbering
from controller.operator.changes import after_each
from controller.operator.events import Note, regarding
from controller.operator.inventory import Inventory
from controller.operator.reporter import Recorder

log = logging.getLogger(__name__)

NODES = "/api/v1/nodes"
GATHER_S = 0.2
RETRY_S = 2.0


class Numberer:
    """Numbers Nodes."""

    def __init__(self, client: Client, inventory: Inventory, recorder: Recorder) -> None:
        self._client = client
        self._inventory = inventory
        self._recorder = recorder
        self._changed = inventory.listen()

    async def lead(self) -> NoReturn:
        """Number Nodes until cancelled."""
        await after_each(
            self._changed,
            self._number,
            gather_s=GATHER_S,
            retry_s=RETRY_S,
            failed=lambda error: log.warning("numbers of Nodes: %s; retrying", error),
        )

    async def _number(self) -> None:
        """Write numbers until every Node has one. Raises ApiError."""
        if not self._inventory.listed or not any(numbering.missing(self._inventory.nodes)):
            return
        while True:
            nodes, _ = await self._client.list(NODES)
            found = next(numbering.missing(nodes), None)
            if found is None:
                return
            node, index = found
            name, why = node["metadata"]["name"], numbering.why(node)
            await self._client.merge(f"{NODES}/{name}", numbering.patch(node, index))
            log.info("Node %s has number %d: %s", name, index, why)
            text = f"number {index}: {why}"
            await self._recorder.record(Note(regarding("Node", "v1", node), "NodeNumbered", text))
