"""The stream, rows and paths, over a real socket and gRPC."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.ui.feed import RATE
from controller.ui.rows import PAGE, SHAPES
from dualpath.model.kinds import Kind
from dualpath.model.view import BgpSession, Change, RowState
from tests.fakes.view import NOW, FakeRoute
from tests.fakes.waiting import until as condition
from tests.unit.controller.ui.conftest import Site, until

CHANGE = Change(0, NOW, Kind.ROUTE, "10.9.0.0/24", "red", RowState.FAILED, False, "ENOSPC")


async def test_a_stream_starts_with_everything(site: Site) -> None:
    async with site.stream() as parts:
        wanted = {"daemon", "status", "node", "ports", "sample"}
        found: dict[str, Any] = {}
        while wanted - found.keys():
            part, value = await anext(parts)
            found[part] = value
    assert found["status"]["ready"] is True
    assert {it["name"] for it in found["node"]["vrfs"]} == {"red"}
    assert [it["vteps"] for it in found["node"]["vnis"]] == [["192.0.2.12"], ["192.0.2.12"]]
    assert {it["name"] for it in found["ports"]["ports"]} == {"eth1", "eth2", "h1"}
    assert set(found["sample"][0]) == {"at", "changes", "rates"}


async def test_a_second_page_starts_with_what_is_known(site: Site) -> None:
    async with site.stream() as parts:
        await until(parts, "node")
        async with site.stream() as others:
            assert {(await anext(others))[0] for _ in range(4)} == {
                "daemon",
                "status",
                "node",
                "ports",
            }


async def test_a_session_that_goes_down_is_a_fault_of_the_time_line(site: Site) -> None:
    session = BgpSession("default", "192.0.2.1", 65000, "Established", NOW, bfd="Up")
    site.view.state = replace(site.view.state, sessions=(session,))
    async with site.stream() as parts:
        await until(parts, "status", "Established")
        down = replace(session, state="Active", since=0.0, reason="Hold Timer Expired")
        site.view.state = replace(site.view.state, sessions=(down,))
        found = await until(parts, "entry", "BGP 192.0.2.1")
    assert found[-1][1:] == ["bad", "BGP 192.0.2.1", "Active: Hold Timer Expired"]


async def test_changes_come_as_they_happen_and_those_before(site: Site) -> None:
    site.view.happen(replace(CHANGE, text="10.8.0.0/24"))
    async with site.stream() as parts:
        await until(parts, "entry", "route 10.8.0.0/24")
        site.view.happen(CHANGE)
        found = await until(parts, "entry", "route 10.9.0.0/24")
    assert found[-1] == [NOW, "bad", "route 10.9.0.0/24", "failed in red  ENOSPC"]


async def test_a_journal_that_begins_later_is_followed_from_its_end(site: Site) -> None:
    site.view.forgotten = 5_000_000
    async with site.stream() as parts:
        await until(parts, "node")
        site.view.happen(CHANGE)
        await until(parts, "entry", "route 10.9.0.0/24")


async def test_changes_between_two_pages_are_shown_once(site: Site) -> None:
    wanted = [f"route 10.{number}.0.0/16" for number in range(3)]
    shown: list[str] = []
    for subject in wanted:
        site.view.happen(replace(CHANGE, text=subject.removeprefix("route ")))
        shown.clear()
        async with site.stream() as parts:
            while subject not in shown:
                shown += [it[2] for it in await until(parts, "entry", "route ")]
        await condition(lambda: site.feed.streams == 0)
    assert [it for it in shown if it.startswith("route ")] == wanted


async def test_a_flood_of_changes_is_counted_and_not_shown(site: Site) -> None:
    async with site.stream() as parts:
        await until(parts, "node")
        for _ in range(3 * RATE):
            site.view.happen(CHANGE)
        await until(parts, "entry", "many changes at once: their rows are not shown here")


async def test_text_of_others_is_sent_as_text(site: Site) -> None:
    peer = "</script><img src=x onerror=alert(1)>\n\ndata: {}"
    session = BgpSession("default", peer, 65000, "Active", 0.0)
    site.view.state = replace(site.view.state, sessions=(session,))
    async with site.stream() as parts:
        status = await until(parts, "status")
    assert status["sessions"][0]["peer"] == peer


@pytest.mark.parametrize("most", [1])
async def test_streams_are_bounded_and_a_closed_page_gives_its_place_back(site: Site) -> None:
    async with site.stream() as parts:
        await until(parts, "status")
        refused = await site.get("/api/stream")
        assert (refused.status_code, "close one" in refused.json()["problem"]) == (503, True)
    await condition(lambda: site.feed.streams == 0)
    async with site.stream() as parts:
        await until(parts, "status")


async def test_without_a_page_the_daemon_is_not_asked(site: Site) -> None:
    assert site.view.counted == 0
    async with site.stream() as parts:
        await until(parts, "sample")
    await condition(lambda: site.feed.streams == 0)
    assert not site.feed.looking


async def test_a_daemon_that_does_not_answer_is_told_and_asked_again(site: Site) -> None:
    async with site.stream() as parts:
        await until(parts, "node")
        netns = site.view.state.netns
        site.view.state = replace(site.view.state, netns="\ud800")  # no UTF-8: Status fails
        await until(parts, "daemon", "Unexpected")
        site.view.state = replace(site.view.state, netns=netns)
        await until(parts, "daemon", '"problem": ""')


async def test_a_datapath_that_does_not_answer_leaves_the_ports(site: Site) -> None:
    site.view.unavailable = "grout restarts"
    async with site.stream() as parts:
        found = await until(parts, "ports", "grout restarts")
    assert {it["link"] for it in found["ports"]} == {"unknown"}


# -- rows and paths -------------------------------------------------------------------------------


async def test_rows_are_those_of_the_lists(site: Site) -> None:
    answer = (await site.get("/api/rows/routes", vrf="red", state="failed")).json()
    assert answer["columns"][:5] == ["VRF", "PREFIX", "PROTOCOL", "NEXTHOP", "STATE"]
    assert [row[:2] for row in answer["rows"]] == [["red", "10.2.3.0/24"]]
    assert answer["states"] == ["failed"]
    assert answer["next"] == ""


async def test_a_long_list_has_pages(site: Site) -> None:
    site.view.add_routes(*(FakeRoute(f"10.{n >> 8}.{n & 255}.0/24", 3, 3) for n in range(PAGE + 9)))
    first = (await site.get("/api/rows/routes", vrf="default")).json()
    assert len(first["rows"]) == PAGE
    second = (await site.get("/api/rows/routes", vrf="default", page=first["next"])).json()
    assert len(second["rows"]) == 9 + 3
    assert second["next"] == ""


async def test_every_list_can_be_shown(site: Site) -> None:
    for kind in SHAPES:
        answer = await site.get(f"/api/rows/{kind}")
        assert (answer.status_code, len(answer.json()["rows"]) > 0) == (200, True), kind


BAD_FILTERS = [
    ({"vni": "-1"}, "a VNI is a number"),
    ({"vni": "99999999"}, "a VNI is a number"),
    ({"vni": "٣"}, "a VNI is a number"),
    ({"state": "odd"}, "no state is called 'odd'; there are: programmed"),
    ({"limit": "1000000"}, "no filter is called 'limit'"),
    ({"page": "x"}, "page token 'x'"),
]


async def test_a_bad_filter_is_refused_with_a_reason(site: Site) -> None:
    for query, said in BAD_FILTERS:
        answer = await site.get("/api/rows/routes", **query)
        assert answer.status_code == 400
        assert said in answer.json()["problem"]


async def test_an_unknown_list_is_not_found(site: Site) -> None:
    assert (await site.get("/api/rows/passwords")).status_code == 404


async def test_the_path_to_an_address_is_what_explain_knows(site: Site) -> None:
    answer = (await site.get("/api/explain", vrf="red", address="10.2.0.4")).json()
    (path,) = answer["desired"]["paths"]
    assert (path["vni"], path["vtep"], path["ports"]) == (100, "192.0.2.12", ["eth1", "eth2"])


async def test_a_path_that_cannot_be_explained_says_why(site: Site) -> None:
    for vrf, address, code in (("red", "x", 400), ("nobody", "10.0.0.1", 404)):
        answer = await site.get("/api/explain", vrf=vrf, address=address)
        assert answer.status_code == code
        assert answer.json()["problem"]
