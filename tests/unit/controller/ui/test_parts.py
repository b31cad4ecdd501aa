"""What the page is made of: the board, faults, rates, and its own files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from controller.ui import app, picture
from controller.ui.board import HISTORIES, Board
from controller.ui.faults import Entry, Seen, Tone, differences
from dualpath.pb import inspect_pb2 as pb

PAGE = Path(app.__file__).parent / "page"
FILES = sorted(PAGE.iterdir())


def test_a_slow_stream_skips_what_was_replaced() -> None:
    board = Board()
    for number in range(1000):
        board.put("status", str(number))
    assert list(board.since(0)) == [("status", "999")]


def test_the_same_text_again_is_nothing_new() -> None:
    board = Board()
    board.put("status", "1")
    number = board.number
    board.put("status", "1")
    assert (board.number, list(board.since(number))) == (number, [])


def test_histories_are_bounded_and_sent_once() -> None:
    board = Board()
    for number in range(1000):
        board.add("entry", str(number))
    [(_, text)] = board.since(0)
    assert text.startswith(f"[{1000 - HISTORIES['entry']},")
    number = board.number
    board.add("entry", "last")
    assert list(board.since(number)) == [("entry", "[last]")]


def answer(**fields: Any) -> pb.StatusResponse:  # noqa: ANN401
    made = pb.StatusResponse(ready=True, datapath="kernel", bridge="connected", **fields)
    made.session, made.session_state = 2, "live"
    return made


def seen(made: pb.StatusResponse, *ports: pb.Port) -> Seen:
    return Seen(picture.status(made), picture.ports(ports))


def session(state: str, bfd: str = "Up", reason: str = "") -> pb.StatusResponse:
    one = pb.BgpSessionState(vrf="red", peer="10.0.0.1", state=state, bfd=bfd, reason=reason)
    return answer(sessions=[one])


def planes(*roles: pb.PlaneRole, ports: tuple[str, ...] = ()) -> pb.StatusResponse:
    names = ("kernel", "dpdk")
    made = [pb.PlaneState(name=name, role=role) for name, role in zip(names, roles, strict=False)]
    made[-1].ports.extend(ports)
    return answer(datapaths=made)


def rows(failed: int) -> pb.StatusResponse:
    return answer(counts=[pb.KindCount(kind=pb.KIND_ROUTE, desired=9, failed=failed)])


def not_ready(why: str) -> pb.StatusResponse:
    made = answer(not_ready=why)
    made.ready = not why
    return made


def live(session: int, state: str, reason: str = "") -> pb.StatusResponse:
    made = answer(reason=reason)
    made.session, made.session_state = session, state
    return made


def lost() -> pb.StatusResponse:
    made = answer()
    made.bridge = "lost"
    return made


ACTIVE, PREPARING = pb.PLANE_ROLE_ACTIVE, pb.PLANE_ROLE_PREPARING
BAD, GOOD, NOTE = Tone.BAD, Tone.GOOD, Tone.NOTE


@pytest.mark.parametrize(
    ("before", "after", "entries"),
    [
        (
            session("Established"),
            session("Idle", "Down", "BFD down received"),
            [Entry(BAD, "BGP 10.0.0.1", "Idle: BFD down received")],
        ),
        (session("Idle"), session("Active"), []),
        (session("Active"), session("Established"), [Entry(GOOD, "BGP 10.0.0.1", "Established")]),
        (
            session("Established", "Up"),
            session("Established", "Down"),
            [Entry(BAD, "BFD 10.0.0.1", "Down")],
        ),
        (session("Idle"), answer(), [Entry(NOTE, "BGP 10.0.0.1", "removed from VRF red")]),
        (rows(0), rows(3), [Entry(BAD, "route rows", "3 refused by the datapath")]),
        (rows(3), rows(2), []),
        (rows(3), rows(0), [Entry(GOOD, "route rows", "none refused any more")]),
        (
            answer(),
            not_ready("zebra is not connected"),
            [Entry(BAD, "node", "not ready: zebra is not connected")],
        ),
        (not_ready("x"), answer(), [Entry(GOOD, "node", "ready")]),
        (answer(), answer(degraded="no BFD"), [Entry(BAD, "node", "degraded: no BFD")]),
        (
            live(2, "live"),
            live(2, "idle", "zebra is gone"),
            [Entry(BAD, "FPM session 2", "idle: zebra is gone")],
        ),
        (live(2, "replaying"), live(2, "live"), [Entry(GOOD, "FPM session 2", "live")]),
        (answer(), lost(), [Entry(BAD, "frr-bridge", "lost")]),
        (
            planes(ACTIVE),
            planes(ACTIVE, PREPARING),
            [Entry(NOTE, "datapath dpdk", "preparing")],
        ),
        (
            planes(ACTIVE, PREPARING),
            planes(ACTIVE, PREPARING, ports=("eth1",)),
            [Entry(NOTE, "datapath dpdk", "took eth1")],
        ),
        (answer(), answer(), []),
    ],
)
def test_what_happened_between_two_answers(
    before: pb.StatusResponse, after: pb.StatusResponse, entries: list[Entry]
) -> None:
    assert list(differences(seen(before), seen(after))) == entries


def test_a_port_without_a_link_is_a_fault_unless_nobody_knows() -> None:
    def port(up: bool | None) -> pb.Port:
        link = None if up is None else pb.Link(up=up)
        return pb.Port(name="eth1", link=link)

    def said(before: bool | None, after: bool | None) -> list[Entry]:
        return list(differences(seen(answer(), port(before)), seen(answer(), port(after))))

    assert said(True, False) == [Entry(BAD, "port eth1", "down")]
    assert said(False, True) == [Entry(GOOD, "port eth1", "up")]
    assert said(True, None) == said(None, False) == []


def test_rates_are_growth_over_time_and_a_restarted_counter_has_none() -> None:
    now = {"a": (2000, 20, 0, 5, 0), "b": (1,) * 5, "new": (9,) * 5}
    before = {"a": (1000, 10, 0, 5, 0), "b": (7,) * 5}
    assert picture.rates(now, before, 2.0) == {"a": [500, 5, 0, 0, 0], "b": [0] * 5}
    assert picture.rates(now, before, 0.0) == {}


# -- the page's own files -------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_need_no_other_site_and_no_inline_script(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert path.suffix in app.TYPES
    assert "://" not in text
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", text)
    if path.suffix == ".js":
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        assert len(text.splitlines()) <= 250


def test_every_file_that_the_page_names_is_there() -> None:
    names = {path.name for path in FILES}
    for path in FILES:
        found = re.findall(
            r'(?:src|href|from )="?\.?/?"?([\w.-]+\.(?:js|css|svg))"', path.read_text()
        )
        found += re.findall(r'from "\./([\w.-]+)"', path.read_text())
        assert set(found) <= names


def test_every_id_that_scripts_use_is_in_the_page() -> None:
    text = (PAGE / "index.html").read_text()
    there = re.findall(r'\sid="([\w-]+)"', text)
    used = {i for path in FILES for i in re.findall(r'byId\("([\w-]+)"\)', path.read_text())}
    assert len(there) == len(set(there))
    assert used <= set(there)


def test_a_row_of_the_picture_is_short() -> None:
    vni = pb.Vni(vni=100, layer=3, vrf="red", state=pb.ROW_STATE_PROGRAMMED)
    [row] = picture.node([], [vni], [], [])["vnis"]
    assert row == {"vni": 100, "layer": 3, "vrf": "red", "vteps": [], "state": "programmed"}
    down = picture.node([], [vni], [], [pb.FrrVniState(vni=100, up=False)])["vnis"][0]
    assert down["down"] is True


STATES = pb.ROW_STATE_FAILED, pb.ROW_STATE_STALE, pb.ROW_STATE_PENDING


def test_the_worst_state_of_a_vtep_counts() -> None:
    rows_ = [pb.Vtep(vtep="192.0.2.1", state=state) for state in STATES]
    assert picture.node([], [], rows_, [])["vteps"] == {"192.0.2.1": "failed"}
