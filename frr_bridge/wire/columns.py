"""Decodes a whole buffer of FPM frames at once: routes into columns, everything else into objects.

zebra sends a million routes in a handful of forms, so most messages differ in a few words only:

    frames           size  type      family   decoded
    50,000 routes    56    NEWROUTE  INET     as a block of 50,000 rows of 14 words
    3 routes         88    NEWROUTE  INET     one by one: too few (FEW) for a block to pay
    2 nexthops       48    NEWNEXTHOP         one by one: not a route

Messages of equal length, type and family are gathered into a block and decoded column by column
(see `shape`). All others go through the scalar decoders. Both give the same result, and the rows
keep the order of the stream.

Rejected: the scalar decoders alone (3 to 6 us a route against 0.1), and columns alone (the unusual
forms need as much code again).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dualpath.model.routes import U32, Family, Op
from dualpath.netlink.message import NLMSG_HDRLEN, DecodeError, Message, header, messages
from dualpath.netlink.numbers import AF_INET, AF_INET6, RTM_DELROUTE, RTM_NEWROUTE
from frr_bridge.wire.fpm import HEADER, Offsets
from frr_bridge.wire.inline import Unsupported
from frr_bridge.wire.message import Other, decode_message
from frr_bridge.wire.nexthop import ZebraNexthop
from frr_bridge.wire.route import RTMSG, ZebraRoute
from frr_bridge.wire.shape import Mask, Shape, shape_of
from frr_bridge.wire.tables import Handles, Part, Rows, TableRoutes, by_key, by_table, part_of

__all__ = ["Decoded", "Handles", "TableRoutes", "decode"]

FEW = 12  # messages up to which the scalar decoder has the lower latency
MAX_SHAPES = 8  # examples tried among messages of equal length, type and family
RAW = 64  # bytes of a bad message that an error keeps

_LEAST = NLMSG_HDRLEN + RTMSG.size


@dataclass(slots=True)
class Decoded:
    """The contents of a buffer."""

    routes: list[TableRoutes] = field(default_factory=list)  # one per (family, table), sorted
    others: list[Other] = field(default_factory=list)  # in the stream's order
    errors: list[DecodeError] = field(default_factory=list)  # one per bad message
    ignored: int = 0  # messages of types that frr-bridge does not use


def decode(buffer: bytes, offsets: Offsets, handles: Handles) -> Decoded:
    """Decode the frames of `buffer` whose FPM headers lie at `offsets`, as the framer found them.

    Never raises, whatever the frames contain: a message that cannot be decoded is in `errors`. The
    rest of its frame is decoded if the message's length is possible. If only the contents of a
    route or nexthop cannot be decoded, the result also contains it, as an unsupported one.
    """
    decoder = _Decoder(buffer, handles)
    if len(offsets) <= FEW:
        decoder.decode_each(offsets)
    else:
        decoder.decode_columns(offsets)
    return decoder.finish()


class _Decoder:
    """The state of decoding one buffer."""

    def __init__(self, buffer: bytes, handles: Handles) -> None:
        self._buffer = buffer
        self._handles = handles
        self._decoded = Decoded()
        self._parts: dict[Family, list[Part]] = {}
        self._routes: list[tuple[int, ZebraRoute]] = []

    def decode_each(self, offsets: Offsets) -> None:
        """Decode every message of the frames one by one."""
        row = 0
        for offset in offsets.tolist():
            for message in self._messages(offset):
                self._decode(row, message)
                row += 1

    def decode_columns(self, offsets: Offsets) -> None:
        """Decode routes in columns, and all other messages one by one."""
        starts, sizes = self._locate(offsets)
        if not len(starts):
            return
        left = [np.empty(0, np.int64)]
        for rows, size in self._groups(starts, sizes, left):
            left.append(self._decode_group(rows, starts[rows], size))
        for row in np.sort(np.concatenate(left)).tolist():
            start = int(starts[row])
            self._decode(row, header(self._buffer, start, start + int(sizes[row])))

    def finish(self) -> Decoded:
        decoded = self._decoded
        decoded.errors.sort(key=lambda error: (error.offset, error.reason))
        self._routes.sort(key=lambda item: item[0])
        if not self._parts:
            decoded.routes = list(by_key([route for _, route in self._routes], self._handles))
            return decoded
        self._add_routes()
        for family in sorted(self._parts):
            decoded.routes += by_table(family, self._parts[family])
        return decoded

    # Finding the messages.

    def _messages(self, offset: int) -> Iterable[Message]:
        """Yield the messages of one frame; an impossible header ends the frame."""
        length = HEADER.unpack_from(self._buffer, offset)[2]
        try:
            yield from messages(self._buffer, offset + HEADER.size, offset + length)
        except DecodeError as error:
            self._fail(error, error.offset, offset + length)

    def _locate(self, offsets: Offsets) -> tuple[Rows, Rows]:
        """Return start and size of every message, in order."""
        octets = np.frombuffer(self._buffer, np.uint8)
        words = np.frombuffer(self._buffer, np.uint32, len(self._buffer) // 4)
        lengths = octets[offsets + 2].astype(np.int64) << 8 | octets[offsets + 3]
        sizes = lengths - HEADER.size
        inner = words.take((offsets >> 2) + 1, mode="clip")
        alone = (inner == sizes) & (sizes >= NLMSG_HDRLEN) & (offsets & 3 == 0)
        starts = offsets + HEADER.size
        if alone.all():
            return starts, sizes
        return self._split(offsets, starts, sizes, alone)

    def _split(self, offsets: Offsets, starts: Rows, sizes: Rows, alone: Mask) -> tuple[Rows, Rows]:
        """Insert the messages of frames that hold several, or none, in order."""
        several = [
            (frame, message.start, message.end - message.start)
            for frame in np.flatnonzero(~alone).tolist()
            for message in self._messages(int(offsets[frame]))
        ]
        more = np.array(several, np.int64).reshape(-1, 3)
        order = np.argsort(np.concatenate((np.flatnonzero(alone), more[:, 0])), kind="stable")
        return (
            np.concatenate((starts[alone], more[:, 1]))[order],
            np.concatenate((sizes[alone], more[:, 2]))[order],
        )

    def _groups(
        self, starts: Rows, sizes: Rows, left: list[Rows]
    ) -> Iterable[tuple[Rows | slice, int]]:
        """Yield the rows of routes of equal size, type and family; append others to `left`."""
        keys = self._keys(starts, sizes)
        if keys[0] and (keys == keys[0]).all():
            yield slice(None), int(sizes[0])
            return
        order = np.argsort(keys, kind="stable")  # a radix sort, as the keys have 16 bits
        ordered = keys[order]
        for rows in np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1):
            if len(rows) > FEW and keys[rows[0]]:
                yield rows, int(sizes[rows[0]])
            else:
                left.append(rows)

    def _keys(self, starts: Rows, sizes: Rows) -> npt.NDArray[np.uint16]:
        """Return a number for size, type and family; 0 unless it is a route of whole words."""
        octets = np.frombuffer(self._buffer, np.uint8)
        halves = np.frombuffer(self._buffer, np.uint16, len(self._buffer) // 2)
        types = halves.take((starts >> 1) + 2, mode="clip")
        families = octets.take(starts + NLMSG_HDRLEN, mode="clip")
        deleted, v6 = types == RTM_DELROUTE, families == AF_INET6
        route = (deleted | (types == RTM_NEWROUTE)) & (v6 | (families == AF_INET))
        route &= (sizes >= _LEAST) & ((sizes | starts) & 3 == 0)
        keys: npt.NDArray[np.uint16] = ((sizes | deleted << 1 | v6) * route).astype(np.uint16)
        return keys

    # Columns.

    def _decode_group(self, rows: Rows | slice, starts: Rows, size: int) -> Rows:
        """Decode messages of one size by their shapes; return the rows that are left."""
        block = self._block(starts, size)
        index = np.arange(len(starts)) if isinstance(rows, slice) else rows
        for _ in range(MAX_SHAPES):
            if len(index) <= FEW:
                break
            first = int(starts[0])
            shape = shape_of(header(self._buffer, first, first + size))
            found = shape.match(block) if shape else np.zeros(len(index), np.bool_)
            if shape and found.all():
                self._add(shape.family, _part(shape, index, block, self._handles))
                return index[:0]
            if shape and found.any():
                self._add(shape.family, _part(shape, index[found], block[found], self._handles))
            if not found[0]:  # the example itself is unusual: decode it alone
                self._decode(int(index[0]), header(self._buffer, first, first + size))
                found[0] = True
            index, starts, block = index[~found], starts[~found], block[~found]
        return index

    def _block(self, starts: Rows, size: int) -> U32:
        """Return messages of `size` bytes as rows of words; a view if they are evenly spaced."""
        words = np.frombuffer(self._buffer, np.uint32, len(self._buffer) // 4)
        first = int(starts[0]) >> 2
        step = (size + HEADER.size) >> 2
        if (np.diff(starts) == step * 4).all():
            frames = words[first - 1 : first - 1 + step * len(starts)]
            return frames.reshape(-1, step)[:, 1:]
        return words.take((starts >> 2)[:, None] + np.arange(size >> 2))

    def _add(self, family: Family, part: Part) -> None:
        self._parts.setdefault(family, []).append(part)

    # One by one.

    def _decode(self, row: int, message: Message) -> None:
        try:
            value = decode_message(message)
        except DecodeError as error:
            self._fail(error, message.start, message.end)
            return
        if isinstance(value, ZebraRoute | ZebraNexthop) and isinstance(value.nexthop, Unsupported):
            self._fail(value.nexthop.error, message.start, message.end)
        if value is None:
            self._decoded.ignored += 1
        elif isinstance(value, ZebraRoute):
            self._routes.append((row, value))
        else:
            self._decoded.others.append(value)

    def _fail(self, error: DecodeError, start: int, end: int) -> None:
        error.raw = self._buffer[start : min(end, start + RAW)]
        self._decoded.errors.append(error)

    def _add_routes(self) -> None:
        """Turn the routes that were decoded one by one into columns."""
        for family in Family:
            routes = [(row, route) for row, route in self._routes if route.family is family]
            if routes:
                self._add(family, part_of(family, routes, self._handles))


def _part(shape: Shape, rows: Rows, block: U32, handles: Handles) -> Part:
    """Decode rows that are all of one shape."""
    lengths = shape.lengths(block)
    op = Op.WITHDRAW if shape.deleted else Op.UPSERT
    return Part(
        rows=rows,
        tables=shape.tables(block),
        ops=np.full(len(block), op, np.uint8),
        prefixes=shape.prefixes(block, lengths),
        lengths=lengths,
        protocols=shape.protocols(block),
        nexthops=shape.nexthops(block, handles.by_id, handles.inline),
    )
