"""What the kernel datapath learns and reports, on the real kernel."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from datapaths.base import Learned, LearnedMac, LearnedNeighbor, Lost, PortChanged, Unavailable
from datapaths.kernel import channel
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux import sysctls
from datapaths.linux.netns import entered
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Port, Vni
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import Record
from dualpath.model.routes import DEFAULT_VRF, Family, Op, RouteBatch
from dualpath.netlink import numbers as n
from dualpath.netlink.message import messages
from tests.fakes.batches import batch, rows_of, upsert, withdraw
from tests.fakes.netns import bridge, fresh, ip

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

LOCAL, VTEP = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
VNI = Vni(110, local=LOCAL, mac=bytes.fromhex("00f30000006e"))
HOST_MAC = bytes.fromhex("0200000000aa")
HOST = bytes([192, 168, 110, 5])
FIRST = Nexthop(1, NexthopType.GATEWAY, VTEP, "v0")
SECOND = Nexthop(2, NexthopType.GATEWAY, bytes([10, 1, 0, 2]), "w0")
GROUP = Nexthop(3, NexthopType.GROUP, members=(Member(1), Member(2)))


class Ears:
    """Collects the events of a datapath."""

    def __init__(self, datapath: KernelDatapath) -> None:
        self.events: list[Learned] = []
        self._task = asyncio.create_task(self._listen(datapath))

    async def _listen(self, datapath: KernelDatapath) -> None:
        async for event in datapath.learned():
            self.events.append(event)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition, at most ten seconds."""
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110  anything may be waited for
                await asyncio.sleep(0.005)

    async def hear(self, *wanted: Learned) -> None:
        try:
            await self.until(lambda: all(event in self.events for event in wanted))
        except TimeoutError:
            raise AssertionError(f"{wanted} not among {self.events}") from None

    def lost(self) -> dict[Kind, set[Record]]:
        found: dict[Kind, set[Record]] = {}
        for event in self.events:
            if isinstance(event, Lost):
                found.setdefault(event.kind, set()).update(event.records)
        return found

    async def quiet(self) -> list[Learned]:
        """Return the events so far, and clear them."""
        await asyncio.sleep(0.1)
        events, self.events = self.events, []
        return events


@asynccontextmanager
async def driven() -> AsyncIterator[tuple[str, KernelDatapath, Ears]]:
    """Two uplinks, v0 and w0, and a VNI with a host h1 behind port h0."""
    with fresh("driver-") as name:
        for near, far, net in (("v0", "v1", 0), ("w0", "w1", 1)):
            ip(name, f"link add {near} type veth peer name {far}")
            ip(name, f"addr add 10.{net}.0.1/24 dev {near}")
            ip(name, f"link set {near} up")
            ip(name, f"link set {far} up")
        datapath = KernelDatapath(name)
        try:
            assert not await datapath.apply(upsert(VNI))
            ears = Ears(datapath)
            await ears.quiet()
            yield name, datapath, ears
        finally:
            await datapath.close()


def attach_host(name: str) -> None:
    ip(name, "link add h0 type veth peer name h1")
    ip(name, f"link set h1 address {HOST_MAC.hex(':')}")
    sysctls.ensure(name, sysctls.no_ipv6("h1"))  # it sends only what the test sends
    ip(name, "link set h0 master br110")
    ip(name, "link set h0 up")
    ip(name, "link set h1 up")
    deadline = time.monotonic() + 10
    while "state forwarding" not in bridge(name, "link show dev h0"):  # a carrier change is delayed
        assert time.monotonic() < deadline
        time.sleep(0.01)


def speak(name: str, device: str = "h1", source: bytes = HOST_MAC) -> None:
    """Send a broadcast frame."""
    with entered(name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        sock.send(b"\xff" * 6 + source + b"\x88\xb5" + bytes(46))


def announce(name: str, device: str = "h1") -> None:
    """Send a gratuitous ARP reply (RFC 826), which the bridge itself receives."""
    arp = bytes.fromhex("0001080006040002") + HOST_MAC + HOST + HOST_MAC + HOST
    with entered(name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        sock.send(b"\xff" * 6 + HOST_MAC + b"\x08\x06" + arp)


def many(count: int, op: Op = Op.UPSERT) -> RouteBatch:
    prefixes = (0x1E000000 + np.arange(count) * 256).astype(">u4").view(np.uint8).reshape(-1, 4)
    return RouteBatch(
        DEFAULT_VRF,
        Family.INET,
        np.full(count, op, np.uint8),
        prefixes,
        np.full(count, 24, np.uint8),
        np.zeros(count, np.uint8),
        np.full(count, 1 if op is Op.UPSERT else 0, np.uint32),
    )


async def test_mac_is_learned_from_traffic_and_withdrawn_with_its_port() -> None:
    async with driven() as (name, _, ears):
        attach_host(name)
        speak(name)
        await ears.hear(LearnedMac(110, HOST_MAC))
        ip(name, "link del h0")
        await ears.hear(LearnedMac(110, HOST_MAC, gone=True))


async def test_new_listener_gets_every_learned_host() -> None:
    async with driven() as (name, datapath, ears):
        attach_host(name)
        speak(name)
        await ears.hear(LearnedMac(110, HOST_MAC))
        late = Ears(datapath)
        await late.hear(LearnedMac(110, HOST_MAC), PortChanged("v0", True))


async def test_host_that_moves_away_is_withdrawn_and_may_return() -> None:
    async with driven() as (name, datapath, ears):
        attach_host(name)
        speak(name)
        await ears.hear(LearnedMac(110, HOST_MAC))
        remote = Mac(110, HOST_MAC, VTEP)
        assert not await datapath.apply(upsert(remote))
        await ears.hear(LearnedMac(110, HOST_MAC, gone=True))
        await ears.quiet()
        speak(name)
        await ears.hear(LearnedMac(110, HOST_MAC))
        assert not ears.lost()
        # Until FRR withdraws it, it still counts as programmed; then the local entry must stay.
        assert [some.upserts async for some in datapath.dump(Kind.MAC)] == [(remote,)]  # type: ignore[union-attr]
        assert not await datapath.apply(withdraw(remote))
        assert "dev h0 master br110" in bridge(name, "fdb show br br110")
        assert "dst 10.0.0.2" not in bridge(name, "fdb show dev vx110")
        assert LearnedMac(110, HOST_MAC, gone=True) not in await ears.quiet()


async def test_neighbor_is_local_while_its_mac_is() -> None:
    async with driven() as (name, datapath, ears):
        ip(name, "addr add 192.168.110.1/24 dev br110")
        attach_host(name)
        announce(name)
        await ears.hear(LearnedMac(110, HOST_MAC), LearnedNeighbor(110, HOST, HOST_MAC))
        await datapath.apply(upsert(Mac(110, HOST_MAC, VTEP)))
        await ears.hear(LearnedNeighbor(110, HOST, HOST_MAC, gone=True))


async def test_programmed_entries_are_neither_learned_nor_lost() -> None:
    async with driven() as (_, datapath, ears):
        for records in layer2():
            await datapath.apply(upsert(*records))
        for records in reversed(layer2()):
            await datapath.apply(withdraw(*records))
        assert await ears.quiet() == []


def layer2() -> list[tuple[Record, ...]]:
    return [
        (RemoteVtep(110, VTEP, bytes.fromhex("020000000002")),),
        (Flood(110, VTEP), Flood(110, bytes([10, 0, 0, 3]))),
        (Mac(110, HOST_MAC, VTEP), Mac(110, bytes.fromhex("0200000000bb"), VTEP, sticky=True)),
        (Neighbor(110, HOST, HOST_MAC), Neighbor(110, bytes(15) + b"\5", HOST_MAC, router=True)),
        (FIRST, SECOND),
    ]


@pytest.mark.parametrize(
    ("record", "command"),
    [
        (Mac(110, HOST_MAC, VTEP), "fdb del 02:00:00:00:00:aa dev vx110 self"),
        (Mac(110, HOST_MAC, VTEP), "fdb del 02:00:00:00:00:aa dev vx110 master"),
        (Mac(110, HOST_MAC, VTEP), "fdb replace 02:00:00:00:00:aa dev vx110 dst 10.0.0.9 self"),
        (Flood(110, VTEP), "fdb del 00:00:00:00:00:00 dev vx110 dst 10.0.0.2 self"),
    ],
)
async def test_lost_fdb_entry_is_reported(record: Record, command: str) -> None:
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(record))
        bridge(name, command)
        await ears.hear(Lost(record.kind, (record,)))
        assert not await datapath.apply(upsert(record))
        assert [some.upserts async for some in datapath.dump(record.kind)] == [(record,)]  # type: ignore[union-attr]


@pytest.mark.parametrize("address", ["192.168.110.5", "2001:db8::5"])
async def test_lost_neighbor_is_reported(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    record = Neighbor(110, socket.inet_pton(family, address), HOST_MAC)
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(record))
        ip(name, f"neigh del {address} dev br110")
        await ears.hear(Lost(Kind.NEIGHBOR, (record,)))


@pytest.mark.parametrize("address", ["10.0.0.2", "::ffff:10.0.0.2"])
async def test_lost_neighbor_of_a_vtep_is_reported(address: str) -> None:
    record = RemoteVtep(110, VTEP, bytes.fromhex("020000000002"))
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(record))
        ip(name, f"neigh replace {address} dev br110 lladdr 02:00:00:00:00:77 nud permanent")
        await ears.hear(Lost(Kind.REMOTE_VTEP, (record,)))
        assert not await datapath.apply(upsert(record))
        assert [some.upserts async for some in datapath.dump(record.kind)] == [(record,)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "command",
    [
        "link del br110",
        "link del vx110",
        "link set br110 down",
        "link set vx110 nomaster",
        "link set vx110 down",
    ],
)
async def test_rows_removed_with_a_device_are_reported(command: str) -> None:
    vtep = RemoteVtep(110, VTEP, bytes.fromhex("020000000002"))
    addresses = HOST, bytes(15) + b"\5", bytes.fromhex("fe80") + bytes(13) + b"\5"
    records: tuple[Record, ...] = (
        *(Neighbor(110, address, HOST_MAC) for address in addresses),
        Mac(110, HOST_MAC, VTEP),
        Flood(110, VTEP),
        vtep,
    )
    async with driven() as (name, datapath, ears):
        for record in records:
            assert not await datapath.apply(upsert(record))
        await ears.quiet()
        ip(name, command)
        await ears.hear(Lost(Kind.VNI))
        assert not await datapath.apply(upsert(VNI))
        held: set[Record] = set()
        for kind in {record.kind for record in records}:
            async for one in datapath.dump(kind):
                held.update(one.upserts)  # type: ignore[union-attr]
        await asyncio.sleep(0.1)
        told = {row for rows in ears.lost().values() for row in rows}
        assert set(records) - held <= told


@pytest.mark.parametrize("command", ["nexthop del id 1", "nexthop replace id 1 blackhole"])
async def test_lost_nexthop_is_reported_and_repaired(command: str) -> None:
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(FIRST))
        ip(name, command)
        await ears.hear(Lost(Kind.NEXTHOP, (FIRST,)))
        assert not await datapath.apply(upsert(FIRST))
        assert "via 10.0.0.2" in ip(name, "nexthop show id 1")


async def test_nexthops_removed_by_a_lost_carrier_are_reported() -> None:
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(FIRST, SECOND, GROUP))
        await datapath.apply(batch("+ 20.0.0.0/8 1", "+ 21.0.0.0/8 3"))
        ip(name, "link set v1 down")
        await ears.hear(PortChanged("v0", False))
        await ears.until(lambda: Kind.NEXTHOP in ears.lost())
        assert ears.lost()[Kind.NEXTHOP] == {FIRST, GROUP}
        rest = [rows_of(some) async for some in datapath.dump(Kind.ROUTE)]  # type: ignore[arg-type]
        assert rest == [{"21.0.0.0/8": 3}]
        ip(name, "link set v1 up")
        await ears.hear(PortChanged("v0", True))
        assert not await datapath.apply(upsert(FIRST, GROUP))
        assert "group 1/2" in ip(name, "nexthop show id 3")


async def test_just_removed_nexthop_is_written_again() -> None:
    async with driven() as (name, datapath, _):
        await datapath.apply(upsert(FIRST))
        ip(name, "link set v0 down")
        ip(name, "link set v0 up")
        assert not await datapath.apply(upsert(FIRST))
        assert "via 10.0.0.2" in ip(name, "nexthop show id 1")


async def test_foreign_nexthop_is_left_alone() -> None:
    async with driven() as (name, datapath, ears):
        ip(name, "nexthop add id 1 blackhole")
        failures = await datapath.apply(upsert(FIRST, SECOND))
        assert [(row.index, row.errno) for row in failures] == [(0, errno.EEXIST)]
        assert not await datapath.apply(withdraw(FIRST))
        assert "blackhole" in ip(name, "nexthop show id 1")
        assert not ears.lost()


async def test_routes_removed_or_replaced_by_others_are_reported() -> None:
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(FIRST))
        await datapath.apply(batch("+ 20.1.0.0/16 1", "+ 20.2.0.0/16 1", "+ 20.3.0.0/16 1"))
        assert await ears.quiet() == []
        ip(name, "route del 20.1.0.0/16")
        ip(name, "route replace blackhole 20.2.0.0/16 metric 20")
        ip(name, "route add 20.4.0.0/16 via 10.0.0.2")
        await ears.until(lambda: len(told(ears)) == 2)
        assert told(ears) == {"20.1.0.0/16", "20.2.0.0/16"}


def told(ears: Ears) -> set[str]:
    batches = [event.routes for event in ears.events if isinstance(event, Lost) and event.routes]
    return {prefix for routes in batches for prefix in rows_of(routes)}


async def test_notifications_of_own_routes_never_reach_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = 0
    plain = channel.Monitor.read

    def counting(self: channel.Monitor, limit: int) -> bytes:
        nonlocal read
        data = plain(self, limit)
        read += sum(message.type in (n.RTM_NEWROUTE, n.RTM_DELROUTE) for message in messages(data))
        return data

    async with driven() as (_, datapath, ears):
        await datapath.apply(upsert(FIRST))
        await ears.quiet()
        monkeypatch.setattr(channel.Monitor, "read", counting)
        await datapath.apply(many(20_000))
        await datapath.apply(many(20_000, Op.WITHDRAW))
        assert await ears.quiet() == []
        assert read == 0


async def test_lost_notifications_cause_a_full_dump() -> None:
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(FIRST, SECOND))
        flood = threading.Thread(target=lambda: asyncio.run(write_many(name)))
        flood.start()
        flood.join()  # and this event loop is blocked, so nobody reads
        attach_host(name)
        speak(name)
        await ears.until(lambda: Kind.MAC in ears.lost())
        assert set(ears.lost()) == set(Kind) - {Kind.LSP}
        await ears.hear(LearnedMac(110, HOST_MAC))
        assert not await datapath.apply(upsert(Mac(110, HOST_MAC, VTEP)))


async def write_many(name: str) -> None:
    """Write more routes from another socket than the receive buffer holds notifications of."""
    other = KernelDatapath(name)
    assert not await other.apply(many(100_000))
    await other.close()


@pytest.mark.parametrize(
    ("command", "kind"),
    [("link del vx110", Kind.VNI), ("link set br110 down", Kind.VNI), ("link del br110", Kind.VNI)],
)
async def test_device_changed_by_others_is_reported(command: str, kind: Kind) -> None:
    async with driven() as (name, datapath, ears):
        await datapath.apply(upsert(Flood(110, VTEP)))
        ip(name, command)
        await ears.hear(Lost(kind))
        assert not await datapath.apply(upsert(VNI))
        assert not await datapath.apply(upsert(Flood(110, VTEP)))


async def test_lost_address_or_route_of_a_nic_is_reported() -> None:
    with fresh() as name, fresh() as host:
        ip(host, "link add eth7 type veth peer name wire")
        for device in ("eth7", "wire"):
            ip(host, f"link set {device} up")
        ip(host, "addr add 192.0.2.0/31 dev eth7")
        ip(host, "route add 198.51.100.0/24 via 192.0.2.1 dev eth7 proto static")
        datapath = KernelDatapath(name, host)
        try:
            assert not await datapath.apply(upsert(Port("eth7", source_netns="")))
            for command in ("route del 198.51.100.0/24", "addr del 192.0.2.0/31 dev eth7"):
                ears = Ears(datapath)
                await ears.quiet()
                ip(name, command)
                await ears.hear(Lost(Kind.PORT))
                assert not await datapath.apply(upsert(Port("eth7", source_netns="")))
                shown = ip(name, "addr show dev eth7") + ip(name, "route show dev eth7")
                assert "192.0.2.0/31" in shown
                assert "198.51.100.0/24" in shown
        finally:
            await datapath.close()


async def test_own_changes_of_devices_are_not_reported() -> None:
    async with driven() as (_, datapath, ears):
        await datapath.apply(withdraw(VNI))
        await datapath.apply(upsert(VNI))
        assert not ears.lost()
        assert await ears.quiet() == []


async def test_event_loop_is_not_blocked_while_routes_are_written() -> None:
    async with driven() as (_, datapath, _ears):
        await datapath.apply(upsert(FIRST))
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counter = asyncio.create_task(count())
        await datapath.apply(many(50_000))
        counter.cancel()
        assert turns > 10


async def test_missing_namespace_is_unavailable() -> None:
    datapath = KernelDatapath("dp-test-nowhere")
    with pytest.raises(Unavailable, match="dp-test-nowhere"):
        await datapath.apply(upsert(FIRST))
    await datapath.close()


async def test_group_may_precede_its_members_in_a_batch() -> None:
    """The contract does not require it; this driver sorts."""
    async with driven() as (_, datapath, _):
        group = Nexthop(8, NexthopType.GROUP, members=(Member(FIRST.id),))
        assert not await datapath.apply(upsert(group, FIRST))
