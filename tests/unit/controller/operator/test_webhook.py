"""The webhook's server: over real TLS, and against whoever reaches its port."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from controller.kubernetes.client import Client
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.objects import OURS, THEIRS
from controller.operator import certificate, inventory
from controller.operator import webhook as module
from controller.operator.inventory import Inventory
from controller.operator.judgement import Judge, Verdict
from controller.operator.webhook import Webhook
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.ports import free_port
from tests.fakes.waiting import until, until_answered
from tests.unit.controller.intent.build import manifest, underlay

NAME = "localhost"
PAIR = certificate.make([NAME], datetime.now(UTC))
GROUP = {"group": "network.openperouter.io", "version": "v1alpha1"}
Answer = dict[str, Any]


class World:
    def __init__(self, server: FakeApiServer, address: str = "127.0.0.1") -> None:
        self.server = server
        self.client = Client(Cluster(server.address, ssl.create_default_context()))
        self.inventory = Inventory(self.client, asyncio.get_running_loop().time)
        self.webhook = Webhook(self.inventory)
        self.port = free_port()
        self.tasks = [
            asyncio.create_task(self.inventory.run()),
            asyncio.create_task(self.webhook.serve(address, self.port)),
        ]

    async def ask(self, item: Answer, **changes: Any) -> Answer:  # noqa: ANN401
        request = {
            "uid": "u",
            "kind": {**GROUP, "kind": item["kind"]},
            "operation": "CREATE",
            "object": item,
            **changes,
        }
        response = await self.post(json.dumps({"request": request}).encode())
        assert response.status_code == 200, response.text
        found: Answer = response.json()["response"]
        return found

    async def post(self, data: bytes, path: str = module.PATH) -> httpx.Response:
        async with self.http() as http:
            return await http.post(path, content=data)

    def http(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cadata=PAIR.bundle.decode())
        return httpx.AsyncClient(
            base_url=f"https://{NAME}:{self.port}", verify=context, trust_env=False, timeout=5.0
        )

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.client.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    server = await FakeApiServer().start()
    await server.put("/api/v1/nodes", "n0")
    item = underlay()
    server.absent = {collection.path() for collection in OURS}
    await server.put(THEIRS[0].path(), "underlay", spec=item["spec"])
    made = World(server)
    made.webhook.present(PAIR)
    await until(lambda: made.webhook.ready)
    yield made
    await made.stop()
    await server.stop()


async def test_a_change_is_judged_over_tls(world: World) -> None:
    assert (await world.ask(manifest("L3VNI", "red")))["allowed"] is True
    refused = await world.ask(manifest("L3VNI", "blue", vrf="blue", vni=0))
    assert refused["allowed"] is False
    assert refused["status"]["message"].startswith("L3VNI blue: spec.vni: ")


async def test_webhook_on_every_ipv6_address_answers_kubelets_and_api_servers_by_ipv4() -> None:
    """As in a pod, `--webhook=[::]:9443`, in a cluster that has only IPv4."""
    server = await FakeApiServer().start()
    world = World(server, "::")
    world.webhook.present(PAIR)
    url = f"https://127.0.0.1:{world.port}/healthz"
    try:
        async with world.http() as http:
            named = {"sni_hostname": NAME}
            answer = await until_answered(
                lambda: http.get(url, extensions=named), httpx.ConnectError
            )
        assert answer.status_code == 200
    finally:
        await world.stop()
        await server.stop()


async def test_what_was_just_admitted_counts_before_the_watch_tells_of_it(world: World) -> None:
    assert (await world.ask(manifest("L3VNI", "red")))["allowed"] is True
    again = manifest("L3VNI", "blue", vrf="blue", hostSession=None)
    refused = await world.ask(again)
    assert "VNI 100 is already used by L3VNI red" in refused["status"]["message"]


async def test_what_never_came_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "UNSEEN_S", -1.0)
    assert (await world.ask(manifest("L3VNI", "red")))["allowed"] is True
    other = manifest("L3VNI", "blue", vrf="blue", hostSession=None)
    assert (await world.ask(other))["allowed"] is True


async def test_a_dry_run_leaves_nothing_behind(world: World) -> None:
    assert (await world.ask(manifest("L3VNI", "red"), dryRun=True))["allowed"] is True
    other = manifest("L3VNI", "blue", vrf="blue", hostSession=None)
    assert (await world.ask(other))["allowed"] is True


async def test_nobody_is_answered_before_all_objects_are_known(world: World) -> None:
    world.inventory._kinds[THEIRS[1]].listed = False
    response = await world.post(b'{"request": {}}')
    assert response.status_code == 400
    async with world.http() as http:
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
    item = manifest("L3VNI", "red")
    request = {"uid": "u", "kind": {**GROUP, "kind": "L3VNI"}, "operation": "CREATE"}
    response = await world.post(json.dumps({"request": {**request, "object": item}}).encode())
    assert response.status_code == 503


async def test_a_new_certificate_is_presented_without_a_restart(world: World) -> None:
    newer = certificate.make([NAME], datetime.now(UTC))
    world.webhook.present(newer)
    with pytest.raises(httpx.ConnectError):
        await world.ask(manifest("L3VNI", "red"))
    world.webhook.present(PAIR)
    assert (await world.ask(manifest("L3VNI", "red")))["allowed"] is True


async def test_a_body_that_is_too_long_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST", 1000)
    response = await world.post(b"x" * 2000)
    assert (response.status_code, response.text) == (400, "more than 1000 bytes\n")


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"\xff" * 100])
async def test_nonsense_is_refused_and_the_server_goes_on(world: World, data: bytes) -> None:
    assert (await world.post(data)).status_code == 400
    assert (await world.post(data, "/other")).status_code == 404
    assert (await world.ask(manifest("L3VNI", "red")))["allowed"] is True


async def test_connections_beyond_the_limit_are_refused_and_silent_ones_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECTIONS", 2)
    monkeypatch.setattr(module, "REQUEST_S", 2.0)
    context = ssl.create_default_context(cadata=PAIR.bundle.decode())
    held = [
        await asyncio.open_connection("127.0.0.1", world.port, ssl=context, server_hostname=NAME)
        for _ in range(2)
    ]
    held[0][1].write(b"POST /validate HTTP/1.1\r\nHost: x\r\n")  # and never the rest
    with pytest.raises(httpx.TransportError):
        await world.post(b"{}")
    for reader, writer in held:
        assert await asyncio.wait_for(reader.read(), 20.0) == b""
        writer.close()
    monkeypatch.setattr(module, "REQUEST_S", 5.0)
    assert (await world.ask(manifest("L3VNI", "red")))["allowed"] is True


async def test_a_body_that_never_ends_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_S", 0.3)
    context = ssl.create_default_context(cadata=PAIR.bundle.decode())
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", world.port, ssl=context, server_hostname=NAME
    )
    writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert b"503" in await asyncio.wait_for(reader.readline(), 5.0)
    writer.close()


async def test_requests_are_judged_one_by_one_and_few_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    monkeypatch.setattr(module, "REQUEST_S", 0.5)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*_: object) -> Verdict:
        asyncio.run_coroutine_threadsafe(ending.wait(), loop).result()
        return Verdict()

    monkeypatch.setattr(Judge, "judge", slow)
    item = manifest("L3VNI", "red")
    request = {"uid": "u", "kind": {**GROUP, "kind": "L3VNI"}, "operation": "CREATE"}
    data = json.dumps({"request": {**request, "object": item}}).encode()
    answers = await asyncio.gather(*(world.post(data) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [503] * 4
    texts = sorted(answer.text for answer in answers)
    assert texts == ["too busy to judge this in time\n"] * 2 + ["too many requests\n"] * 2
    ending.set()
    assert (await world.ask(item))["allowed"] is True
