"""One stream out of several that broke."""

from __future__ import annotations

from datapaths.base import CaughtUp, Learned, LearnedMac, LearnedNeighbor, Lost, PortChanged
from datapaths.remote.picture import LOSABLE, Picture

ONE, TWO = LearnedMac(1, bytes(6)), LearnedMac(2, bytes(6))
HOST = LearnedNeighbor(1, bytes(4), bytes(6))
GONE = LearnedMac(2, bytes(6), gone=True)


def told(picture: Picture, *events: Learned) -> list[Learned]:
    return [said for event in events for said in picture.apply(event)]


def test_the_first_stream_passes_as_it_is() -> None:
    events: list[Learned] = [PortChanged("eth1", True), ONE, HOST, CaughtUp(), TWO, GONE]
    assert told(Picture(), *events) == events


def test_a_second_stream_reports_losses_and_withdraws_what_it_does_not_repeat() -> None:
    picture = Picture()
    told(picture, ONE, TWO, HOST, CaughtUp())
    assert picture.interrupted()
    assert not picture.interrupted()
    again = told(picture, ONE, HOST, CaughtUp())
    assert again == [*map(Lost, LOSABLE), GONE]


def test_a_neighbor_that_changed_between_streams_is_reported() -> None:
    picture = Picture()
    told(picture, HOST, CaughtUp())
    picture.interrupted()
    moved = LearnedNeighbor(1, bytes(4), b"\2" * 6)
    assert told(picture, moved, CaughtUp())[-1] == moved


def test_a_stream_that_broke_before_caught_up_withdraws_nothing() -> None:
    picture = Picture()
    told(picture, ONE, TWO, CaughtUp())
    picture.interrupted()
    told(picture, ONE)
    picture.interrupted()
    assert GONE in told(picture, ONE, CaughtUp())
