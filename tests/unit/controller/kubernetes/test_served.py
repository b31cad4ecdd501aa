"""Which definitions an API server serves, by the schemas that it publishes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.intent.schema import GROUP, KINDS, OUR_GROUP
from controller.kubernetes import served as module
from controller.kubernetes.client import Client
from controller.kubernetes.cluster import Cluster
from controller.kubernetes.objects import OURS, THEIRS
from controller.kubernetes.served import Served, with_rows
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until
from tests.unit.controller.kubernetes.schemas import openapi


@pytest.fixture
def replaced() -> list[object]:
    """Have what was known after each replacement."""
    return []


@pytest.fixture
async def found(
    server: FakeApiServer, replaced: list[object], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    monkeypatch.setattr(module, "LOOK_S", (0.01, 0.02))
    monkeypatch.setattr(module, "OLDER_S", 0.01)
    monkeypatch.setattr(module, "FIRST_S", 0.01)
    client = Client(Cluster(server.address, ssl.create_default_context()))
    made = Served(client, lambda: replaced.append(made.with_rows))
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()


async def test_our_definitions_have_rows(server: FakeApiServer, found: Served) -> None:
    server.documents = openapi(GROUP, OUR_GROUP)
    await until(lambda: found.with_rows == frozenset([*THEIRS, *OURS]))


async def test_openperouters_definitions_have_none(server: FakeApiServer, found: Served) -> None:
    server.documents = openapi(GROUP, rows=False)
    await until(lambda: found.with_rows == frozenset())


async def test_definitions_that_are_replaced_are_noticed(
    server: FakeApiServer, found: Served
) -> None:
    server.documents = openapi(GROUP, rows=False)
    await until(lambda: found.with_rows == frozenset())
    server.documents = openapi(GROUP, hash_="2")
    await until(lambda: found.with_rows == frozenset([*THEIRS]))
    server.documents = openapi(OUR_GROUP, hash_="2")
    await until(lambda: found.with_rows == frozenset([*OURS]))


async def test_followers_hear_of_a_replacement_and_not_of_the_first_look(
    server: FakeApiServer, found: Served, replaced: list[object]
) -> None:
    server.documents = openapi(GROUP, rows=False)
    await until(lambda: found.with_rows == frozenset())
    server.documents = openapi(GROUP, OUR_GROUP, rows=False)
    await until(lambda: f"GET {module.INDEX}/apis/{OUR_GROUP}" in server.requests)
    before = server.requests.count(f"GET {module.INDEX}")
    await until(lambda: server.requests.count(f"GET {module.INDEX}") > before + 1)
    assert not replaced
    server.documents = openapi(GROUP, OUR_GROUP, hash_="2")
    await until(lambda: len(replaced) == 2)
    assert replaced[-1] == frozenset([*THEIRS, *OURS])


async def test_a_document_is_fetched_once(server: FakeApiServer, found: Served) -> None:
    server.documents = openapi(GROUP)
    index = f"GET {module.INDEX}"
    await until(lambda: found.with_rows is not None)
    before = server.requests.count(index)
    await until(lambda: server.requests.count(index) > before + 3)
    assert server.requests.count(f"{index}/apis/{GROUP}") == 1


async def test_an_older_server_has_one_document(server: FakeApiServer, found: Served) -> None:
    schemas = openapi(GROUP)[f"{module.INDEX}/apis/{GROUP}"]["components"]["schemas"]
    server.documents = {module.OLDER: {"definitions": schemas}}
    await until(lambda: found.with_rows == frozenset([*THEIRS]))


async def test_nothing_is_believed_while_the_schemas_may_not_be_read(
    server: FakeApiServer, found: Served
) -> None:
    server.refuse = 403
    await until(lambda: "refused here (403)" in found.problem)
    assert found.with_rows is None
    server.refuse, server.documents = 0, openapi(GROUP)
    await until(lambda: found.with_rows == frozenset([*THEIRS]))
    assert found.problem == ""
    server.refuse = 503
    await until(lambda: found.problem != "")
    assert found.with_rows == frozenset([*THEIRS])


@pytest.mark.parametrize(
    "index",
    [
        {"paths": []},
        {"paths": {f"apis/{GROUP}": 5}},
        {"paths": {f"apis/{GROUP}": {"serverRelativeURL": "//elsewhere/openapi/v3/apis/"}}},
        {"paths": {f"apis/{GROUP}": {"serverRelativeURL": "/api/v1/secrets"}}},
        {"paths": {f"apis/{GROUP}": {"serverRelativeURL": "/openapi/v3/apis/\0"}}},
    ],
)
async def test_an_index_that_makes_no_sense_is_refused(
    server: FakeApiServer, found: Served, index: dict[str, object]
) -> None:
    server.documents = {module.INDEX: index}
    await until(lambda: found.problem.startswith(("/openapi", "http")))
    assert found.with_rows is None


@pytest.mark.parametrize("schemas", [None, 5, {"x": 5}, {"x": {"properties": {"status": 5}}}])
def test_schemas_that_make_no_sense_have_no_rows(schemas: object) -> None:
    assert with_rows(schemas) == frozenset()


def test_a_schema_of_nobody_s_kind_is_none_of_ours() -> None:
    status: Any = {"properties": {"nodes": {}}}
    kinds: list[object] = [5, {"group": "x", "version": "v1", "kind": next(iter(KINDS))}]
    schema = {"properties": {"status": status}, "x-kubernetes-group-version-kind": kinds}
    assert with_rows({"x": schema}) == frozenset()
