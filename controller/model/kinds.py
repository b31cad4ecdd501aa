"""The kinds of state, in the order in which a datapath must be given them."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a record or a batch is about.

    The numbers are the order of programming: a kind may refer only to smaller ones, so upserts go
    up this list and withdrawals come down it.
    """

    VRF = 1
    VNI = 2
    PORT = 3
    REMOTE_VTEP = 4
    FLOOD = 5
    MAC = 6
    NEIGHBOR = 7
    NEXTHOP = 8
    ROUTE = 9
    LSP = 10  # decoded and shown; no datapath takes it yet
