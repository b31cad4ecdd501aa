"""A reflector against an API server that restarts, compacts, refuses and hangs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from controller.kubernetes import client as client_module
from controller.kubernetes import reflector as module
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.objects import Object
from controller.kubernetes.reflector import Reflector
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until

PATH = "/apis/network.openperouter.io/v1alpha1/l3vnis"


class World:
    def __init__(self, server: FakeApiServer) -> None:
        self.server = server
        self.changes = 0
        cluster = Cluster(server.address, ssl.create_default_context(), token="secret")
        self.client = Client(cluster)
        self.reflector = Reflector(self.client, PATH, self._changed)
        self.task = asyncio.create_task(self.reflector.run())

    def _changed(self) -> None:
        self.changes += 1

    @property
    def names(self) -> set[str]:
        return {name for _, name in self.reflector.objects}

    def count(self, request: str) -> int:
        return self.server.requests.count(request)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(module, "FIRST_S", 0.01)
    monkeypatch.setattr(module, "MOST_S", 0.05)
    server = await FakeApiServer().start()
    for name in ("red", "blue"):
        await server.put(PATH, name, namespace="team", spec={"vni": 1})
    made = World(server)
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)
    await made.client.close()
    await server.stop()


async def test_objects_are_listed_then_watched(world: World) -> None:
    await until(lambda: world.names == {"red", "blue"})
    await world.server.put(PATH, "green", namespace="team", spec={"vni": 2})
    await until(lambda: world.names == {"red", "blue", "green"})
    await world.server.delete(PATH, "red", namespace="team")
    await until(lambda: world.names == {"blue", "green"})
    assert world.count(f"GET {PATH}") == 1


async def test_a_write_is_seen_at_once(world: World) -> None:
    await until(lambda: world.reflector.listed)
    green: Object = {"metadata": {"namespace": "team", "name": "green"}}

    async def request() -> Object:
        return green

    assert await world.reflector.write(("team", "green"), request()) is green
    assert world.reflector.objects["team", "green"] is green


async def test_events_that_come_before_the_answer_to_a_write_know_more(world: World) -> None:
    await until(lambda: world.reflector.listed)

    async def request() -> Object:
        await world.server.put(PATH, "green", namespace="team", spec={"vni": 2})
        await until(lambda: "green" in world.names)
        await world.server.delete(PATH, "green", namespace="team")
        await until(lambda: "green" not in world.names)
        return {"metadata": {"namespace": "team", "name": "green"}}

    await world.reflector.write(("team", "green"), request())
    assert world.names == {"red", "blue"}


async def test_list_of_several_pages_is_complete(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: world.count(f"GET {PATH} watch") == 1)
    monkeypatch.setattr(client_module, "PAGE", 3)
    for number in range(10):
        await world.server.put(PATH, f"vni-{number}", namespace="team", spec={})
    await world.server.compact()
    await until(lambda: len(world.names) == 12 and world.count(f"GET {PATH}") >= 4)


async def test_closed_watch_is_resumed_without_a_list(world: World) -> None:
    await until(lambda: world.count(f"GET {PATH} watch") == 1)
    await world.server.cut()
    await world.server.put(PATH, "green", namespace="team", spec={})
    await until(lambda: "green" in world.names)
    assert world.count(f"GET {PATH}") == 1


async def test_a_stream_with_an_outdated_view_is_ended_by_a_list(world: World) -> None:
    await until(lambda: world.count(f"GET {PATH} watch") == 1)
    # What the stream of a definition that is replaced does not show.
    world.server.objects[PATH]["team/red"]["status"] = {"nodes": []}
    world.reflector.list_again()
    world.reflector.list_again()
    await until(lambda: "status" in world.reflector.objects["team", "red"])
    await until(lambda: world.count(f"GET {PATH} watch") == 2)
    assert world.count(f"GET {PATH}") == 2
    await world.server.put(PATH, "green", namespace="team", spec={})
    await until(lambda: "green" in world.names)


async def test_a_stream_that_is_being_opened_is_not_cancelled(world: World) -> None:
    await until(lambda: world.count(f"GET {PATH} watch") == 1)
    world.server.silent = True
    await world.server.cut()
    await until(lambda: world.count(f"GET {PATH} watch") == 2)
    world.reflector.list_again()
    for _ in range(100):
        await asyncio.sleep(0)
    assert world.count(f"GET {PATH}") == 1
    world.server.silent = False
    await world.server.cut()
    await until(lambda: world.count(f"GET {PATH}") == 2)


async def test_a_list_that_fails_is_repeated_though_a_version_is_known(world: World) -> None:
    await until(lambda: world.count(f"GET {PATH} watch") == 1)
    world.server.objects[PATH]["team/red"]["status"] = {"nodes": []}
    world.server.refuse = 503
    world.reflector.list_again()
    await until(lambda: world.count(f"GET {PATH}") > 2)
    world.server.refuse = 0
    await until(lambda: "status" in world.reflector.objects["team", "red"])


async def test_object_deleted_during_an_expired_watch_is_removed(world: World) -> None:
    await until(lambda: len(world.names) == 2)
    await world.server.cut()
    world.server.refuse = 503
    await world.server.delete(PATH, "red", namespace="team")
    await world.server.compact()
    await until(lambda: world.reflector.problem != "")
    assert world.names == {"red", "blue"}
    world.server.refuse = 0
    await until(lambda: world.names == {"blue"})
    assert world.reflector.problem == ""


async def test_unchanged_list_changes_nothing(world: World) -> None:
    await until(lambda: world.count(f"GET {PATH} watch") == 1)
    await world.server.compact()
    await until(lambda: world.count(f"GET {PATH}") == 2)
    await until(lambda: world.count(f"GET {PATH} watch") >= 3)
    assert world.changes == 1


async def test_a_status_that_some_node_wrote_changes_nothing_else(world: World) -> None:
    await until(lambda: world.names == {"red", "blue"})
    before = world.changes
    status, fields = {"nodes": [{"name": "node-2"}]}, [{"manager": "dualpath-node-2"}]
    await world.server.put(
        PATH,
        "red",
        namespace="team",
        spec={"vni": 1},
        status=status,
        metadata={"managedFields": fields},
    )
    await until(lambda: world.reflector.objects["team", "red"].get("status") == status)
    assert world.changes == before
    assert "managedFields" not in world.reflector.objects["team", "red"]["metadata"]


async def test_frozen_server_is_detected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await until(lambda: len(world.names) == 2)
    monkeypatch.setattr(module, "STREAM_S", (0, 0))
    monkeypatch.setattr(client_module, "SLACK_S", 0.05)
    world.server.silent = True
    await world.server.cut()
    await until(lambda: world.reflector.problem != "")
    world.server.silent = False
    await until(lambda: world.reflector.problem == "")  # although nothing changed
    assert len(world.names) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
async def test_refusal_is_logged_and_retried(world: World, status: int) -> None:
    await until(lambda: len(world.names) == 2)
    world.server.refuse = status
    await world.server.cut()
    await until(lambda: f"refused here ({status})" in world.reflector.problem)
    world.server.refuse = 0
    await world.server.put(PATH, "green", namespace="team", spec={})
    await until(lambda: "green" in world.names)


async def test_a_status_is_news_to_those_alone_who_ask_for_it(world: World) -> None:
    told = 0

    def count() -> None:
        nonlocal told
        told += 1

    asking = Reflector(world.client, PATH, count, statuses=True)
    task = asyncio.create_task(asking.run())
    await until(lambda: world.count(f"GET {PATH} watch") == 2)
    spec = asking.objects["team", "red"]["spec"]
    await world.server.put(PATH, "red", namespace="team", spec=spec, status={"nodes": []})
    await until(lambda: told == 2)
    await world.server.put(PATH, "red", namespace="team", spec=spec, status={"nodes": []})
    await world.server.compact()
    await until(lambda: world.count(f"GET {PATH} watch") >= 6)
    assert (told, world.changes) == (2, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
