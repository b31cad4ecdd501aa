"""Successive interrupted event streams become one consistent stream."""

from __future__ import annotations

from datapaths.base import CaughtUp, Learned, LearnedMac, LearnedNeighbor, Lost, PortChanged
from datapaths.remote.picture import LOSABLE, Picture

ONE, TWO = LearnedMac(1, bytes(6)), LearnedMac(2, bytes(6))
HOST = LearnedNeighbor(1, bytes(4), bytes(6))
GONE = LearnedMac(2, bytes(6), gone=True)


def reported(picture: Picture, *events: Learned) -> list[Learned]:
    return [passed for event in events for passed in picture.apply(event)]


def test_first_stream_is_passed_on_unchanged() -> None:
    events: list[Learned] = [PortChanged("eth1", True), ONE, HOST, CaughtUp(), TWO, GONE]
    assert reported(Picture(), *events) == events


def test_second_stream_withdraws_hosts_that_it_does_not_repeat() -> None:
    picture = Picture()
    reported(picture, ONE, TWO, HOST, CaughtUp())
    assert picture.interrupted()
    assert not picture.interrupted()
    again = reported(picture, ONE, HOST, CaughtUp())
    assert again == [*map(Lost, LOSABLE), GONE]


def test_neighbor_changed_between_streams_is_reported() -> None:
    picture = Picture()
    reported(picture, HOST, CaughtUp())
    picture.interrupted()
    moved = LearnedNeighbor(1, bytes(4), b"\2" * 6)
    assert reported(picture, moved, CaughtUp())[-1] == moved


def test_stream_broken_before_it_caught_up_withdraws_nothing() -> None:
    picture = Picture()
    reported(picture, ONE, TWO, CaughtUp())
    picture.interrupted()
    reported(picture, ONE)
    picture.interrupted()
    assert GONE in reported(picture, ONE, CaughtUp())
