"""With grout too, no host of one routing table reaches another table, in either direction."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from datapaths.grout.driver import GroutDatapath
from datapaths.grout.ports.placement import Places
from datapaths.grout.process import Grout, locate
from datapaths.linux import netns
from dualpath.model.layer2 import Flood
from dualpath.model.links import HostEnd, Port
from dualpath.model.records import Record, RecordBatch
from tests.contract.groutworld import started
from tests.netns import grouts
from tests.netns.layouts import addresses
from tests.netns.namespaces import fresh, kernel_has_vrf, ping, run
from tests.netns.test_isolation import (
    BLUE,
    BLUE_HOST,
    BRIDGED,
    FROM,
    GATEWAY,
    ISOLATED_S,
    OWN,
    RED,
    RED_HOST,
    address,
    bridged,
    leg,
    loopback,
    route_all,
    underlay,
)

pytestmark = [pytest.mark.netns, pytest.mark.grout]

ETH_P_TEST = 0x88B5  # RFC 7042: for experiments
INNER = b"\xff" * 6 + bytes.fromhex("0200000000ab") + struct.pack("!H", ETH_P_TEST) + bytes(46)
VXLAN_PORT = 4789
SLOW_S = 10.0  # for what has to arrive: the guest's only CPU is shared with grout


class Box:
    """A grout that a test's synchronous parts can program."""

    def __init__(self, sock: str, home: str, host: str) -> None:
        self._sock, self._home, self._host = sock, home, host

    def apply(self, *records: Record) -> None:
        asyncio.run(self._apply(records))

    async def _apply(self, records: Sequence[Record]) -> None:
        def places() -> Places:
            return Places(self._home, self._home, self._host)

        datapath = GroutDatapath(self._sock, places, lambda: self._home)
        try:
            for record in records:
                assert not await datapath.apply(RecordBatch(record.kind, upserts=(record,)))
        finally:
            await datapath.close()


@contextmanager
def boxed(home: str, host: str) -> Iterator[Box]:
    with grouts.state_directory() as state:
        if not (command := grouts.command(state)):
            pytest.skip(grouts.NEEDED)
        grout = Grout(state / "grout.sock", home, state, hugepages=False, command=command)
        with started(grout):
            assert locate(grout.sock)
            yield Box(str(grout.sock), home, host)


def route_outside(space: str) -> None:
    """An uplink's neighbor may have taken a default route from grout's advertisements."""
    run(f"ip -n {space} route replace default via 192.0.2.1")
    run(f"ip -n {space} -6 route replace default via fd00:2::1")


@dataclass(frozen=True)
class Segment:
    box: Box
    host: str
    outside: str


@pytest.fixture(scope="module")
def segment() -> Iterator[Segment]:
    """A host on a bridge without a gateway, which nevertheless knows the bridge's MAC."""
    with fresh("home", "host", "outside") as (home, host, outside), boxed(home, host) as box:
        box.apply(loopback(), underlay(outside), BRIDGED, bridged(111, host))
        box.apply(Flood(111, bytes([192, 0, 2, 2])))
        mac = run(f"ip netns exec {home} cat /sys/class/net/br111/address").strip()
        address(host, "10.111.0.2/24", "fd00:111::2/64")
        for gateway in ("10.111.0.1", "fd00:111::1"):
            run(f"ip -n {host} neigh add {gateway} lladdr {mac} dev eth0")
        route_all(host, "10.111.0.1", "fd00:111::1")
        route_outside(outside)
        yield Segment(box, host, outside)


@pytest.mark.parametrize("target", ["192.0.2.2", "fd00:2::2"])
def test_host_of_a_bridge_without_gateway_is_not_routed(segment: Segment, target: str) -> None:
    """Sending one way suffices: a reply would have no route back."""
    assert not delivered(segment.host, segment.outside, target, 2.0)


def test_bridge_without_gateway_bridges_into_and_out_of_the_overlay(segment: Segment) -> None:
    assert tunnelled(segment.outside, segment.host, SLOW_S, vni=111)
    with netns.entered(segment.outside):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with netns.entered(segment.host):
        mouth = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with ear, mouth:
        ear.bind(("", VXLAN_PORT))
        ear.settimeout(SLOW_S)
        mouth.bind(("eth0", 0))
        for _ in range(5):
            mouth.send(INNER)
        assert ear.recv(256)[8:].startswith(INNER[:14])


@pytest.mark.parametrize("target", ["192.0.2.2", "fd00:2::2"])
def test_host_of_a_bridge_with_gateway_is_routed(segment: Segment, target: str) -> None:
    gateways = addresses("10.111.0.1/24", "fd00:111::1/64")
    segment.box.apply(replace(BRIDGED, gateways=gateways))
    try:
        assert delivered(segment.host, segment.outside, target, SLOW_S)
    finally:
        segment.box.apply(BRIDGED)


def delivered(source: str, host: str, target: str, timeout_s: float) -> bool:
    """Send datagrams repeatedly; return whether one arrives, without ARP to the receiver."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with netns.entered(host):
        ear = socket.socket(family, socket.SOCK_DGRAM)
    with netns.entered(source):
        mouth = socket.socket(family, socket.SOCK_DGRAM)
    with ear, mouth:
        ear.bind(("", VXLAN_PORT))
        ear.settimeout(0.2)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with suppress(OSError):
                mouth.sendto(b"frame", (target, VXLAN_PORT))
                return ear.recv(16) == b"frame"
    return False


@pytest.fixture(scope="module")
def tenants() -> Iterator[tuple[dict[str, str], Box]]:
    if not kernel_has_vrf():
        pytest.skip("this kernel has no VRF devices")
    names = ("home", *FROM)
    with fresh(*names) as full, boxed(full[0], full[1]) as box:
        space = dict(zip(names, full, strict=True))
        red = leg("pe-r", "red", space["h-red"], ("10.1.0.1/24", "fd00:a1::1/64"), RED_HOST)
        blue = leg("pe-bl", "blue", space["h-blue"], ("10.2.0.1/24", "fd00:a2::1/64"), BLUE_HOST)
        records = (RED, BLUE, loopback(), GATEWAY, underlay(space["outside"]))
        box.apply(*records, red, blue, bridged(110, space["h-bridge"]))
        address(space["h-bridge"], "10.110.0.2/24", "fd00:110::2/64")
        route_outside(space["outside"])
        route_all(space["h-red"], "10.1.0.1", "fd00:a1::1")
        route_all(space["h-blue"], "10.2.0.1", "fd00:a2::1")
        route_all(space["h-bridge"], "10.110.0.1", "fd00:110::1")
        yield space, box


@pytest.mark.vrf
def test_each_vrf_is_reached_by_its_own_hosts_only(tenants: tuple[dict[str, str], Box]) -> None:
    space, _ = tenants
    wrong = []
    for source, own in FROM.items():
        for table, targets in OWN.items():
            for target in targets:
                timeout_s = SLOW_S if table == own else ISOLATED_S
                if ping(space[source], target, timeout_s) != (table == own):
                    wrong.append((source, target))
    assert wrong == []


@pytest.mark.vrf
def test_hosts_of_two_vrfs_never_reach_each_other(tenants: tuple[dict[str, str], Box]) -> None:
    space, _ = tenants
    hosts = {
        "outside": ("192.0.2.2", "fd00:2::2"),
        "h-red": ("10.1.0.2", "fd00:a1::2"),
        "h-bridge": ("10.110.0.2", "fd00:110::2"),
        "h-blue": ("10.2.0.2", "fd00:a2::2"),
    }
    wrong = []
    for source in FROM:
        for target, own in hosts.items():
            for text in own if source != target else ():
                same = FROM[source] == FROM[target]
                if ping(space[source], text, SLOW_S if same else ISOLATED_S) != same:
                    wrong.append((source, text))
    assert wrong == []


@pytest.mark.vrf
def test_tenant_reaches_its_gateway_and_cannot_send_it_vxlan(
    tenants: tuple[dict[str, str], Box],
) -> None:
    space, box = tenants
    own = ("100.64.0.1/32", "fd00:64::1/128", "192.0.2.1/32", "10.2.0.1/32", "fd00:a2::1/128")
    end = HostEnd(space["h-red"], "eth9", addresses=addresses("172.16.0.2/24"))
    box.apply(Port("pe-s", vrf="red", addresses=addresses(*own), host=end))
    for target in ("100.64.0.1", "fd00:64::1", "192.0.2.1", "10.2.0.1", "fd00:a2::1"):
        assert ping(space["h-red"], target, SLOW_S), target
    assert ping(space["outside"], "100.64.0.1", SLOW_S)  # the router's own, as before
    assert tunnelled(space["outside"], space["h-bridge"], SLOW_S)
    for source in ("h-red", "h-bridge", "h-blue"):
        assert not tunnelled(space[source], space["h-bridge"], ISOLATED_S), source


def tunnelled(source: str, host: str, timeout_s: float, vni: int = 110) -> bool:
    """Send a frame for a VNI to the VTEP; return whether it arrives at a host of that segment."""
    vxlan = struct.pack("!II", 0x08000000, vni << 8)  # RFC 7348 section 5
    with netns.entered(host):
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_TEST))
    with netns.entered(source):
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with ear, mouth:
        ear.settimeout(timeout_s)
        try:
            mouth.sendto(vxlan + INNER, ("100.64.0.1", VXLAN_PORT))
            return ear.recv(128)[6:12] == INNER[6:12]
        except OSError:
            return False
