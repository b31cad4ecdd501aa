"""Which hosts left with a port of their bridge."""

from __future__ import annotations

import socket

import pytest

from datapaths.linux.hostbridges import Flushes
from dualpath.netlink import numbers as n
from dualpath.netlink.message import DecodeError, attribute, request, u32
from dualpath.netlink.neighborcolumns import NDMSG

BRIDGE, PORT, OTHER = 5, 6, 7
A, B = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")


def row(kind: int, mac: bytes, port: int = PORT, bridge: int = BRIDGE) -> bytes:
    body = NDMSG.pack(socket.AF_BRIDGE, 0, 0, port, n.NUD_REACHABLE, 0, 0)
    body += attribute(n.NDA_LLADDR, mac)
    return request(kind, 0, body + u32(n.NDA_MASTER, bridge) if bridge else body)


def deleted(mac: bytes, port: int = PORT, bridge: int = BRIDGE) -> bytes:
    return row(n.RTM_DELNEIGH, mac, port, bridge)


def taken(flushes: Flushes, up: frozenset[int] = frozenset()) -> list[tuple[int, list[bytes]]]:
    return list(flushes.take(lambda port, _: port in up))


def test_macs_of_a_port_that_is_down_left() -> None:
    flushes = Flushes()
    flushes.feed(deleted(A) + deleted(B, OTHER))
    assert taken(flushes, up=frozenset({OTHER})) == [(BRIDGE, [A])]
    assert taken(flushes) == []


def test_mac_that_is_learned_again_did_not_leave() -> None:
    flushes = Flushes()
    flushes.feed(deleted(A) + deleted(B) + row(n.RTM_NEWNEIGH, A, OTHER))
    assert taken(flushes) == [(BRIDGE, [B])]


def test_learned_macs_are_told_by_bridge_and_port_once() -> None:
    flushes = Flushes()
    flushes.feed(row(n.RTM_NEWNEIGH, A) + row(n.RTM_NEWNEIGH, A, OTHER) + row(n.RTM_NEWNEIGH, B))
    assert list(flushes.take_learned()) == [(BRIDGE, OTHER, [A]), (BRIDGE, PORT, [B])]
    flushes.feed(row(n.RTM_NEWNEIGH, A) + deleted(A))
    assert list(flushes.take_learned()) == []


def test_port_is_asked_for_once() -> None:
    asked: list[tuple[int, int]] = []

    def carries(port: int, bridge: int) -> bool:
        asked.append((port, bridge))
        return False

    flushes = Flushes()
    flushes.feed(deleted(A) + deleted(B))
    assert list(flushes.take(carries)) == [(BRIDGE, [A, B])]
    assert asked == [(PORT, BRIDGE)]


def test_other_notifications_have_no_effect() -> None:
    neighbor = NDMSG.pack(socket.AF_INET, 0, 0, PORT, 0, 0, 0) + attribute(n.NDA_DST, bytes(4))
    flushes = Flushes()
    flushes.feed(
        deleted(A, bridge=0)  # of a VXLAN device itself
        + deleted(b"")
        + request(n.RTM_DELNEIGH, 0, neighbor)
        + request(n.RTM_NEWLINK, 0, bytes(16))
    )
    assert taken(flushes) == []


def test_truncated_notification_is_refused() -> None:
    with pytest.raises(DecodeError):
        Flushes().feed(request(n.RTM_DELNEIGH, 0, b"\x07"))
