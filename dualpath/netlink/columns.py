"""Netlink messages as columns: the attributes of many messages, walked in step. Pure.

The first attribute of every message, then the second of every message that has one, and so on:

    message   step 1   step 2     step 3
    0         DST      PRIORITY   NH_ID
    1         DST      PRIORITY   NH_ID
    2         DST      TABLE

Step 2 yields PRIORITY for rows 0 and 1, then TABLE for row 2. That is fast because the messages of
a dump or a burst have few different layouts. `message.Attributes` is the reference for one message.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dualpath.netlink.message import NLMSG_HDRLEN, DecodeError
from dualpath.netlink.numbers import NLA_TYPE_MASK

U16s = npt.NDArray[np.uint16]
U32s = npt.NDArray[np.uint32]
Index = npt.NDArray[np.intp]
Rows = Index | slice


def walk(words: U32s, offsets: Index, fixed: int) -> Iterator[tuple[int, Rows, Index, U16s]]:
    """Yield (attribute type, rows that have it, offsets of its header, lengths with the header).

    `offsets` and the yielded ones count words of 4 bytes. `fixed` is the size in bytes of the
    structure between the header and the attributes. Raises DecodeError.
    """
    halves = words.view(np.uint16)
    start = offsets + (NLMSG_HDRLEN + fixed) // 4
    ends = offsets + words[offsets].astype(np.intp) // 4
    rows: Rows = slice(None)
    while True:
        more = start < ends
        if not more.all():
            rows = np.flatnonzero(more) if isinstance(rows, slice) else rows[more]
            start, ends = start[more], ends[more]
        if not len(start):
            return
        lengths, types = halves[start * 2], halves[start * 2 + 1] & NLA_TYPE_MASK
        following = start + (lengths.astype(np.intp) + 3) // 4
        if (lengths < 4).any() or (following > ends).any():
            raise DecodeError("attribute beyond its message", offset=int(start[0]) * 4)
        first = int(types[0])
        if (types == first).all():
            yield first, rows, start, lengths
        else:
            for type_ in np.unique(types).tolist():
                mine = np.flatnonzero(types == type_)
                yield (
                    type_,
                    mine if isinstance(rows, slice) else rows[mine],
                    start[mine],
                    lengths[mine],
                )
        start = following
