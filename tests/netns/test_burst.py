"""Bursts that overrun a netlink socket lose nothing for good, on the real kernel."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence

import pytest

from datapaths.base import LearnedMac
from datapaths.kernel import channel
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux.netns import entered
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.links import Vni
from dualpath.model.records import Key, Record
from dualpath.netlink.message import answer, attribute, encode_message, messages
from dualpath.netlink.neighborcolumns import NDMSG
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    NDA_DST,
    NDA_LLADDR,
    NLM_F_ACK,
    NLM_F_REQUEST,
    NTF_EXT_LEARNED,
    NTF_MASTER,
    NTF_SELF,
    NUD_REACHABLE,
    RTM_DELNEIGH,
    RTM_NEWNEIGH,
)
from dualpath.netlink.socket import Overrun
from frr_bridge import watch as watch_module
from frr_bridge.overlay.overlay import Overlay
from frr_bridge.watch import Watch
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.message import Other
from frr_bridge.wire.neighbor import NeighborMessage
from tests.fakes.batches import upsert
from tests.fakes.netns import bridge, fresh, ip

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

MACS = 20_000
SMALL = 1 << 16  # bytes of a receive buffer: some 80 notifications
CREATE = 0x400  # NLM_F_CREATE
IN_WRITE = 500
VTEP = bytes([100, 64, 0, 2])
REMOTE = NTF_MASTER | NTF_SELF | NTF_EXT_LEARNED  # as zebra writes a remote MAC
PATIENCE_S = 60.0


def macs(count: int = MACS) -> list[bytes]:
    return [b"\x02\0" + struct.pack("!I", number) for number in range(1, count + 1)]


def entries(kind: int, port: int, flags: int, addresses: Sequence[bytes]) -> list[bytes]:
    """Return writes of FDB entries, the last message of each with NLM_F_ACK."""
    fixed = NDMSG.pack(AF_BRIDGE, 0, 0, port, NUD_REACHABLE, flags, 0)
    tunnel = attribute(NDA_DST, VTEP) if flags & NTF_SELF else b""
    create = CREATE if kind == RTM_NEWNEIGH else 0
    writes = []
    for start in range(0, len(addresses), IN_WRITE):
        part = addresses[start : start + IN_WRITE]
        acks = [0] * (len(part) - 1) + [NLM_F_ACK]
        writes.append(
            b"".join(
                encode_message(
                    kind,
                    NLM_F_REQUEST | create | ack,
                    1,
                    fixed + attribute(NDA_LLADDR, mac) + tunnel,
                )
                for mac, ack in zip(part, acks, strict=True)
            )
        )
    return writes


def write(netns: str, writes: list[bytes]) -> None:
    """Send every request as fast as the kernel accepts them. Raises OSError if it refuses any."""
    with entered(netns), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        sock.bind((0, 0))
        for one in writes:
            sock.send(one)
            [acknowledged] = messages(sock.recv(1 << 16))
            if code := answer(acknowledged).errno:
                raise OSError(code, os.strerror(code))


def index_of(name: str, device: str) -> int:
    return int(ip(name, f"-o link show dev {device}").split(":", 1)[0])


def mac_of(name: str, device: str) -> bytes:
    words = ip(name, f"-o link show dev {device}").split()
    return bytes.fromhex(words[words.index("link/ether") + 1].replace(":", ""))


@pytest.fixture
def shadow() -> Iterator[str]:
    """A namespace like FRR's, with the devices of VNI 110."""
    with fresh("burst-") as name:
        ip(name, "link add br110 type bridge")
        ip(name, "link add vx110 type vxlan id 110 local 100.64.0.1 dstport 4789 nolearning")
        ip(name, "link set vx110 master br110")
        ip(name, "link set br110 up")
        ip(name, "link set vx110 up")
        yield name


class Seen:
    """The bridge's picture of a namespace, from its netlink messages."""

    def __init__(self) -> None:
        self.macs: set[bytes] = set()
        self.overlay = Overlay(self)
        self.watch = Watch(
            on_begin=self.overlay.begin_dump,
            on_message=self._message,
            on_end=self._end,
        )

    def _end(self) -> None:
        self.overlay.end_dump()

    def _message(self, said: Other) -> None:
        if isinstance(said, LinkMessage):
            self.overlay.link(said)
        elif isinstance(said, NeighborMessage):
            self.overlay.neighbor(said)

    def upsert(self, record: Record) -> None:
        if isinstance(record, Mac):
            self.macs.add(record.mac)

    def withdraw(self, kind: Kind, key: Key) -> None:
        if kind is Kind.MAC:
            self.macs.discard(key[1])  # type: ignore[index]

    move = withdraw


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  two processes are at work
            await asyncio.sleep(0.01)


async def test_burst_that_overruns_the_bridge_loses_no_mac(
    shadow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = watch_module._socket

    def inside() -> socket.socket:
        with entered(shadow):
            return opened()

    monkeypatch.setattr(watch_module, "_socket", inside)
    monkeypatch.setattr(watch_module, "_BUFFER", SMALL)
    seen = Seen()
    following = asyncio.create_task(seen.watch.run())
    port = index_of(shadow, "vx110")
    try:
        await until(lambda: seen.watch.whole)
        for kind, expected in ((RTM_NEWNEIGH, set(macs())), (RTM_DELNEIGH, set())):
            dumps = seen.watch.dumps
            await asyncio.to_thread(write, shadow, entries(kind, port, REMOTE, macs()))
            await until(lambda: seen.watch.whole and not seen.watch._wake.is_set())
            await asyncio.sleep(0.1)  # for an overrun that was not read yet
            await until(lambda: seen.watch.whole)
            assert seen.watch.dumps > dumps, "the burst overran nothing: it shows nothing"
            assert len(seen.macs ^ expected) == 0
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        seen.watch.close()


async def test_burst_that_overruns_the_datapath_loses_no_learned_mac(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overruns = 0
    read = channel.Monitor.read

    def counted(monitor: channel.Monitor, limit: int) -> bytes:
        nonlocal overruns
        try:
            return read(monitor, limit)
        except Overrun:
            overruns += 1
            raise

    monkeypatch.setattr(channel.Monitor, "read", counted)
    monkeypatch.setattr(channel, "RECEIVE_BUFFER", SMALL)
    with fresh("burst-") as name:
        ip(name, "link add h0 type veth peer name h1")
        datapath = KernelDatapath(name)
        known: set[bytes] = set()

        async def listen() -> None:
            async for event in datapath.learned():
                if isinstance(event, LearnedMac):
                    (known.discard if event.gone else known.add)(event.mac)

        try:
            assert not await datapath.apply(
                upsert(Vni(110, local=bytes([10, 0, 0, 1]), mac=bytes.fromhex("00f30000006e")))
            )
            ip(name, "link set h0 master br110")
            ip(name, "link set h0 up")
            ip(name, "link set h1 up")
            await until(lambda: "state forwarding" in bridge(name, "link show dev h0"))
            listening = asyncio.create_task(listen())
            port = index_of(name, "h0")
            host = mac_of(name, "h1")
            for kind, expected in ((RTM_NEWNEIGH, set(macs())), (RTM_DELNEIGH, set())):
                before = overruns
                await asyncio.to_thread(write, name, entries(kind, port, NTF_MASTER, macs()))
                expecting = {host} | expected
                await until(lambda wanted=expecting: known == wanted)  # type: ignore[misc]
                assert overruns > before, "the burst overran nothing: it shows nothing"
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        finally:
            await datapath.close()
