"""Only a complete dump proves that a row is absent."""

from __future__ import annotations

import errno

import pytest

from dualpath.netlink import numbers as n
from dualpath.netlink.message import assemble, request
from dualpath.netlink.reply import IncompleteDump, InterruptedDump, Reply
from tests.unit.dualpath.netlink.kernel import done, error, message, row

PORT = 4711
ASKED = assemble([request(n.RTM_GETNEIGH, n.NLM_F_DUMP, bytes(12))], 1)
MINE = {"port": PORT}
INTERRUPTED = n.NLM_F_MULTI | n.NLM_F_DUMP_INTR


def test_complete_dump_ends_with_its_rows() -> None:
    reply = Reply(ASKED, PORT)
    assert reply.rows(row(1, **MINE) + row(2, **MINE)) == row(1, **MINE) + row(2, **MINE)
    assert not reply.ended
    assert reply.rows(row(3, **MINE) + done(**MINE)) == row(3, **MINE)
    assert reply.ended


def test_messages_for_others_are_skipped() -> None:
    reply = Reply(ASKED, PORT)
    others = row(8, sequence=2, port=PORT) + row(9, port=PORT + 1) + done(port=PORT + 1)
    datagram = row(1, **MINE) + others + message(n.NLMSG_NOOP, port=PORT) + row(2, **MINE)
    assert reply.rows(datagram) == row(1, **MINE) + row(2, **MINE)
    assert not reply.ended


FAULTS = {
    "refused": [error(errno.ENOMEM, **MINE)],
    "refused after a row": [row(1, **MINE), error(errno.EBUSY, **MINE)],
    "errno in DONE": [row(1, **MINE) + done(errno.EMSGSIZE, **MINE)],
    "DONE without an errno": [row(1, **MINE), message(n.NLMSG_DONE, port=PORT)],
    "acknowledged": [error(0, **MINE)],
    "another type": [message(n.RTM_NEWLINK, bytes(16), port=PORT) + done(**MINE)],
    "overrun": [message(n.NLMSG_OVERRUN, port=PORT), done(**MINE)],
    "cut in a message": [row(1, **MINE)[:-3], done(**MINE)],
    "cut in a header": [row(1, **MINE) + row(2, **MINE)[:9], done(**MINE)],
    "interrupted": [row(1, flags=INTERRUPTED, port=PORT), done(**MINE)],
    "interrupted at the end": [row(1, **MINE), done(flags=INTERRUPTED, port=PORT)],
}


@pytest.mark.parametrize("datagrams", FAULTS.values(), ids=FAULTS.keys())
def test_incomplete_dump_is_never_reported_complete(datagrams: list[bytes]) -> None:
    reply = Reply(ASKED, PORT)
    with pytest.raises(IncompleteDump):
        [reply.rows(datagram) for datagram in datagrams]
    assert not reply.ended


def test_interrupted_dump_differs_from_a_refused_one() -> None:
    with pytest.raises(InterruptedDump):
        Reply(ASKED, PORT).rows(row(1, **MINE) + done(flags=INTERRUPTED, port=PORT))
    with pytest.raises(IncompleteDump, match=r"refused the dump: ENOMEM$") as refused:
        Reply(ASKED, PORT).rows(error(errno.ENOMEM, **MINE))
    assert refused.value.errno == errno.ENOMEM
