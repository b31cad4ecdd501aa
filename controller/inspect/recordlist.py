"""Pages of records that pass the filters of one ListRequest, one message at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from itertools import chain, islice

from controller.inspect.filters import RecordFilter, page_token, parse_position, position
from controller.inspect.routelist import MESSAGE_ROWS
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, RemoteVtep
from dualpath.model.view import RecordRow, StateView
from dualpath.pb import inspect_pb2 as pb

Page = tuple[list[RecordRow], str]


async def pages(view: StateView, request: pb.ListRequest, *kinds: Kind) -> AsyncIterator[Page]:
    """Yield pages of rows, each with its page token. Raises BadRequest.

    A token names a row, not a position, so removed rows hide no others. Pass kinds in ascending
    order.
    """
    wanted = RecordFilter(request, view)
    after = parse_position(request.page_token)
    source = (row for row in _records(view, *kinds) if position(row) > after)
    left = request.limit
    page: list[RecordRow] = []
    while part := list(islice(source, MESSAGE_ROWS)):
        for row in part:
            if wanted.passes(row):
                page.append(row)
            if left and len(page) == left:
                yield page, page_token(row)
                return
        left -= len(page) if left else 0
        if page:
            yield page, ""
        page = []
        await asyncio.sleep(0)


async def remote_vteps(view: StateView) -> dict[object, set[bytes]]:
    """Return the remote VTEPs of every VNI."""
    vteps: dict[object, set[bytes]] = defaultdict(set)
    source = _records(view, Kind.FLOOD, Kind.REMOTE_VTEP)
    while part := list(islice(source, MESSAGE_ROWS)):
        for row in part:
            if isinstance(row.record, Flood | RemoteVtep):
                vteps[row.record.vni].add(row.record.vtep)
        await asyncio.sleep(0)
    return vteps


def _records(view: StateView, *kinds: Kind) -> Iterator[RecordRow]:
    return chain.from_iterable(map(view.records, kinds))
