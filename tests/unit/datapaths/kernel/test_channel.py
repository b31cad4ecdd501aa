"""The socket filter, interpreted here instead of in the kernel."""

from __future__ import annotations

import pytest

from datapaths.kernel.channel import _filter
from dualpath.netlink import numbers as n
from dualpath.netlink.message import NLMSGHDR

OURS, THEIRS = 0x1234_5678, 77
LD_W, LD_H, LD_B, JEQ, JSET, RET = 0x20, 0x28, 0x30, 0x15, 0x45, 0x06


def passes(data: bytes) -> bool:
    """Interpret the filter over a message (linux/filter.h)."""
    program = _filter(OURS)
    at = accumulator = 0
    while True:
        code, true, false, k = program[at]
        at += 1
        match code:
            case 0x20 | 0x28 | 0x30:
                width = {LD_W: 4, LD_H: 2, LD_B: 1}[code]
                accumulator = int.from_bytes(data[k : k + width], "big")
            case 0x15:
                at += true if accumulator == k else false
            case 0x45:
                at += true if accumulator & k else false
            case _:
                assert code == RET
                return k != 0


BGP = 186  # RTPROT_BGP


def route(type_: int, pid: int, protocol: int, flags: int = 0) -> bytes:
    return NLMSGHDR.pack(28, type_, flags, 1, pid) + bytes([2, 24, 0, 0, 254, protocol]) + bytes(6)


@pytest.mark.parametrize("type_", [n.RTM_NEWROUTE, n.RTM_DELROUTE])
def test_socket_filter_drops_notifications_of_own_writes(type_: int) -> None:
    assert not passes(route(type_, OURS, n.RTPROT_DUALPATH, n.NLM_F_REPLACE))


@pytest.mark.parametrize("type_", [n.RTM_NEWROUTE, n.RTM_DELROUTE])
def test_socket_filter_passes_changes_of_own_routes_by_others(type_: int) -> None:
    assert passes(route(type_, THEIRS, n.RTPROT_DUALPATH))
    assert passes(route(type_, 0, n.RTPROT_DUALPATH))


def test_socket_filter_passes_only_replacements_of_foreign_routes() -> None:
    assert not passes(route(n.RTM_NEWROUTE, THEIRS, BGP, n.NLM_F_CREATE))
    assert not passes(route(n.RTM_DELROUTE, THEIRS, BGP))
    assert passes(route(n.RTM_NEWROUTE, THEIRS, BGP, n.NLM_F_REPLACE))


@pytest.mark.parametrize("protocol", [n.RTPROT_BOOT, n.RTPROT_STATIC, n.RTPROT_RA, n.RTPROT_DHCP])
def test_socket_filter_passes_deletions_of_routes_a_nic_may_have(protocol: int) -> None:
    assert passes(route(n.RTM_DELROUTE, THEIRS, protocol))


@pytest.mark.parametrize("type_", [n.RTM_NEWLINK, n.RTM_DELNEIGH, n.RTM_NEWNEXTHOP, n.RTM_DELADDR])
@pytest.mark.parametrize("pid", [OURS, THEIRS])
def test_socket_filter_passes_other_types(type_: int, pid: int) -> None:
    assert passes(route(type_, pid, n.RTPROT_DUALPATH))
