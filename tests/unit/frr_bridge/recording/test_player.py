"""The player: a bridge that is fed from a recording ends as the one that recorded it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from frr_bridge.recording.pcapng import Entry, Feed, RecordingError
from frr_bridge.recording.player import Player
from frr_bridge.session import State
from tests.fakes.zebra import MemoryBus
from tests.unit.frr_bridge.wire import build

RTN_BLACKHOLE = 6
WHOLE = ("part 1", "dump begin", "dump end", "input connected")
LIVE = (*WHOLE, "input replayed", "input converged")


def route(third: int) -> bytes:
    return build.frames(build.route(bytes([20, 0, third, 0]), 24, kind=RTN_BLACKHOLE))


def withdrawal(third: int) -> bytes:
    return build.frames(build.withdrawal(bytes([20, 0, third, 0]), 24))


def played(*parts: str | bytes) -> tuple[Player, MemoryBus]:
    bus = MemoryBus()
    player = Player(bus)
    for _ in player.play(entries(parts)):
        pass
    return player, bus


def entries(parts: Sequence[str | bytes]) -> list[Entry]:
    return [
        Entry(at, Feed.FPM if isinstance(part, bytes) else Feed.MARK, _data(part))
        for at, part in enumerate(parts)
    ]


def _data(part: str | bytes) -> bytes:
    return part if isinstance(part, bytes) else part.encode()


def test_routes_of_a_replay_are_announced_and_swept() -> None:
    player, bus = played(*LIVE, route(1), route(2), withdrawal(1))
    assert player.bridge.session.state is State.LIVE
    assert bus.prefixes() == {"20.0.2.0/24"}


def test_withdrawals_of_a_bgpd_that_dies_meanwhile_are_held() -> None:
    _, bus = played(*LIVE, route(1), withdrawal(1), "input died within")
    assert bus.prefixes() == {"20.0.1.0/24"}


def test_death_between_two_entries_does_not_hold_what_came_before() -> None:
    player, bus = played(*LIVE, route(1), withdrawal(1), "input died")
    assert bus.prefixes() == set()
    assert player.bridge.session.state is State.HELD


def test_next_file_continues_in_the_state_that_it_names() -> None:
    half = len(route(2)) // 2
    player, bus = played(
        *LIVE,
        route(1),
        route(2)[:half],
        "part 2",
        "acknowledge 1",
        "state live",
        route(2),
    )
    assert player.bridge.session.number == 1
    assert bus.prefixes() == {"20.0.1.0/24", "20.0.2.0/24"}
    assert not player.remarks


def test_later_file_alone_is_played_and_what_is_missing_is_said() -> None:
    player, bus = played("part 4", "acknowledge 0", "state held", route(1), withdrawal(1))
    assert player.bridge.session.state is State.HELD
    assert bus.prefixes() == {"20.0.1.0/24"}
    assert "begins with part 4" in player.remarks[0]


def test_framing_error_ends_the_session_as_it_did(caplog: pytest.LogCaptureFixture) -> None:
    _, bus = played(*LIVE, route(1), b"garbage!", "input lost", "input connected", route(2))
    assert bus.prefixes() == {"20.0.1.0/24", "20.0.2.0/24"}
    assert "the session ended here" in caplog.text


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (("surprise",), "a mark that cannot be: 'surprise'"),
        (("part x",), "a mark that cannot be: 'part x'"),
        (("part 99999999999",), "a mark that cannot be"),
        (("state great",), "a mark that cannot be"),
        (("input great",), "a mark that cannot be: 'input great'"),
        (("input converged",), "'input converged' while idle"),
        (("input died within",) * 2 + ("input converged",), "while idle"),
        (("part 1", "part 3"), "part 3 does not follow part 1"),
        (("part 2", "part 1"), "part 1 does not follow part 2"),
        ((b"early",), "bytes of FPM without a session"),
    ],
)
def test_impossible_recording_is_refused(parts: Sequence[str | bytes], why: str) -> None:
    with pytest.raises(RecordingError, match=why):
        played(*parts)


def test_hostile_netlink_is_logged_and_skipped(caplog: pytest.LogCaptureFixture) -> None:
    player = Player(MemoryBus())
    (_,) = player.play([Entry(0, Feed.NETLINK, b"\xff" * 40)])
    assert "a message is malformed" in caplog.text
