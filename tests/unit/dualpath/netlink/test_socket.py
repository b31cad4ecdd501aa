"""Netlink sockets: every user detects the same faults."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator

import pytest

from dualpath.netlink import numbers as n
from dualpath.netlink import socket as netlink
from dualpath.netlink.message import Answer, header, messages, request
from dualpath.netlink.reply import IncompleteDump, InterruptedDump
from dualpath.netlink.socket import READ_BYTES, Notifications, Overrun, Requests, receive
from tests.fakes.visits import allocated
from tests.unit.dualpath.netlink.kernel import LONG, Kernel, done, error, message, row

GET = request(n.RTM_GETNEIGH, n.NLM_F_DUMP, bytes(12))
NEW = request(n.RTM_NEWNEIGH, 0, bytes(12))
INTERRUPTED = n.NLM_F_MULTI | n.NLM_F_DUMP_INTR


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.close()


@pytest.fixture
def requests(kernel: Kernel) -> Requests:
    return Requests(kernel.ours, timeout_s=0.05)


class Full(socket.socket):
    """A socket whose reads fail once, and block afterwards."""

    code = errno.ENOBUFS

    def recvmsg_into(self, *_: object) -> tuple[int, list[tuple[int, int, bytes]], int, object]:
        code, self.code = self.code, errno.EAGAIN
        raise OSError(code, "as the kernel has it")


class Forged(socket.socket):
    """A socket to which another process writes before the kernel does."""

    reads = 0

    def recvmsg_into(  # type: ignore[override]  # as `receive` calls it
        self, buffers: list[memoryview], *_: object
    ) -> tuple[int, list[tuple[int, int, bytes]], int, object]:
        self.reads += 1
        forged = self.reads == 1
        data = b"forged" if forged else b"row"
        buffers[0][: len(data)] = data
        return len(data), [], 0, (4321 if forged else 0, 0)


# -- receive ---------------------------------------------------------------------------------


def test_truncated_datagram_is_an_overrun(kernel: Kernel) -> None:
    kernel.send(LONG)
    with pytest.raises(Overrun, match=str(READ_BYTES)):
        receive(kernel.ours)


def test_full_buffer_is_an_overrun() -> None:
    with Full(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock, pytest.raises(Overrun):
        receive(sock)


def test_closed_socket_is_an_error_and_no_overrun(kernel: Kernel) -> None:
    kernel.end()
    with pytest.raises(ConnectionResetError):
        receive(kernel.ours)


def test_datagram_of_another_process_is_skipped() -> None:
    with Forged(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        assert receive(sock) == b"row"


def test_read_allocates_its_datagram_only(kernel: Kernel) -> None:
    kernel.send(b"first", b"second")
    receive(kernel.ours)  # this thread has its buffer from now on
    assert allocated(lambda: receive(kernel.ours)) < READ_BYTES // 16


# -- requests --------------------------------------------------------------------------------


def test_refused_requests_are_reported_by_position(requests: Requests, kernel: Kernel) -> None:
    kernel.send(error(errno.EEXIST, sequence=2), error(0, sequence=3))
    assert requests.send([NEW, NEW, NEW]) == [(1, Answer(2, errno.EEXIST))]
    assert [sent.sequence for sent in messages(kernel.received())] == [1, 2, 3]


def test_replies_to_earlier_requests_are_skipped(requests: Requests, kernel: Kernel) -> None:
    kernel.send(error(0, sequence=1))
    assert requests.errno_of(NEW) == 0
    kernel.send(error(errno.EPERM, sequence=1), row(1, sequence=2), error(errno.EBUSY, sequence=2))
    assert requests.errno_of(NEW) == errno.EBUSY


def test_replies_to_other_processes_are_skipped(requests: Requests, kernel: Kernel) -> None:
    kernel.send(error(errno.EPERM, port=99), error(0))
    assert requests.errno_of(NEW) == 0


def test_empty_list_of_requests_waits_for_no_reply(requests: Requests) -> None:
    assert requests.send([]) == []


@pytest.mark.parametrize(
    ("datagrams", "code"),
    [
        ([], errno.ETIMEDOUT),
        ([error(errno.EPERM, sequence=7)], errno.ETIMEDOUT),
        ([b"\xff" * 20], errno.EBADMSG),
        ([message(n.NLMSG_ERROR, b"\1")], errno.EBADMSG),
        ([LONG], errno.EMSGSIZE),
    ],
    ids=["mute", "answers another", "no message", "no errno", "truncated"],
)
def test_missing_reply_is_an_error(
    requests: Requests, kernel: Kernel, datagrams: list[bytes], code: int
) -> None:
    calls: list[Callable[[bytes], object]] = [requests.errno_of, requests.ask]
    for call in calls:
        kernel.send(*datagrams)
        with pytest.raises(OSError, match=r".") as refused:
            call(NEW)
        assert refused.value.errno == code
        requests._next = 1


def test_query_has_exactly_one_reply(requests: Requests, kernel: Kernel) -> None:
    kernel.send(row(1, sequence=9), row(2))
    assert requests.ask(GET).body == bytes([2] * 12)
    kernel.send(error(errno.ENETUNREACH, sequence=2))
    with pytest.raises(OSError, match="unreachable") as refused:
        requests.ask(GET)
    assert refused.value.errno == errno.ENETUNREACH


def test_sequence_numbers_start_over_before_they_overflow(requests: Requests) -> None:
    requests._next = (1 << 32) - 2
    assert requests.reserve(2) == 1
    assert requests.reserve(1) == 3


# -- dumps -----------------------------------------------------------------------------------


async def streamed(kernel: Kernel) -> list[int]:
    found: list[int] = []
    async for data in netlink.dump(kernel.ours, GET, timeout_s=0.05):
        found += [one.body[0] for one in messages(data)]
    return found


async def blocking(kernel: Kernel) -> list[int]:
    return [one.body[0] for one in Requests(kernel.ours, timeout_s=0.05).dump(GET)]


DUMPS = pytest.mark.parametrize("dump", [streamed, blocking])


@DUMPS
async def test_complete_dump_has_all_rows(dump: Callable[..., object], kernel: Kernel) -> None:
    kernel.send(row(1), row(7, sequence=2), row(2) + done())
    assert await dump(kernel) == [1, 2]  # type: ignore[misc]
    asked = kernel.received()
    assert header(asked, 0, len(asked)).type == n.RTM_GETNEIGH


@DUMPS
@pytest.mark.parametrize(
    ("datagrams", "code"),
    [
        ([error(errno.ENOMEM)], errno.ENOMEM),
        ([row(1), done(errno.EMSGSIZE)], errno.EMSGSIZE),
        ([row(1)], errno.ETIMEDOUT),
        ([LONG, done()], errno.EMSGSIZE),
        ([row(1)[:-3], done()], errno.EBADMSG),
    ],
    ids=["refused", "errno in DONE", "mute", "truncated", "malformed"],
)
async def test_faults_make_a_dump_incomplete(
    dump: Callable[..., object], kernel: Kernel, datagrams: list[bytes], code: int
) -> None:
    kernel.send(*datagrams)
    with pytest.raises(IncompleteDump) as refused:
        await dump(kernel)  # type: ignore[misc]
    assert refused.value.errno == code


@DUMPS
async def test_closed_socket_makes_a_dump_incomplete(
    dump: Callable[..., object], kernel: Kernel
) -> None:
    kernel.send(row(1))
    kernel.end()
    with pytest.raises(IncompleteDump):
        await dump(kernel)  # type: ignore[misc]


async def test_interrupted_dump_is_reported_at_its_end(kernel: Kernel) -> None:
    kernel.send(row(1, flags=INTERRUPTED), row(2), done())
    with pytest.raises(InterruptedDump):
        await streamed(kernel)


async def test_interrupted_small_dump_is_repeated(kernel: Kernel) -> None:
    kernel.send(row(1), done(flags=INTERRUPTED), row(2, sequence=2), done(sequence=2))
    assert await blocking(kernel) == [2]


async def test_small_dump_that_is_always_interrupted_is_incomplete(kernel: Kernel) -> None:
    for sequence in range(1, netlink.INTERRUPTED_DUMPS + 1):
        kernel.send(done(flags=INTERRUPTED, sequence=sequence))
    with pytest.raises(IncompleteDump, match="20 dumps") as refused:
        await blocking(kernel)
    assert refused.value.errno == errno.EAGAIN


async def test_streamed_dump_waits_without_blocking(kernel: Kernel) -> None:
    found = asyncio.create_task(streamed(kernel))
    await asyncio.sleep(0)
    kernel.send(row(1) + done())
    assert await found == [1]


# -- notifications ---------------------------------------------------------------------------


def test_notifications_are_read_without_blocking(kernel: Kernel) -> None:
    follower = Notifications(kernel.ours, ())
    assert follower.read() == b""
    kernel.send(row(1), row(2), row(3))
    assert follower.read() == row(1)
    assert follower.read(10) == row(2) + row(3)


def test_truncated_notification_is_an_overrun(kernel: Kernel) -> None:
    follower = Notifications(kernel.ours, ())
    kernel.send(LONG)
    with pytest.raises(Overrun):
        follower.read()


async def test_draining_ignores_overruns_and_ends_when_the_socket_is_empty(kernel: Kernel) -> None:
    follower = Notifications(kernel.ours, ())
    kernel.send(row(1), LONG, row(2))
    seen: list[bytes] = []
    await follower.empty(seen.append)
    assert seen == [row(1), row(2)]
    assert follower.read() == b""


async def test_draining_a_full_socket_continues_after_enobufs() -> None:
    with Full(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        await Notifications(sock, ()).empty()
        assert sock.code == errno.EAGAIN


async def test_draining_a_closed_socket_is_an_error(kernel: Kernel) -> None:
    kernel.end()
    with pytest.raises(OSError, match="closed"):
        await Notifications(kernel.ours, ()).empty()


# -- the kernel of this machine --------------------------------------------------------------


async def test_links_of_this_namespace_can_be_dumped() -> None:
    links = request(n.RTM_GETLINK, n.NLM_F_DUMP, bytes(16))
    with Requests(netlink.open_socket()) as asking:
        found = {one.type for one in asking.dump(links)}
        assert asking.port != 0
        assert not asking.closed
    assert asking.closed
    with netlink.open_socket() as sock:
        streamed = [data async for data in netlink.dump(sock, links)]
    assert found == {one.type for data in streamed for one in messages(data)} == {n.RTM_NEWLINK}


def test_refusal_by_this_kernel_has_its_errno() -> None:
    with Requests(netlink.open_socket()) as asking:
        assert asking.errno_of(request(n.RTM_DELLINK, 0, bytes(16))) in (errno.EINVAL, errno.EPERM)
