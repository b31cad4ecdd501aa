"""Keeps the webhook's certificate in a Secret, and its CA in the webhook configuration.

Every replica serves the Secret's certificate. The leader renews it: it first writes both CAs into
the webhook configuration, waits until every API server has read them, then writes the certificate
into the Secret. So API servers trust every replica at any time.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from controller.kubernetes.client import ApiError, Client
from controller.kubernetes.objects import Object
from controller.kubernetes.reflector import Reflector
from controller.operator import certificate
from controller.operator.certificate import Pair

log = logging.getLogger(__name__)

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
LOOK_S = 3600.0
RETRY_S = 5.0
SPREAD_S = 10.0  # until every API server uses a changed configuration


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the webhook's objects."""

    namespace: str
    service: str
    secret: str
    configuration: str

    @property
    def dns(self) -> list[str]:
        """Return the name by which API servers know the Service."""
        return [f"{self.service}.{self.namespace}.svc"]


class Rotation:
    """One webhook's certificate."""

    def __init__(self, client: Client, names: Names, present: Callable[[Pair], None]) -> None:
        self._client = client
        self._names = names
        self._present = present
        self._collection = f"/api/v1/namespaces/{names.namespace}/secrets"
        self._changed = asyncio.Event()
        self._secret = self._reflector(self._collection, names.secret)
        self._configuration = self._reflector(CONFIGURATIONS, names.configuration)

    def _reflector(self, path: str, name: str) -> Reflector:
        selectors = {"fieldSelector": f"metadata.name={name}"}
        return Reflector(self._client, path, self._notice, selectors)

    async def run(self) -> None:
        """Serve the Secret's certificate until cancelled: a task of every replica."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._secret.run())
            group.create_task(self._configuration.run())

    def _notice(self) -> None:
        pair = self._pair()
        if pair is not None:
            try:
                self._present(pair)
            except ssl.SSLError as error:  # the leader makes another one
                log.warning("Secret %s: %s", self._names.secret, error)
        self._changed.set()

    def _pair(self) -> Pair | None:
        return certificate.from_secret(self._secret_object)

    @property
    def _secret_object(self) -> Object | None:
        return self._secret.objects.get((self._names.namespace, self._names.secret))

    async def lead(self) -> NoReturn:
        """Renew the certificate until cancelled: a task of the leader."""
        while True:
            self._changed.clear()
            rest_s = LOOK_S
            try:
                if self._secret.listed and self._configuration.listed:
                    await self._check()
            except ApiError as error:
                log.warning("certificate of the webhook: %s; retrying", error)
                rest_s = RETRY_S
            try:
                async with asyncio.timeout(rest_s):
                    await self._changed.wait()
                if rest_s == RETRY_S:
                    await asyncio.sleep(RETRY_S)
            except TimeoutError:
                pass

    async def _check(self) -> None:
        now, pair = datetime.now(UTC), self._pair()
        if why := certificate.due(pair, self._names.dns, now):
            made = certificate.make(self._names.dns, now, pair.bundle if pair else b"")
            if pair is not None and await self._publish(made.bundle):
                await asyncio.sleep(SPREAD_S)
            await self._store(made)
            log.info("made a certificate for the webhook: %s", why)
            pair = made
        assert pair is not None
        await self._publish(pair.bundle)

    async def _store(self, pair: Pair) -> None:
        has = self._secret_object
        version = {"resourceVersion": has["metadata"].get("resourceVersion")} if has else {}
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": certificate.SECRET_TYPE,
            "metadata": {
                "namespace": self._names.namespace,
                "name": self._names.secret,
                **version,
            },
            "data": certificate.to_data(pair),
        }
        if has is None:
            request = self._client.create(self._collection, body)
        else:
            request = self._client.replace(f"{self._collection}/{self._names.secret}", body)
        await self._secret.write((self._names.namespace, self._names.secret), request)
        self._notice()

    async def _publish(self, bundle: bytes) -> bool:
        """Write the CAs into the webhook configuration; tell whether they changed."""
        name = self._names.configuration
        has = self._configuration.objects.get(("", name))
        if has is None:
            log.warning("there is no ValidatingWebhookConfiguration %s: nothing is validated", name)
            return False
        wanted = base64.b64encode(bundle).decode()
        webhooks = has.get("webhooks")
        if not isinstance(webhooks, list) or not (changed := _believing(webhooks, wanted)):
            return False
        made = {**has, "webhooks": changed}
        request = self._client.replace(f"{CONFIGURATIONS}/{name}", made)
        await self._configuration.write(("", name), request)
        return True


def _believing(webhooks: Sequence[object], bundle: str) -> list[Object]:
    """Return the webhooks with these CAs; None if they already have them."""
    known = [one for one in webhooks if isinstance(one, dict)]
    made = [
        {**one, "clientConfig": {**(one.get("clientConfig") or {}), "caBundle": bundle}}
        for one in known
    ]
    return made if made != known else []
