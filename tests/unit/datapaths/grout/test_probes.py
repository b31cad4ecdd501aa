"""Which local hosts are probed, from which address, and with which bytes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest

from datapaths.base import Learned, LearnedNeighbor
from datapaths.grout.client import GroutClient
from datapaths.grout.picture.learning import Learning
from datapaths.grout.picture.observe import Observer
from datapaths.grout.picture.probes import Frame, probes
from datapaths.grout.upkeep import hosts
from datapaths.grout.wire import nexthops
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry
from datapaths.grout.wire.ifaces import BridgeInfo, PortInfo
from datapaths.grout.wire.nexthops import L3
from datapaths.grout.wire.probes import Station, probe
from datapaths.grout.wire.table import DecodeError
from datapaths.linux.marks import Mark, encode
from datapaths.linux.subnets import Subnets
from dualpath.model.layer2 import Mac
from dualpath.model.links import Address
from tests.fakes.grout import FakeGrout, listening
from tests.fakes.waiting import until
from tests.unit.datapaths.grout.test_plan import API, HOST_MAC, VTEP, Grout

PORT, BRIDGE = 3, 6
GATEWAY_MAC = bytes.fromhex("00f30000006f")
GATEWAYS = tuple(map(Address.parse, ("10.110.0.1/24", "2001:db8:110::1/64")))
LINK_LOCAL = "fe80::2f3:ff:fe00:6f"
VNI = 110
HOME = "/proc/1/ns/net"


def address(text: str) -> bytes:
    return ip_address(text).packed


class Node(Grout):
    """A grout with an owned bridge and the hosts that it learned."""

    def __init__(self) -> None:
        super().__init__()
        self.learning = Learning(self.ifaces, self.bridges, Subnets(), lambda _: None)
        self.mark(BRIDGE, BridgeInfo(mac=GATEWAY_MAC))

    def mark(self, iface: int, info: BridgeInfo | PortInfo) -> None:
        """Make an interface an owned one, with the gateways' addresses."""
        held = self.ifaces.get(iface)
        assert held
        mark = encode(Mark("vni", GATEWAYS))
        self.ifaces.put(replace(held, description=mark, info=info))

    def learn(self, text: str, iface: int = BRIDGE, mac: bytes = HOST_MAC) -> None:
        if iface == BRIDGE:
            self.bridges.put(FdbEntry(bridge=BRIDGE, mac=mac, iface=4, flags=n.GR_FDB_F_LEARN))
        neighbor = L3(address=address(text), mac=mac, state=n.GR_NH_S_REACHABLE)
        self.learning.neighbor_changed(iface, neighbor, gone=False)

    def asked(self) -> list[Frame]:
        return list(probes(self.ifaces, self.bridges, self.learning))


def asks(asker: str, host: str, device: str = "br110") -> Frame:
    return device, probe(Station(GATEWAY_MAC, address(asker)), Station(HOST_MAC, address(host)))


@pytest.mark.parametrize(
    ("host", "asker"),
    [
        ("10.110.0.11", "10.110.0.1"),
        ("2001:db8:110::11", "2001:db8:110::1"),
        ("2001:db8:ffff::11", LINK_LOCAL),
        ("fe80::11", LINK_LOCAL),
    ],
)
def test_probe_source_is_the_subnets_gateway_or_link_local(host: str, asker: str) -> None:
    node = Node()
    node.learn(host)
    assert node.asked() == [asks(asker, host)]


def test_host_behind_a_port_is_probed() -> None:
    node = Node()
    node.mark(PORT, PortInfo(mac=GATEWAY_MAC))
    node.learn("10.110.0.11", PORT)
    assert node.asked() == [asks("10.110.0.1", "10.110.0.11", "eth1")]


def test_address_outside_all_subnets_is_not_probed() -> None:
    node = Node()
    node.learn("10.111.0.11")
    assert node.asked() == []


def test_host_on_a_foreign_interface_is_not_probed() -> None:
    node = Node()
    node.learn("10.110.0.11", PORT)
    assert node.asked() == []


def test_remote_host_and_host_without_a_mac_are_not_probed() -> None:
    node = Node()
    node.learn("10.110.0.11")
    node.make(Mac(VNI, HOST_MAC, VTEP))
    assert node.asked() == []
    node.bridges.pop(BRIDGE, HOST_MAC)
    assert node.asked() == []


def test_arp_request_has_the_format_of_rfc_826() -> None:
    _, frame = asks("10.110.0.1", "10.110.0.11")
    assert frame.hex(" ", 2) == (
        "0200 0000 00aa 00f3 0000 006f 0806 "  # unicast to the host
        "0001 0800 0604 0001 00f3 0000 006f 0a6e 0001 0000 0000 0000 0a6e 000b"
    )


def test_neighbor_solicitation_is_sent_to_the_hosts_mac() -> None:
    _, frame = asks("2001:db8:110::1", "2001:db8:110::11")
    source, target = address("2001:db8:110::1"), address("2001:db8:110::11")
    group = address("ff02::1:ff00:11")
    assert frame[:14].hex() == "0200000000aa00f30000006f86dd"
    assert frame[14:54] == bytes.fromhex("6000000000203aff") + source + group
    body = frame[54:]
    assert body[:2] + body[4:] == bytes.fromhex("870000000000") + target + bytes.fromhex(
        "010100f30000006f"
    )
    covered = source + group + bytes.fromhex("000000200000003a") + body
    assert int.from_bytes(covered) % 0xFFFF == 0  # RFC 1071: with its checksum, the sum is zero


class FakeTaps:
    """Records the frames that were sent."""

    sent: ClassVar[list[Frame]] = []

    opened: ClassVar[list[str]] = []

    def __init__(self, home: str) -> None:
        assert home == HOME
        self.opened.append("opened")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, name: str, frame: bytes) -> None:
        self.sent.append((name, frame))

    def close(self) -> None:
        self.opened.append("closed")


def given_up(text: str) -> bytes:
    """Return a neighbor that did not answer grout, as grout lists it."""
    base = API.pack("gr_nexthop", type=n.GR_NH_T_L3, iface_id=BRIDGE, vrf_id=2)
    info = API.new("gr_nexthop_info_l3", state=n.GR_NH_S_FAILED, af=socket.AF_INET)
    info["ipv6"] = list(address(text).ljust(16, b"\0"))
    return base + info.tobytes()


@asynccontextmanager
async def keeping(
    path: Path, lifetime_s: int, *failed: bytes, home: Callable[[], str] = lambda: HOME
) -> AsyncIterator[tuple[FakeGrout, list[Learned]]]:
    """Probe two addresses of a host; yield the grout and the list of what is reported."""
    reported: list[Learned] = []
    observer = Observer(reported.append)
    for iface in Node().ifaces:
        observer.ifaces.put(iface)
    observer.bridges.put(FdbEntry(bridge=BRIDGE, mac=HOST_MAC, iface=4, flags=n.GR_FDB_F_LEARN))
    for text in ("10.110.0.11", "10.110.0.12"):
        neighbor = L3(address=address(text), mac=HOST_MAC, state=n.GR_NH_S_REACHABLE)
        observer.learning.neighbor_changed(BRIDGE, neighbor, gone=False)
    reported.clear()
    async with listening(path) as grout:
        config = API.pack("gr_nh_config_get_resp", lifetime_reachable_sec=lifetime_s)
        grout.answers = {"GR_NH_CONFIG_GET": (config,), "GR_NH_LIST": (*failed, b"")}
        client = await GroutClient.open(str(path), observer, no_check)
        task = asyncio.create_task(hosts.probe_hosts(client, home))
        try:
            yield grout, reported
        finally:
            task.cancel()
            await asyncio.wait([task])
            client.close()


async def no_check(_: str) -> None:
    """Accepts every interface name."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    async def nothing(_: GroutClient) -> None:
        """Read nothing: the picture is already complete."""

    frames: list[Frame] = []
    monkeypatch.setattr(GroutClient, "load", nothing)
    monkeypatch.setattr(hosts, "HOSTS_S", 0.001)
    monkeypatch.setattr(hosts, "Taps", FakeTaps)
    monkeypatch.setattr(FakeTaps, "sent", frames)
    monkeypatch.setattr(FakeTaps, "opened", [])
    return frames


BOTH = [asks("10.110.0.1", "10.110.0.11"), asks("10.110.0.1", "10.110.0.12")]


async def test_host_is_probed_at_once_and_every_quarter_of_the_lifetime(
    tmp_path: Path, sent: list[Frame]
) -> None:
    async with keeping(tmp_path / "s", 1200) as (grout, _):
        await until(lambda: grout.asked.count("GR_NH_CONFIG_GET") > 9)
        assert sent == BOTH
        config = API.pack("gr_nh_config_get_resp", lifetime_reachable_sec=0)
        grout.answers["GR_NH_CONFIG_GET"] = (config,)
        await until(lambda: sent[:4] == BOTH * 2)


async def test_cancelled_search_for_grout_closes_its_socket(
    tmp_path: Path, sent: list[Frame]
) -> None:
    searching, go_on, found = threading.Event(), threading.Event(), threading.Event()

    def home() -> str:
        searching.set()
        go_on.wait()
        found.set()
        return HOME

    async with keeping(tmp_path / "s", 1200, home=home):
        await until(searching.is_set)
    go_on.set()
    await until(found.is_set)
    await (
        asyncio.get_running_loop().shutdown_default_executor()
    )  # wait for the thread that still searches
    assert FakeTaps.opened.count("opened") == FakeTaps.opened.count("closed")
    assert sent == []


async def test_failed_neighbor_is_reported_gone_and_not_probed(
    tmp_path: Path, sent: list[Frame]
) -> None:
    async with keeping(tmp_path / "s", 1200, given_up("10.110.0.12")) as (_, reported):
        await until(lambda: sent == BOTH[:1])
        assert reported == [LearnedNeighbor(VNI, address("10.110.0.12"), HOST_MAC, gone=True)]


@pytest.mark.parametrize("length", range(len(given_up("10.110.0.12"))))
def test_truncated_neighbor_is_a_decode_error(length: int) -> None:
    rows = np.frombuffer(given_up("10.110.0.12"), np.uint8)[np.newaxis, :length]
    with pytest.raises(DecodeError):
        list(nexthops.given_up(API, rows))
