"""Who may ask, and what the browser is told: over a real socket."""

from __future__ import annotations

from itertools import product

import httpx
import pytest

from controller.ui.guard import HEADERS, POLICY, is_own_host
from tests.unit.controller.ui.conftest import Site


async def test_the_key_of_the_address_opens_the_page_and_becomes_a_cookie(site: Site) -> None:
    async with site.stranger() as client:
        assert (await client.get("/")).status_code == 401
        first = await client.get("/", params={"key": site.server.key})
        assert first.status_code == 200
        assert "HttpOnly; SameSite=Strict" in first.headers["set-cookie"]
        assert (await client.get("/main.js")).status_code == 200  # the client keeps the cookie


async def test_without_the_key_nothing_is_answered(site: Site) -> None:
    paths = ("/", "/main.js", "/api/stream", "/api/rows/routes", "/nothing")
    keys: tuple[dict[str, str], ...] = ({}, {"key": "x"}, {"key": ""}, {"key": "é"})
    async with site.stranger() as client:
        for path, query in product(paths, keys):
            answer = await client.get(path, params=query)
            assert answer.status_code == 401
            assert "`dualpath ui` printed" in answer.text
            assert "set-cookie" not in answer.headers


async def test_a_key_among_many_fields_is_no_key(site: Site) -> None:
    query = "&".join(f"f{number}=1" for number in range(100))
    async with site.stranger() as client:
        answer = await client.get(f"/?key={site.server.key}&{query}")
        assert answer.status_code == 401


async def test_the_key_opens_no_other_path_than_the_page(site: Site) -> None:
    async with site.stranger() as client:
        answer = await client.get("/api/rows/routes", params={"key": site.server.key})
        assert answer.status_code == 401


async def test_a_foreign_host_is_refused_even_with_the_key(site: Site) -> None:
    for host in ("evil.example", "evil.example:8470", "127.0.0.1.evil.example"):
        answer = await site.client.get("/", headers={"Host": host})
        assert (answer.status_code, "localhost" in answer.text) == (421, True)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8470", True),
        ("localhost:9000", True),  # ssh -L 9000:localhost:8470
        ("LOCALHOST", True),
        ("[::1]:8470", True),
        ("192.0.2.1", True),  # an address cannot be rebound
        ("node.example", False),
        ("localhost.example", False),
        ("localhost:", False),
        ("[::1", False),
        ("::1", False),
        ("127.0.0.1:8470@evil.example", False),
        ("127.0.0.1 evil.example", False),
        ("", False),
    ],
)
def test_own_hosts(host: str, own: bool) -> None:
    assert is_own_host(host) is own


async def test_every_answer_has_the_headers(site: Site) -> None:
    for path in ("/", "/main.js", "/api/rows/vrfs", "/api/rows/none", "/nothing"):
        answer = await site.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "server" not in answer.headers


def test_the_policy_lets_in_no_inline_script_and_no_other_site() -> None:
    assert POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in POLICY
    assert "require-trusted-types-for 'script'" in POLICY


async def test_nothing_can_be_changed(site: Site) -> None:
    methods = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    for method, path in product(methods, ("/", "/api/rows/routes", "/api/explain", "/api/stream")):
        assert (await site.client.request(method, path)).status_code == 405


async def test_a_head_of_a_request_is_bounded(site: Site) -> None:
    try:
        answer = await site.client.get("/", headers={"X-Long": "x" * 2_000_000})
    except httpx.TransportError:
        return  # closed while it was still being sent
    assert answer.status_code == 400
