"""Acquires a Lease, and runs the leader's tasks while it holds it. `lease` decides.

It watches the Lease, so it sees a release or a renewal at once. `run` ends the tasks when it could
not renew the Lease in time, and restarts them when it holds the Lease again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NoReturn

from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.reflector import Reflector
from controller.operator import LEASE_S, lease
from controller.operator.lease import Seen

log = logging.getLogger(__name__)

RETRY_S = 1.0
RELEASE_S = 3.0  # that a clean end may wait for the API server


class Leadership:
    """One candidate for one Lease."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        duration_s: int = LEASE_S,
    ) -> None:
        self._client = client
        self._where = namespace, name
        self._identity = identity
        self._duration_s = duration_s
        self._collection = f"/apis/{lease.GROUP}/namespaces/{namespace}/leases"
        self._changed = asyncio.Event()
        self._reflector = Reflector(
            client, self._collection, self._notice, {"fieldSelector": f"metadata.name={name}"}
        )
        self._seen = Seen()
        self._until_s = 0.0

    @property
    def holder(self) -> str:
        """Return the last known leader; "" is nobody."""
        return self._seen.lease.holder

    async def run(self, lead: Callable[[], Awaitable[None]]) -> NoReturn:
        """Run `lead` while holding the Lease, until cancelled; then release the Lease."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reflector.run())
            while True:
                await self._acquire()
                log.info("leading: took Lease %s/%s", *self._where)
                try:
                    await self._lead(lead)
                finally:
                    await self._release()
                log.warning("not leading any more: Lease %s/%s was not renewed", *self._where)

    def _notice(self) -> None:
        """Note a change of the Lease when the watch shows it."""
        if self._reflector.listed:
            item = self._reflector.objects.get(self._where)
            self._seen = lease.see(self._seen, item, _now_s())
        self._changed.set()

    async def _acquire(self) -> None:
        """Return once this replica holds the Lease."""
        leader = ""
        while True:
            self._changed.clear()
            if self._reflector.listed:
                left_s = lease.wait_s(self._seen, self._identity, _now_s())
                if not left_s and await self._write(lease.LEAD_OF_LEASE * self._duration_s):
                    return
                if left_s and leader != self.holder:
                    leader = self.holder
                    log.info("waiting for Lease %s/%s: %s leads", *self._where, leader)
                await self._news(left_s or RETRY_S)
            else:
                await self._news(RETRY_S)

    async def _news(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run `lead`; return when the Lease is lost. Raises what `lead` raises."""
        work = asyncio.ensure_future(lead())
        renewals = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((work, renewals), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, renewals):
                task.cancel()
            await asyncio.gather(work, renewals, return_exceptions=True)
        for task in (work, renewals):
            if not task.cancelled():
                task.result()

    async def _renew(self) -> None:
        """Renew until that fails for too long, or another holds the Lease."""
        pause_s = min(lease.RENEW_S, self._duration_s / 6)
        while True:
            left_s = self._until_s - _now_s()
            if left_s <= 0 or self.holder not in ("", self._identity):
                return
            await asyncio.sleep(min(pause_s, left_s))
            await self._write(self._until_s - _now_s())

    async def _write(self, timeout_s: float) -> bool:
        """Write this replica's name into the Lease; tell whether that succeeded."""
        before, sent_s = self._seen.lease, _now_s()
        at = datetime.now(UTC)
        body = lease.body(*self._where, before, self._identity, self._duration_s, at)
        try:
            async with asyncio.timeout(timeout_s):
                if before.version:
                    found = await self._client.replace(self._path, body)
                else:
                    found = await self._client.create(self._collection, body)
        except (ApiError, TimeoutError) as error:
            if isinstance(error, ApiError) and error.status in (404, 409):
                await self._look()  # another client changed it; the watch has not shown that yet
            else:
                log.warning("Lease %s/%s: %s; retrying", *self._where, _why(error))
            return False
        self._seen = lease.see(self._seen, found, sent_s)
        self._until_s = lease.leads_until(sent_s, self._duration_s)
        return True

    async def _look(self) -> None:
        """Read the Lease itself."""
        try:
            found = await self._client.get(self._path)
        except ApiError as error:
            if error.status != 404:
                return
            found = None
        self._seen = lease.see(self._seen, found, _now_s())

    async def _release(self) -> None:
        """Release the Lease, so another candidate need not wait until it expires."""
        before = self._seen.lease
        if before.holder != self._identity:
            return
        body = lease.released(*self._where, before, datetime.now(UTC))
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._client.replace(self._path, body)
        except (ApiError, TimeoutError) as error:
            log.info("Lease %s/%s was not released: %s", *self._where, _why(error))

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._where[1]}"


def _why(error: Exception) -> str:
    return str(error) or "no answer in time"


def _now_s() -> float:
    return asyncio.get_running_loop().time()
