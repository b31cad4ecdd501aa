"""The netlink feed: only a complete dump withdraws rows, and no row is lost for good."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from dualpath.netlink.message import Message, attribute
from dualpath.netlink.numbers import (
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_NOOP,
    NLMSG_OVERRUN,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
)
from dualpath.netlink.socket import READ_BYTES
from frr_bridge import watch as watch_module
from frr_bridge.watch import Watch
from frr_bridge.wire.message import Other
from frr_bridge.wire.neighbor import NeighborMessage
from tests.fakes.netlink import FakeKernel, Faults, done, is_fdb, mac_body, refusal, reply, row
from tests.fakes.waiting import until

END = "end"


class World:
    """A watch on a fake kernel, and its calls: MACs by their last byte, and ends of dumps."""

    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel = kernel
        self.told: list[object] = []
        self.troubles: list[str] = []
        self.watch = Watch(
            on_begin=lambda: None,
            on_message=self._message,
            on_end=lambda: self.told.append(END),
            on_trouble=self.troubles.append,
        )

    def _message(self, message: Other) -> None:
        assert isinstance(message, NeighborMessage)
        self.told.append(message.lladdr[-1])

    @property
    def known(self) -> set[object]:
        return set(self.told) - {END}


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    kernel = FakeKernel(room=4)
    monkeypatch.setattr(watch_module, "_socket", kernel.open)
    monkeypatch.setattr(watch_module, "_listen", kernel.listen)
    monkeypatch.setattr(watch_module, "_RETRY_S", 0.001)
    made = World(kernel)
    yield made
    made.watch.close()
    kernel.close()


@pytest.fixture
async def running(world: World) -> AsyncIterator[World]:
    task = asyncio.create_task(world.watch.run())
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def of_fdb(datagrams: Callable[[int, bytes], list[bytes]]) -> Faults:
    """Answer dumps of the FDB, and no others, with these datagrams."""

    def fault(asked: Message, wanted: bytes) -> list[bytes] | None:
        return datagrams(asked.sequence, wanted) if is_fdb(asked, wanted) else None

    return fault


def interrupted(message: bytes) -> bytes:
    flags = int.from_bytes(message[6:8], "little") | NLM_F_DUMP_INTR
    return message[:6] + flags.to_bytes(2, "little") + message[8:]


def row_of_64_bytes(sequence: int) -> bytes:
    """Return a row of which many fit a buffer exactly: a cut leaves no half message."""
    return reply(RTM_NEWNEIGH, sequence, mac_body(1) + attribute(0x3F, bytes(12)))


FAULTS: dict[str, Callable[[int, bytes], list[bytes]]] = {
    "refused at once": lambda _, wanted: [refusal(wanted, errno.ENOMEM)],
    "refused after a row": lambda seq, wanted: [row(seq, 1), refusal(wanted, errno.EBUSY)],
    "errno in DONE": lambda seq, _: [row(seq, 1) + done(seq, errno.EMSGSIZE)],
    "acknowledged without rows": lambda _, wanted: [refusal(wanted, 0)],
    "interrupted in a row": lambda seq, _: [interrupted(row(seq, 1)), done(seq)],
    "interrupted in DONE": lambda seq, _: [row(seq, 1), interrupted(done(seq))],
    "longer than the buffer": lambda seq, _: [
        row_of_64_bytes(seq) * (READ_BYTES // 64 + 1),
        done(seq),
    ],
    "cut in a message": lambda seq, _: [row(seq, 1)[:-4]],
    "DONE without room for errno": lambda seq, _: [reply(NLMSG_DONE, seq, bytes(2))],
    "overrun": lambda seq, _: [reply(NLMSG_OVERRUN, seq)],
    "rows of another type": lambda seq, _: [reply(RTM_NEWLINK, seq, bytes(16)), done(seq)],
    "the socket ends": lambda _seq, _: [],
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_incomplete_dump_withdraws_nothing(
    world: World, fault: Callable[[int, bytes], list[bytes]]
) -> None:
    world.kernel.macs = {1, 2}
    world.kernel.faults = of_fdb(fault)
    assert not await world.watch._dump()
    assert END not in world.told
    assert "bridge entries" in world.troubles[0]
    world.kernel.faults = lambda *_: None
    assert await world.watch._dump()
    assert (world.known, world.told[-1]) == ({1, 2}, END)
    assert world.troubles[1:] == [""]


@pytest.mark.parametrize("which", range(5))
async def test_refusal_of_any_dump_withdraws_nothing(world: World, which: int) -> None:
    refused = watch_module.REQUESTS[which][1]

    def fault(_asked: Message, wanted: bytes) -> list[bytes] | None:
        alike = (wanted[4:6], wanted[16:]) == (refused[4:6], refused[16:])
        return [refusal(wanted, errno.ENOMEM)] if alike else None

    world.kernel.faults = fault
    assert not await world.watch._dump()
    assert END not in world.told


async def test_kernel_that_does_not_answer_withdraws_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_ANSWER_S", 0.01)
    world.kernel.faults = of_fdb(lambda seq, _: [row(seq, 1)])  # and no more
    assert not await world.watch._dump()
    assert END not in world.told
    assert "did not answer" in world.troubles[0]


async def test_dump_without_a_socket_withdraws_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(watch_module, "_socket", refuse)
    assert not await world.watch._dump()
    assert END not in world.told
    assert "Too many open files" in world.troubles[0]


async def test_replies_to_others_are_skipped(world: World) -> None:
    """Another sequence number or port: neither rows nor ends of our dump."""
    world.kernel.faults = of_fdb(
        lambda seq, _: [
            row(seq + 7, 9) + done(seq + 7),
            row(seq, 8, port=4711),
            reply(NLMSG_NOOP, seq),
            row(seq, 1),
            done(seq),
        ]
    )
    assert await world.watch._dump()
    assert world.known == {1}


async def test_interrupted_dump_is_repeated_at_once(world: World) -> None:
    tries = iter(range(3))

    def once(seq: int, _: bytes) -> list[bytes]:
        if next(tries) < 2:
            return [interrupted(row(seq, 1)), done(seq)]
        return [row(seq, 2), done(seq)]

    world.kernel.faults = of_fdb(once)
    assert await world.watch._dump()
    assert world.told == [1, 1, 2, END]
    assert world.troubles == []


async def test_refused_dump_is_repeated_until_it_is_complete(
    running: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    running.kernel.macs = {1}
    running.kernel.faults = lambda _, wanted: [refusal(wanted, errno.ENOMEM)]
    await until(lambda: running.watch.dumps > 3)
    assert END not in running.told
    assert not running.watch.whole
    running.kernel.faults = lambda *_: None
    await until(lambda: running.watch.whole)
    assert running.told == [1, END]
    lines = [record.message for record in caplog.records if "netlink" in record.message]
    assert lines == [
        "netlink: cannot read FRR's namespace (links: the kernel refused the dump: ENOMEM);"
        " nothing is withdrawn; retrying",
        "netlink: FRR's namespace can be read again",
    ]


async def test_notifications_are_applied_while_dumps_are_refused(running: World) -> None:
    running.kernel.faults = lambda _, wanted: [refusal(wanted, errno.ENOMEM)]
    await until(lambda: running.watch.dumps > 1)
    running.kernel.add(7)
    await until(lambda: 7 in running.told)


async def test_dump_shows_what_the_kernel_dropped_before_it(
    running: World,
) -> None:
    """After ENOBUFS it drops in silence; a dump that begins earlier passes by what comes next."""
    kernel = running.kernel
    await until(lambda: running.watch.whole)
    kernel.add(*range(10))  # room for 4
    late = iter([20, 21])

    def add_late() -> None:
        kernel.on_dumped = lambda: None
        kernel.add(*late)

    kernel.on_dumped = add_late
    running.watch.drain()
    await until(lambda: running.watch.whole and running.watch.dumps > 1)
    assert running.known == {*range(10), 20, 21}


async def test_overrun_during_a_dump_causes_another_dump(running: World) -> None:
    kernel = running.kernel
    bursts = iter([range(10), range(10, 20)])

    def burst() -> None:
        kernel.add(*next(bursts, ()))

    kernel.on_dumped = burst
    await until(lambda: running.watch.dumps > 2 and running.watch.whole)
    assert running.known == set(range(20))


async def test_overrun_before_the_first_dump_is_not_reported(world: World) -> None:
    world.kernel.add(*range(10))
    task = asyncio.create_task(world.watch.run())
    await until(lambda: world.watch.whole)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (world.known, world.troubles, len(world.kernel.news)) == (set(range(10)), [], 1)


async def test_notifications_during_a_dump_come_after_its_rows(running: World) -> None:
    running.kernel.macs = {1, 2}

    def notify() -> None:
        running.kernel.on_dumped = lambda: None
        running.kernel.add(7)
        running.watch.drain()

    running.kernel.on_dumped = notify
    await until(lambda: running.watch.whole and 7 in running.told)
    assert running.told == [1, 2, END, 7]


async def test_watch_is_not_whole_between_an_overrun_and_the_next_dump(world: World) -> None:
    assert not world.watch.whole
    world.watch._again = False
    assert world.watch.whole
    world.kernel.add(*range(10))
    world.watch.drain()
    assert not world.watch.whole
    assert world.watch._wake.is_set()


@pytest.mark.parametrize(
    "datagram",
    [
        b"\x05\0\0\0" + bytes(12),
        reply(RTM_NEWLINK, 0, bytes(READ_BYTES)),
        row_of_64_bytes(0) * (READ_BYTES // 64 + 1),
    ],
    ids=["a length that cannot be", "cut", "cut between two messages"],
)
async def test_malformed_notification_causes_another_dump(running: World, datagram: bytes) -> None:
    await until(lambda: running.watch.whole)
    running.kernel.news[-1].notify(datagram)
    running.watch.drain()
    await until(lambda: running.watch.dumps == 2 and running.watch.whole)


@pytest.mark.parametrize("fault", [OSError(errno.EBADF, "Bad file descriptor"), None])
async def test_failed_notification_socket_is_replaced(
    running: World, fault: OSError | None
) -> None:
    await until(lambda: running.watch.whole)
    first = running.kernel.news[-1]
    if fault:
        first.errors.append(fault)
    else:
        first.queue.append(b"")  # the end of the stream
    running.watch.drain()
    await until(lambda: running.watch.whole and running.watch.dumps == 2)
    assert running.kernel.news[-1] is not first
    assert asyncio.get_running_loop().remove_reader(running.kernel.news[-1].fileno())
    running.kernel.add(7)
    running.watch.drain()
    assert 7 in running.told
    assert END in running.told


async def test_replacing_a_socket_is_retried(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: running.watch.whole)

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(watch_module, "_listen", refuse)
    running.kernel.news[-1].errors.append(OSError(errno.EBADF, "Bad file descriptor"))
    running.watch.drain()
    await until(lambda: "Too many open files" in "".join(running.troubles))
    monkeypatch.setattr(watch_module, "_listen", running.kernel.listen)
    await until(lambda: running.watch.whole)
    assert running.told == [END, END]


async def test_dump_on_request_finds_missed_rows(running: World) -> None:
    await until(lambda: running.watch.whole)
    running.kernel.macs = {1}  # and no notification
    assert await running.watch.again() == 1
    assert running.told == [END, 1, END]


async def test_notifications_during_a_dump_on_request_are_reported_as_such(running: World) -> None:
    await until(lambda: running.watch.whole)
    news: list[Other] = []
    running.watch.on_news = news.append
    running.kernel.macs = {1}
    running.kernel.add(2)  # waits in the socket
    running.kernel.on_dumped = lambda: running.kernel.add(3)
    assert await running.watch.again() == 1
    assert {one.lladdr[-1] for one in news if isinstance(one, NeighborMessage)} == {
        2,
        3,
    }
    assert running.known == {1, 2, 3}


async def test_dump_on_request_counts_dumps_after_an_overrun(running: World) -> None:
    await until(lambda: running.watch.whole)
    bursts = iter([range(10)])
    running.kernel.on_dumped = lambda: running.kernel.add(*next(bursts, ()))
    assert await running.watch.again() == 2


class SlowDecoder:
    """Replaces the module `time`: decoding a message takes a second, reading one nothing."""

    def __init__(self, told: list[object]) -> None:
        self._told = told

    def monotonic(self) -> float:
        return float(len(self._told))


async def test_a_burst_is_taken_out_of_the_socket_before_it_is_decoded(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, news = running.watch, running.kernel.news[-1]
    await until(lambda: watch.whole)
    monkeypatch.setattr(watch_module, "time", SlowDecoder(running.told))
    monkeypatch.setattr(watch_module, "_TOGETHER", 1)
    for start in range(0, 40, 4):  # each as much as the socket has room for
        running.kernel.add(*range(start, start + 4))
        assert not watch.drain()
        assert not news.queue
    assert len(running.known) < 40
    await until(lambda: len(running.known) == 40)
    assert (watch.dumps, watch.drain()) == (1, True)


async def test_what_was_taken_out_of_the_socket_is_dropped_by_a_dump(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = running.watch
    await until(lambda: watch.whole)
    monkeypatch.setattr(watch_module, "time", SlowDecoder(running.told))
    monkeypatch.setattr(watch_module, "_TOGETHER", 1)
    running.kernel.add(1, 2, 3, 4)
    assert not watch.drain()
    running.kernel.macs = {9}
    running.told.clear()
    watch._lost("a test says so")
    await until(lambda: watch.whole and watch.dumps == 2)
    assert running.told[-2:] == [9, END]
    assert 4 not in running.told
