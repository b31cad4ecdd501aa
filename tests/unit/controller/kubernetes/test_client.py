"""Replies of an API server are accepted, or refused before use."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.kubernetes import client as module
from controller.kubernetes.client import ApiError, Client, checked
from controller.kubernetes.cluster import Cluster
from tests.fakes.apiserver import FakeApiServer

PATH = "/apis/network.openperouter.io/v1alpha1/l3vnis"
RED: dict[str, Any] = {"metadata": {"name": "red", "namespace": "team"}, "spec": {"vni": 1}}


def changed(**metadata: Any) -> dict[str, Any]:  # noqa: ANN401
    return {**RED, "metadata": {**RED["metadata"], **metadata}}


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        [],
        {},
        {"metadata": []},
        changed(name=None),
        changed(name=7),
        changed(name=""),
        changed(name="../etc"),
        changed(name="Red"),
        changed(name="a" * 254),
        changed(namespace="../x"),
        changed(namespace="a.b"),
        changed(namespace=["x"]),
        changed(labels=["x"]),
        changed(annotations="x"),
        changed(generation="2"),
        {**RED, "spec": "x"},
        {**RED, "status": 5},
        {**RED, "data": ["x"]},
    ],
)
def test_malformed_object_is_refused(item: object) -> None:
    with pytest.raises(ApiError):
        checked(item, PATH)


@pytest.mark.parametrize(
    "item", [RED, changed(namespace=None), changed(labels=None), {**RED, "spec": None}]
)
def test_absent_or_null_part_of_an_object_is_accepted(item: dict[str, Any]) -> None:
    assert checked(item, PATH) is item


@pytest.fixture
async def client(server: FakeApiServer) -> AsyncIterator[Client]:
    made = Client(Cluster(server.address, ssl.create_default_context()))
    yield made
    await made.close()


async def test_unlimited_pages_are_refused(
    server: FakeApiServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    monkeypatch.setattr(module, "MOST_PAGES", 3)
    for name in ("a", "b", "c"):
        await server.put(PATH, name)
    assert len((await client.list(PATH))[0]) == 3
    await server.put(PATH, "d")
    with pytest.raises(ApiError, match="more than 3 pages"):
        await client.list(PATH)


async def test_oversized_reply_is_refused(
    server: FakeApiServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.put(PATH, "a", spec={"text": "x" * 10_000})
    assert len((await client.list(PATH))[0]) == 1
    monkeypatch.setattr(module, "LONGEST_REPLY", 9_000)
    with pytest.raises(ApiError, match="more than 9000 bytes"):
        await client.list(PATH)


async def test_oversized_event_is_refused(
    server: FakeApiServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 100)
    server.line = b"x" * 1_000
    with pytest.raises(ApiError, match="more than 100 bytes"):
        async for _ in client.watch(PATH, "1", 5, opened=lambda: None):
            pass


@pytest.mark.parametrize(
    "line",
    [b"x", b"[]", b"{}", b'{"type": "ADDED", "object": 5}', b'{"type": "ADDED", "object": {}}'],
)
async def test_malformed_event_is_refused(
    server: FakeApiServer, client: Client, line: bytes
) -> None:
    server.line = line + b"\n"
    with pytest.raises(ApiError):
        async for _ in client.watch(PATH, "1", 5, opened=lambda: None):
            pass
