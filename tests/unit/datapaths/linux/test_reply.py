"""Only a whole dump says what is absent."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from datapaths.base import Unavailable
from datapaths.kernel import channel
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.routes import dump_routes
from datapaths.kernel.wire import neighbours
from datapaths.linux.filters import Filters
from datapaths.linux.replies import READ_BYTES, receive
from datapaths.linux.wire import filters as wire
from datapaths.linux.wire import numbers as n
from datapaths.linux.wire.message import NLMSGHDR, assemble
from datapaths.linux.wire.reply import Interrupted, NotWhole, Reply

SEQ, PORT = 1, 4711
ASKED = assemble([neighbours.dump_request(socket.AF_BRIDGE)], SEQ)


def message(
    type_: int, body: bytes = b"", *, flags: int = 2, seq: int = SEQ, pid: int = PORT
) -> bytes:
    return NLMSGHDR.pack(NLMSGHDR.size + len(body), type_, flags, seq, pid) + body


def row(mark: int, **head: int) -> bytes:
    return message(n.RTM_NEWNEIGH, bytes([mark] * 12), **head)


def done(code: int = 0, **head: int) -> bytes:
    return message(n.NLMSG_DONE, struct.pack("=i", -code), **head)


def refusal(code: int) -> bytes:
    return message(n.NLMSG_ERROR, struct.pack("=i", -code) + bytes(ASKED[:16]), flags=0)


def test_a_whole_dump_ends_with_its_rows() -> None:
    reply = Reply(ASKED, PORT)
    assert reply.rows(row(1) + row(2)) == row(1) + row(2)
    assert not reply.ended
    assert reply.rows(row(3) + done()) == row(3)
    assert reply.ended


def test_messages_for_others_are_passed_over() -> None:
    reply = Reply(ASKED, PORT)
    strangers = row(8, seq=SEQ + 1) + row(9, pid=PORT + 1) + done(pid=PORT + 1)
    assert reply.rows(row(1) + strangers + message(n.NLMSG_NOOP) + row(2)) == row(1) + row(2)
    assert not reply.ended


FAULTS = {
    "refused": [refusal(errno.ENOMEM)],
    "refused after a row": [row(1), refusal(errno.EBUSY)],
    "errno in DONE": [row(1) + done(errno.EMSGSIZE)],
    "DONE without an errno": [row(1), message(n.NLMSG_DONE)],
    "acknowledged": [refusal(0)],
    "another type": [message(n.RTM_NEWLINK, bytes(16)) + done()],
    "overrun": [message(n.NLMSG_OVERRUN), done()],
    "cut in a message": [row(1)[:-3], done()],
    "cut in a header": [row(1) + row(2)[:9], done()],
    "interrupted": [row(1, flags=2 | n.NLM_F_DUMP_INTR), done()],
    "interrupted at the end": [row(1), done(flags=2 | n.NLM_F_DUMP_INTR)],
}


@pytest.mark.parametrize("datagrams", FAULTS.values(), ids=FAULTS.keys())
def test_a_dump_that_is_not_whole_never_ends(datagrams: list[bytes]) -> None:
    reply = Reply(ASKED, PORT)
    with pytest.raises(NotWhole):
        [reply.rows(datagram) for datagram in datagrams]
    assert not reply.ended


def test_an_interrupted_dump_is_told_from_a_refused_one() -> None:
    with pytest.raises(Interrupted):
        Reply(ASKED, PORT).rows(row(1) + done(flags=2 | n.NLM_F_DUMP_INTR))
    with pytest.raises(NotWhole) as refused:
        Reply(ASKED, PORT).rows(refusal(errno.ENOMEM))
    assert refused.value.errno == errno.ENOMEM


# -- those who dump --------------------------------------------------------------------------


class Kernel:
    """Has its reply ready before it is asked."""

    def __init__(self) -> None:
        self.ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READ_BYTES)

    def say(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self._theirs.send(datagram)

    def end(self) -> None:
        self._theirs.close()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    made = Kernel()
    monkeypatch.setattr(channel, "_open", lambda _: made.ours)
    monkeypatch.setattr(channel, "ANSWER_S", 0.05)
    yield made
    made.ours.close()
    made.end()


async def collected() -> list[int]:
    rows = await channel.collect("", neighbours.dump_request(socket.AF_BRIDGE))
    return [found.body[0] for found in rows]


async def test_a_collected_dump_is_whole(kernel: Kernel) -> None:
    kernel.say(row(1, pid=0), row(2, pid=0) + done(pid=0))
    assert await collected() == [1, 2]


@pytest.mark.parametrize(
    "datagrams",
    [
        [message(n.NLMSG_ERROR, struct.pack("=i", -errno.ENOMEM) + bytes(16), pid=0)],
        [row(1, pid=0), done(errno.EMSGSIZE, pid=0)],
        [row(1, pid=0)],  # and no more
        [row(1, pid=0) * (READ_BYTES // 28 + 1), done(pid=0)],
    ],
    ids=["refused", "errno in DONE", "mute", "longer than the buffer"],
)
async def test_a_dump_that_is_not_whole_is_unavailable(
    kernel: Kernel, datagrams: list[bytes]
) -> None:
    kernel.say(*datagrams)
    with pytest.raises(Unavailable):
        await collected()


async def test_a_socket_that_ends_in_a_dump_is_unavailable(kernel: Kernel) -> None:
    kernel.say(row(1, pid=0))
    kernel.end()
    with pytest.raises(Unavailable):
        await collected()


async def test_routes_that_change_while_they_are_dumped_are_unavailable(kernel: Kernel) -> None:
    kernel.say(done(flags=2 | n.NLM_F_DUMP_INTR, pid=0))
    with pytest.raises(Unavailable):
        [batch async for batch in dump_routes("", LinkTable())]


def test_a_datagram_that_was_cut_is_no_reply() -> None:
    kernel = Kernel()
    kernel.say(row(1) * (READ_BYTES // 28 + 1))
    with pytest.raises(NotWhole, match="cut short"):
        receive(kernel.ours)
    kernel.ours.close()
    kernel.end()


@pytest.fixture
def filters(kernel: Kernel) -> Filters:
    made = object.__new__(Filters)
    made._priorities, made._socket, made._sequence = wire.TWIN_PRIORITIES, kernel.ours, 0
    return made


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EINVAL])
def test_filters_that_cannot_be_read_are_not_absent(
    filters: Filters, kernel: Kernel, code: int
) -> None:
    kernel.say(message(n.NLMSG_ERROR, struct.pack("=i", -code) + bytes(16), flags=0, pid=0))
    with pytest.raises(OSError, match="cannot read tc filters") as refused:
        filters.installed(7)
    assert refused.value.errno == code


def test_filters_that_change_while_they_are_read_are_read_again(
    filters: Filters, kernel: Kernel
) -> None:
    kernel.say(done(flags=2 | n.NLM_F_DUMP_INTR, pid=0), done(pid=0, seq=SEQ + 1))
    assert filters.installed(7) == []
