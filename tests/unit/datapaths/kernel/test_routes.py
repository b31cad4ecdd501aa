"""Malformed dumps of routes, which the kernel never sends, are repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from datapaths.base import Unavailable
from datapaths.kernel import routes
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.wire.routes import WITHDRAWAL
from dualpath.netlink import numbers as n
from dualpath.netlink.message import NLMSGHDR
from tests.fakes.batches import batch


async def test_malformed_dump_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dump(netns: str, request: bytes) -> AsyncIterator[bytes]:
        yield NLMSGHDR.pack(NLMSGHDR.size + 4, n.RTM_NEWROUTE, 0, 1, 0) + bytes(4)

    monkeypatch.setattr(routes, "dump", dump)
    with pytest.raises(Unavailable, match="cannot decode a dump"):
        [batch async for batch in routes.dump_routes("fwd", LinkTable())]


def test_only_the_last_row_of_a_prefix_is_written_in_a_mixed_batch() -> None:
    mixed = batch("+ 10.0.0.0/8 1", "- 10.0.0.0/8", "- 10.1.0.0/16", "+ 10.1.0.0/16 1")
    written = {shape: rows.tolist() for shape, rows in routes._by_shape(mixed)}
    assert written == {n.RTN_UNICAST: [3], WITHDRAWAL: [1]}
