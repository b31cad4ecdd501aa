"""The kinds of state, in the order in which a datapath must receive them."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """The kind of a record or a batch.

    The list is the order of programming: a kind may refer only to kinds above it, so upserts follow
    this list downwards, and withdrawals upwards. The numbers cross the bus, so they never change.
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
    LSP = 10  # decoded and shown; no datapath programs it yet

    @property
    def word(self) -> str:
        """As people read it: remote-vtep."""
        return self.name.lower().replace("_", "-")
