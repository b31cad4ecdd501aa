"""Which ARP and neighbor discovery frames claim an address, and which claim none."""

from __future__ import annotations

import random
import socket

import pytest

from datapaths.linux.wire.announcements import Announcement, decode, unanswered
from tests.unit.datapaths.kernel.frames import (
    ALL,
    OVERRIDE,
    SOLICITED,
    advertisement,
    arp,
    solicitation,
)

MAC = bytes.fromhex("0200000000aa")
V4, OTHER4 = bytes([192, 0, 2, 5]), bytes([192, 0, 2, 1])
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::5")
OTHER6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1")


@pytest.mark.parametrize(
    ("frame", "address", "gratuitous"),
    [
        (arp(1, MAC, V4, V4), V4, True),
        (arp(2, MAC, V4, V4, ALL), V4, True),
        (arp(2, MAC, V4, V4, MAC), V4, True),
        (arp(1, MAC, V4, OTHER4), V4, False),
        (arp(2, MAC, V4, OTHER4, MAC), V4, False),
        (arp(1, MAC, V4, OTHER4) + bytes(18), V4, False),
        (advertisement(MAC, V6), V6, True),
        (advertisement(MAC, V6, OVERRIDE | SOLICITED), V6, False),
        (solicitation(MAC, V6, OTHER6), V6, False),
    ],
)
def test_announcement_claims_the_senders_address(
    frame: bytes, address: bytes, gratuitous: bool
) -> None:
    assert decode(frame) == Announcement(address, MAC, gratuitous)


@pytest.mark.parametrize(
    "frame",
    [
        arp(1, MAC, bytes(4), V4),  # a probe
        arp(3, MAC, V4, V4),  # a reverse request
        arp(1, bytes(6), V4, V4),
        arp(1, ALL, V4, V4),
        advertisement(MAC, V6, 0),
        advertisement(MAC, V6, hops=254),
        advertisement(ALL, V6),
        solicitation(MAC, bytes(16), V6),  # duplicate address detection
        b"\xff" * 12 + b"\x08\x00" + bytes(46),
    ],
)
def test_frame_that_is_no_announcement_claims_nothing(frame: bytes) -> None:
    assert decode(frame) is None


@pytest.mark.parametrize("frame", [arp(1, MAC, V4, V4), advertisement(MAC, V6)])
def test_damaged_frame_raises_nothing(frame: bytes) -> None:
    chance = random.Random(7)
    for cut in range(len(frame)):
        assert decode(frame[:cut]) is None
    for _ in range(2000):
        damaged = bytearray(frame)
        damaged[chance.randrange(len(frame))] = chance.randrange(256)
        announced = decode(bytes(damaged))
        assert announced is None or (len(announced.address) in (4, 16) and len(announced.mac) == 6)


def test_gratuitous_request_is_repeated_as_a_reply_that_announces_the_same() -> None:
    request = arp(1, MAC, V4, V4)
    assert unanswered(request) == arp(2, MAC, V4, V4)
    assert decode(unanswered(request)) == decode(request)


@pytest.mark.parametrize(
    "frame",
    [
        arp(2, MAC, V4, V4, ALL),
        arp(1, MAC, V4, OTHER4),
        advertisement(MAC, V6),
        solicitation(MAC, V6, OTHER6),
        b"",
    ],
)
def test_other_frames_are_repeated_as_they_are(frame: bytes) -> None:
    assert unanswered(frame) == frame
