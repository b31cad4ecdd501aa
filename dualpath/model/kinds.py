"""The kinds of state, in the order in which a datapath must be given them."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a record or a batch is about.

    The list is the order of programming: a kind may refer only to those above it, so upserts go
    down this list and withdrawals come up it. The numbers cross the bus, so they never change.
    """

    VRF = 1
    VNI = 2
    PORT = 3
    REMOTE_VTEP = 4
    FLOOD = 5
    ETHERNET_SEGMENT = 11
    MAC = 6
    NEIGHBOR = 7
    NEXTHOP = 8
    ROUTE = 9
    LSP = 10  # decoded and shown; no datapath takes it yet
