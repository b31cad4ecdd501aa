"""Rows of FRR's namespace, from whole dumps and bursts of notifications. Pure.

A burst is 200,000 messages about 100,000 MACs, nearly all of two shapes. They become columns
(`dualpath.netlink.neighborcolumns`) if a buffer has nothing else; otherwise the messages are
decoded one by one. Both give the same rows, in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from dualpath.netlink.message import NLMSG_HDRLEN, U32, DecodeError, Message, cut, messages
from dualpath.netlink.neighborcolumns import FEW
from frr_bridge.wire.message import Other, decode_message
from frr_bridge.wire.neighbor import decode_neighbors
from frr_bridge.wire.route import ZebraRoute

log = logging.getLogger(__name__)


def decode_rows(buffer: bytes) -> Iterable[Other]:
    """Return the rows in a buffer of whole messages; skip what frr-bridge has no use for.

    Raises DecodeError, perhaps after some rows, if the messages cannot be told apart.
    """
    neighbors = decode_neighbors(buffer, cut(buffer))
    return _one_by_one(buffer) if neighbors is None else neighbors


def decode_datagrams(datagrams: Sequence[bytes]) -> Iterable[Iterable[Other]]:
    """Return the rows of each datagram; iterating may raise DecodeError as `decode_rows` does.

    The kernel sends a notification as a datagram of its own, so a burst is decoded as a whole.
    """
    sizes = [len(one) for one in datagrams]
    if len(datagrams) > FEW and all(
        size >= NLMSG_HDRLEN and U32.unpack_from(one)[0] == size
        for size, one in zip(sizes, datagrams, strict=True)
    ):
        offsets = [0, *accumulate(sizes)][:-1]
        neighbors = decode_neighbors(b"".join(datagrams), offsets)
        if neighbors is not None:
            return ((row,) for row in neighbors)
    return map(_one_by_one, datagrams)


def _one_by_one(buffer: bytes) -> Iterator[Other]:
    for message in messages(buffer):
        if decoded := _decode(message):
            yield decoded


def _decode(message: Message) -> Other | None:
    try:
        decoded = decode_message(message)
    except DecodeError as error:
        log.debug("netlink: %s", error)  # entries of kinds that frr-bridge does not use
        return None
    return None if isinstance(decoded, ZebraRoute) else decoded
