"""Composes the operator: tasks of every replica, and tasks of the leader."""

from __future__ import annotations

import asyncio
import logging

from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import OURS, THEIRS, Object
from controller.kubernetes.served import Served
from controller.operator import definitions, progress
from controller.operator.conductor import Conductor
from controller.operator.inventory import Inventory
from controller.operator.leadership import Leadership
from controller.operator.numberer import Numberer
from controller.operator.reporter import Recorder, Reporter
from controller.operator.rotation import Names, Rotation
from controller.operator.settings import Settings
from controller.operator.webhook import Webhook

log = logging.getLogger(__name__)

RETRY_S = 30.0


class Program:
    """One replica."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._inventory = Inventory(client, asyncio.get_running_loop().time)
        recorder = Recorder(client, settings.identity)
        self._numberer = Numberer(client, self._inventory, recorder)
        self._served = Served(client, self._inventory.list_again)
        self._reporter = Reporter(client, self._inventory, self._served, recorder)
        self._conductor = Conductor(client, self._inventory, recorder)
        self._webhook = Webhook(self._inventory, lambda: progress.metrics(self._conductor.plan))
        names = Names(settings.namespace, settings.service, settings.secret, settings.configuration)
        self._rotation = Rotation(client, names, self._webhook.present)
        self._leadership = Leadership(
            client, settings.namespace, settings.lease, settings.identity, settings.lease_s
        )

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._inventory.run())
                group.create_task(self._served.run())
                group.create_task(self._check_definitions())
                if self._settings.webhook is not None:
                    group.create_task(self._rotation.run())
                    group.create_task(self._webhook.serve(*self._settings.webhook))
                group.create_task(self._leadership.run(self._lead))
        finally:
            await self._client.close()

    async def _lead(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._numberer.lead())
            group.create_task(self._reporter.lead())
            group.create_task(self._conductor.lead())
            if self._settings.webhook is not None:
                group.create_task(self._rotation.lead())

    async def _check_definitions(self) -> None:
        """Log once, at the start, how the API server's definitions differ."""
        for collection in (*THEIRS, *OURS):
            name = definitions.name_of(collection)
            served = await self._definition(name)
            if served is None:
                if collection in THEIRS:
                    log.error("%s is missing: apply deploy/crds", name)
            elif found := definitions.differences(collection, served):
                text = definitions.sentence(collection, found)
                log.warning("%s: apply deploy/crds of this release", text)

    async def _definition(self, name: str) -> Object | None:
        """Return a definition, None if absent; wait for the API server if it does not answer."""
        while True:
            try:
                return await self._client.get(f"{definitions.DEFINITIONS}/{name}")
            except ApiError as error:
                if error.status == 404:
                    return None
                log.warning("definition %s: %s; retrying", name, error)
            await asyncio.sleep(RETRY_S)
