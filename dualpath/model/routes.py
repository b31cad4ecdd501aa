"""Routes as batches of columns: the one shape in which routes travel."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

DEFAULT_VRF = "default"
"""The VRF of RT_TABLE_MAIN, as FRR names it."""

RTPROT_DUALPATH = 68
"""Our routing protocol number: the mark of our routes in a kernel.

0x44 is a D. Free in linux/rtnetlink.h, iproute2's rt_protos and FRR's zebra/rt_netlink.h.
"""

RTPROT_KERNEL = 2
"""Connected and local routes: the datapath makes them itself from its addresses."""


class Family(IntEnum):
    """An address family. Its value is the AF_ number, as messages carry it."""

    INET = socket.AF_INET
    INET6 = socket.AF_INET6

    @property
    def width(self) -> int:
        """Bytes in an address of this family."""
        return 4 if self is Family.INET else 16


class Op(IntEnum):
    UPSERT = 1
    WITHDRAW = 2


@dataclass(frozen=True, slots=True, eq=False)
class RouteBatch:
    """Changes to one VRF and address family; row i is the i-th of each column.

    Rows keep the order of their changes, and a later row for the same prefix wins.
    """

    vrf: str
    family: Family  # the same for every row, so a prefix has a fixed width
    ops: U8  # (n,): Op
    prefixes: U8  # (n, family.width): network byte order, host bits zero
    lengths: U8  # (n,): prefix length in bits
    protocols: U8  # (n,): RTPROT_* as zebra gave it; 0 on a withdrawal
    nexthops: U32  # (n,): nexthop id or handle, host byte order; 0 on a withdrawal

    def __post_init__(self) -> None:
        n = len(self.ops)
        shapes = self.prefixes.shape, self.lengths.shape, self.protocols.shape, self.nexthops.shape
        if shapes != ((n, self.family.width), (n,), (n,), (n,)):
            raise ValueError(f"columns disagree: {n} ops, but {shapes}")

    def __len__(self) -> int:
        return len(self.ops)

    def last_of_each(self) -> npt.NDArray[np.bool_]:
        """Return which rows no later row of the same prefix replaces."""
        count = len(self)
        keys = np.empty((count, self.family.width + 1), np.uint8)
        keys[:, :-1] = self.prefixes
        keys[:, -1] = self.lengths
        whole = keys.view(np.dtype((np.void, keys.shape[1]))).reshape(count)
        _, first = np.unique(whole[::-1], return_index=True)
        last = np.zeros(count, np.bool_)
        last[count - 1 - first] = True
        return last

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Self:
        """Return a batch of the chosen rows, in the chosen order."""
        return type(self)(
            self.vrf,
            self.family,
            self.ops[rows],
            self.prefixes[rows],
            self.lengths[rows],
            self.protocols[rows],
            self.nexthops[rows],
        )


def prefix_text(prefix: bytes, length: int) -> str:
    """Return `10.0.0.0/8` or `2001:db8::/32` for an address in network order."""
    return f"{ipaddress.ip_address(prefix)}/{length}"
