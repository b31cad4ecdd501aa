"""Two candidates for one Lease, over real HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from controller.kubernetes.client import Client
from controller.kubernetes.cluster import Cluster
from controller.operator import leadership as module
from controller.operator import lease
from controller.operator.leadership import Leadership
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until

LEASES = "/apis/coordination.k8s.io/v1/namespaces/sys/leases"
LEASE_S = 1


class Candidate:
    def __init__(self, server: FakeApiServer, identity: str) -> None:
        self.client = Client(Cluster(server.address, ssl.create_default_context()))
        self.leadership = Leadership(self.client, "sys", "op", identity, LEASE_S)
        self.leading = False
        self.task = asyncio.create_task(self.leadership.run(self._lead))

    async def _lead(self) -> None:
        self.leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leading = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.client.close()

    async def kill(self) -> None:
        """End without a release, as a killed process does."""
        await self.client.close()
        await self.stop()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApiServer]:
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    monkeypatch.setattr(lease, "RENEW_S", 0.05)
    made = await FakeApiServer().start()
    yield made
    await made.stop()


def holder(server: FakeApiServer) -> str:
    found = server.objects[LEASES].get("sys/op", {}).get("spec", {})
    return str(found.get("holderIdentity", ""))


def renewals(server: FakeApiServer) -> int:
    return sum(request.startswith("PUT") for request in server.requests)


async def test_one_of_two_leads_and_the_other_does_after_a_clean_end(
    server: FakeApiServer,
) -> None:
    a = Candidate(server, "a")
    await until(lambda: a.leading)
    b = Candidate(server, "b")
    await until(lambda: b.leadership.holder == "a")
    await until(lambda: renewals(server) > 1.5 * LEASE_S / lease.RENEW_S)
    assert (a.leading, b.leading, holder(server)) == (True, False, "a")
    await a.stop()
    assert holder(server) in ("", "b")  # released, not expired
    await until(lambda: b.leading)
    assert (a.leading, holder(server)) == (False, "b")
    await b.stop()
    assert holder(server) == ""


async def test_the_other_leads_within_the_lease_when_the_leader_is_killed(
    server: FakeApiServer,
) -> None:
    a = Candidate(server, "a")
    await until(lambda: a.leading)
    b = Candidate(server, "b")
    await until(lambda: b.leadership.holder == "a")
    began = asyncio.get_running_loop().time()
    await a.kill()
    assert holder(server) == "a"
    await until(lambda: b.leading)
    assert asyncio.get_running_loop().time() - began < LEASE_S + 0.3
    assert server.objects[LEASES]["sys/op"]["spec"]["leaseTransitions"] == 1
    await b.stop()


async def test_a_leader_that_cannot_renew_stops_leading_before_its_lease_expires(
    server: FakeApiServer,
) -> None:
    a = Candidate(server, "a")
    await until(lambda: a.leading)
    server.silent = True
    began = asyncio.get_running_loop().time()
    await until(lambda: not a.leading)
    assert asyncio.get_running_loop().time() - began < LEASE_S * lease.LEAD_OF_LEASE + 0.2
    server.silent = False
    await server.cut()
    await until(lambda: a.leading)
    await a.stop()


async def test_a_lease_that_somebody_deletes_is_written_again(server: FakeApiServer) -> None:
    a = Candidate(server, "a")
    await until(lambda: a.leading)
    await server.delete(LEASES, "op", namespace="sys")
    await until(lambda: holder(server) == "a")
    assert a.leading
    await a.stop()


async def test_work_that_fails_ends_the_candidate(server: FakeApiServer) -> None:
    a = Candidate(server, "a")

    async def fail() -> None:
        raise RuntimeError("bug")

    a.task.cancel()
    with pytest.raises(ExceptionGroup) as raised:
        await Leadership(a.client, "sys", "op", "a", LEASE_S).run(fail)
    assert raised.group_contains(RuntimeError)
    await a.stop()
