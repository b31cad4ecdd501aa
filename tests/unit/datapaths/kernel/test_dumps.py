"""An incomplete dump is never taken for the kernel's whole state, whichever code requests it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from datapaths.base import Unavailable
from datapaths.kernel import channel
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.routes import dump_routes
from datapaths.kernel.wire import neighbors
from datapaths.linux import filters as filters_module
from datapaths.linux.filters import Filters
from dualpath.netlink import numbers as n
from tests.unit.dualpath.netlink.kernel import LONG, Kernel, done, error, row

INTERRUPTED = n.NLM_F_MULTI | n.NLM_F_DUMP_INTR


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    made = Kernel()
    for module in (channel, filters_module):
        monkeypatch.setattr(module, "open_socket", lambda **_: made.ours)
        monkeypatch.setattr(module, "entered", nullcontext)  # entering a namespace needs root
    yield made
    made.close()


async def collected() -> list[int]:
    rows = await channel.collect("", neighbors.dump_request(socket.AF_BRIDGE))
    return [found.body[0] for found in rows]


async def test_collected_dump_is_complete(kernel: Kernel) -> None:
    kernel.send(row(1), row(2) + done())
    assert await collected() == [1, 2]


@pytest.mark.parametrize(
    "datagrams",
    [[error(errno.ENOMEM)], [row(1), done(errno.EMSGSIZE)], [LONG, done()]],
    ids=["refused", "errno in DONE", "truncated"],
)
async def test_incomplete_dump_is_unavailable(kernel: Kernel, datagrams: list[bytes]) -> None:
    kernel.send(*datagrams)
    with pytest.raises(Unavailable):
        await collected()


async def test_socket_closed_during_a_dump_is_unavailable(kernel: Kernel) -> None:
    kernel.send(row(1))
    kernel.end()
    with pytest.raises(Unavailable):
        await collected()


async def test_routes_that_change_during_their_dump_are_unavailable(kernel: Kernel) -> None:
    kernel.send(done(flags=INTERRUPTED))
    with pytest.raises(Unavailable):
        [batch async for batch in dump_routes("", LinkTable())]


async def test_write_without_a_reply_is_unavailable(kernel: Kernel) -> None:
    writer = channel.Channel("")
    kernel.end()
    with pytest.raises(Unavailable):
        await writer.send([neighbors.drop_self(1, bytes(6))])
    await writer.close()
    with pytest.raises(Unavailable, match="closed"):
        await writer.send([neighbors.drop_self(1, bytes(6))])


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EINVAL])
def test_unreadable_tc_filters_are_not_assumed_absent(kernel: Kernel, code: int) -> None:
    with Filters("") as filters:
        kernel.send(error(code))
        with pytest.raises(OSError, match="cannot read tc filters") as refused:
            filters.installed(7)
    assert refused.value.errno == code


def test_tc_filters_that_change_while_read_are_read_again(kernel: Kernel) -> None:
    with Filters("") as filters:
        kernel.send(done(flags=INTERRUPTED), done(sequence=2))
        assert filters.installed(7) == []
