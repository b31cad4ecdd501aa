"""Local hosts on the shadow bridges: what is asked of the kernel, and when."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.routes import RTPROT_DUALPATH
from dualpath.netlink.message import Answer, header
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    IFF_UP,
    NTF_EXT_LEARNED,
    NTF_MASTER,
    NTF_ROUTER,
    NUD_NOARP,
)
from frr_bridge.mirror import _RETRY_TICKS, ShadowMirror
from frr_bridge.overlay.overlay import Overlay
from frr_bridge.wire.message import decode_message
from frr_bridge.wire.neighbor import NeighborMessage
from tests.fakes.recordlog import RecordLog
from tests.fakes.shadow import (
    AC110,
    BR110,
    HOST,
    HOST_MAC,
    HOST_ROWS,
    L2VNI,
    LINKS,
    VX110,
    link,
    on_bridge,
)

MAC = Mac(L2VNI, HOST_MAC)
NEIGHBOR = Neighbor(L2VNI, HOST, HOST_MAC)
OTHER = Mac(L2VNI, bytes.fromhex("02000000000b"))
ELSEWHERE = Mac(120, HOST_MAC)


class FakeKernel:
    """Remembers the requests, and answers each with `error`."""

    def __init__(self) -> None:
        self.asked: list[NeighborMessage] = []
        self.error = 0

    def close(self) -> None: ...

    def send(self, requests: Sequence[bytes]) -> list[tuple[int, Answer]]:
        for data in requests:
            message = decode_message(header(data, 0, len(data)))
            assert isinstance(message, NeighborMessage)
            self.asked.append(message)
        return [(at, Answer(at, self.error)) for at in range(len(requests)) if self.error]


class World:
    def __init__(self) -> None:
        self.overlay = Overlay(RecordLog())
        self.mirror = ShadowMirror(self.overlay)
        self.kernel = FakeKernel()
        self.mirror._requests.close()
        self.mirror._requests = self.kernel  # type: ignore[assignment]  # as much of it as is used

    def links(self) -> None:
        for shadow in LINKS:
            self.overlay.link(shadow)

    def asked(self) -> list[tuple[str, int, bytes]]:
        """Return what was asked since the last time, as (op, device, address or MAC)."""
        asked, self.kernel.asked = self.kernel.asked, []
        return [("-" if a.deleted else "+", a.ifindex, a.dst or a.lladdr) for a in asked]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.links()
    yield made
    made.mirror.close()


def test_a_host_becomes_an_entry_on_the_silent_port_and_a_neighbour(world: World) -> None:
    world.mirror.learn(Mirror(macs=(MAC,), neighbors=(NEIGHBOR,)))
    mac, neighbor = world.kernel.asked
    assert (mac.family, mac.ifindex, mac.lladdr) == (AF_BRIDGE, AC110, HOST_MAC)
    assert mac.flags == NTF_MASTER | NTF_EXT_LEARNED
    assert (neighbor.family, neighbor.ifindex) == (AF_INET, BR110)
    assert (neighbor.dst, neighbor.lladdr, neighbor.state) == (HOST, HOST_MAC, NUD_NOARP)
    assert neighbor.flags == NTF_EXT_LEARNED


def test_departed_host_s_rows_are_removed(world: World) -> None:
    world.mirror.learn(Mirror(macs=(MAC,), neighbors=(NEIGHBOR,)))
    world.asked()
    world.mirror.learn(Mirror(gone_macs=(MAC,), gone_neighbors=(NEIGHBOR,)))
    assert world.asked() == [("-", BR110, HOST), ("-", AC110, HOST_MAC)]


def test_row_that_zebra_replaced_is_left_alone(world: World) -> None:
    """Invariant 2."""
    world.mirror.learn(Mirror(neighbors=(NEIGHBOR,)))
    world.asked()
    for row in HOST_ROWS:
        world.overlay.neighbor(row)
    world.mirror.learn(Mirror(gone_neighbors=(NEIGHBOR,)))
    assert world.asked() == []


def test_all_of_it_forgets_the_rest(world: World) -> None:
    world.mirror.learn(Mirror(macs=(MAC, OTHER), neighbors=(NEIGHBOR,)))
    world.asked()
    world.mirror.learn(Mirror(whole=True, macs=(OTHER,)))
    assert world.asked() == [
        ("-", BR110, HOST),
        ("-", AC110, HOST_MAC),
        ("+", AC110, OTHER.mac),
    ]


def test_hosts_wait_for_their_shadow_devices(world: World) -> None:
    world.mirror.learn(Mirror(macs=(ELSEWHERE,)))
    world.mirror.retry()
    assert world.asked() == []
    world.mirror.learn(Mirror(gone_macs=(ELSEWHERE,)))
    early = World()
    early.mirror.learn(Mirror(macs=(MAC,), neighbors=(NEIGHBOR,)))
    assert early.asked() == []
    early.links()
    early.mirror.retry()
    assert early.asked() == [("+", AC110, HOST_MAC), ("+", BR110, HOST)]
    early.mirror.retry()
    assert early.asked() == []


def test_a_refused_host_is_tried_again_after_a_while_and_each_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.mirror.retry()
    world.kernel.error = errno.EBUSY
    world.mirror.learn(Mirror(macs=(MAC, OTHER)))
    for _ in range(2 * _RETRY_TICKS):
        world.mirror.retry()
    assert world.asked() == [("+", AC110, HOST_MAC), ("+", AC110, OTHER.mac)] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    world.kernel.error = 0
    for _ in range(2 * _RETRY_TICKS):
        world.mirror.retry()
    assert world.asked() == [("+", AC110, HOST_MAC), ("+", AC110, OTHER.mac)]


def test_a_refused_host_is_tried_again_once_its_device_changed(world: World) -> None:
    world.mirror.retry()
    world.kernel.error = errno.EOPNOTSUPP
    world.mirror.learn(Mirror(macs=(MAC,)))
    world.kernel.error = 0
    world.overlay.link(replace(LINKS[AC110 - 1], flags=IFF_UP))
    world.mirror.retry()
    assert world.asked() == [("+", AC110, HOST_MAC)] * 2


@pytest.mark.parametrize("error", [errno.ENOENT, errno.ENODEV])
def test_a_host_that_is_gone_already_is_gone(world: World, error: int) -> None:
    world.mirror.learn(Mirror(macs=(MAC,)))
    world.kernel.error = error
    world.mirror.learn(Mirror(gone_macs=(MAC,)))
    world.mirror.retry()
    assert world.asked() == [("+", AC110, HOST_MAC), ("-", AC110, HOST_MAC)]


BOTH = [("+", AC110, HOST_MAC), ("+", BR110, HOST)]


@pytest.fixture
def mirrored(world: World) -> World:
    world.mirror.retry()
    world.mirror.learn(Mirror(macs=(MAC, ELSEWHERE), neighbors=(NEIGHBOR,)))
    assert world.asked() == BOTH
    world.mirror.retry()
    assert world.asked() == []
    return world


@pytest.mark.parametrize("index", [BR110, VX110, AC110])
def test_recreated_shadow_device_gets_its_hosts_again(mirrored: World, index: int) -> None:
    device = LINKS[index - 1]
    mirrored.overlay.link(replace(device, deleted=True))
    mirrored.overlay.link(device)
    if index == BR110:  # its ports left it, and come back
        for port in (VX110, AC110):
            mirrored.overlay.link(replace(LINKS[port - 1], master=0))
            mirrored.overlay.link(LINKS[port - 1])
    mirrored.mirror.retry()
    assert mirrored.asked() == BOTH
    mirrored.mirror.retry()
    assert mirrored.asked() == []


def test_an_access_port_that_left_its_bridge_and_came_back_gets_its_hosts_again(
    mirrored: World,
) -> None:
    mirrored.overlay.link(replace(LINKS[AC110 - 1], master=0))
    mirrored.overlay.link(LINKS[AC110 - 1])
    mirrored.mirror.retry()
    assert mirrored.asked() == BOTH


def test_a_bridge_that_was_down_gets_its_hosts_again(mirrored: World) -> None:
    """The kernel drops a device's neighbors when it goes down."""
    mirrored.overlay.link(replace(LINKS[BR110 - 1], flags=IFF_UP))
    mirrored.mirror.retry()
    assert mirrored.asked() == BOTH


def test_unchanged_rows_of_a_dump_are_left_alone(mirrored: World) -> None:
    mirrored.overlay.begin_dump()
    mirrored.links()
    mirrored.overlay.end_dump()
    mirrored.mirror.retry()
    assert mirrored.asked() == []


def test_other_devices_are_no_access_ports(mirrored: World) -> None:
    for name in ("ac", "acme", "eth7"):
        mirrored.overlay.link(link(20, name))
    mirrored.mirror.retry()
    assert mirrored.asked() == []


def ours(address: bytes = HOST, *, deleted: bool = False) -> NeighborMessage:
    """Say what the kernel says of a mirrored neighbour."""
    return NeighborMessage(
        deleted,
        AF_INET,
        BR110,
        NUD_NOARP,
        NTF_EXT_LEARNED,
        HOST_MAC,
        address,
        protocol=RTPROT_DUALPATH,
    )


def test_mirrored_neighbor_carries_dualpath_s_protocol(world: World) -> None:
    """Over a remote row the kernel would keep zebra's number, and zebra take it for its own."""
    world.mirror.learn(Mirror(neighbors=(NEIGHBOR,)))
    assert [message.protocol for message in world.kernel.asked] == [RTPROT_DUALPATH]


def test_rows_of_an_earlier_bridge_are_removed_once_all_hosts_are_known(
    world: World,
) -> None:
    other = bytes([10, 110, 0, 99])
    world.overlay.neighbor(ours(other))
    world.overlay.neighbor(on_bridge(AC110, BR110, OTHER.mac))
    world.mirror.retry()
    assert world.asked() == []
    world.mirror.learn(Mirror(whole=True, macs=(MAC,), neighbors=(NEIGHBOR,)))
    world.mirror.retry()
    assert sorted(world.asked()) == sorted(
        [*BOTH, ("-", BR110, other), ("-", AC110, OTHER.mac)],
    )
    world.mirror.retry()
    assert world.asked() == []


@pytest.mark.parametrize("row", [ours(deleted=True), ours()._replace(lladdr=b"")])
def test_row_that_somebody_removed_is_written_again(mirrored: World, row: NeighborMessage) -> None:
    """zebra may take back a remote host late, when it has just become a local one."""
    mirrored.mirror.learn(Mirror(whole=True, macs=(MAC,), neighbors=(NEIGHBOR,)))
    mirrored.asked()
    mirrored.overlay.neighbor(ours())
    mirrored.mirror.retry()
    assert mirrored.asked() == []
    mirrored.overlay.neighbor(row)
    mirrored.mirror.retry()
    assert mirrored.asked() == [("+", BR110, HOST)]


def test_row_that_a_dump_does_not_show_is_written_again(mirrored: World) -> None:
    mirrored.mirror.learn(Mirror(whole=True, macs=(MAC,), neighbors=(NEIGHBOR,)))
    mirrored.overlay.neighbor(ours())
    mirrored.mirror.retry()
    mirrored.asked()
    mirrored.overlay.begin_dump()
    mirrored.links()
    mirrored.overlay.end_dump()
    mirrored.mirror.retry()
    assert mirrored.asked() == [("+", BR110, HOST)]


def test_zebra_s_row_in_place_of_the_mirror_s_is_left_alone(mirrored: World) -> None:
    mirrored.mirror.learn(Mirror(whole=True, macs=(MAC,), neighbors=(NEIGHBOR,)))
    mirrored.overlay.neighbor(ours())
    for row in HOST_ROWS:
        mirrored.overlay.neighbor(row)
    mirrored.mirror.retry()
    mirrored.asked()
    mirrored.overlay.begin_dump()
    mirrored.links()
    for row in HOST_ROWS:
        mirrored.overlay.neighbor(row)
    mirrored.overlay.end_dump()
    mirrored.mirror.retry()
    assert mirrored.asked() == []


def test_mac_that_somebody_else_wrote_on_an_access_port_stays(world: World) -> None:
    """Invariant 2."""
    world.mirror.learn(Mirror(whole=True))
    world.overlay.neighbor(on_bridge(AC110, BR110, OTHER.mac)._replace(flags=NTF_MASTER))
    world.mirror.retry()
    assert world.asked() == []


def test_refused_host_that_left_is_not_tried_again(world: World) -> None:
    world.mirror.retry()
    world.kernel.error = errno.EBUSY
    world.mirror.learn(Mirror(macs=(MAC,), neighbors=(NEIGHBOR,)))
    world.mirror.learn(Mirror(gone_macs=(MAC,), gone_neighbors=(NEIGHBOR,)))
    world.asked()
    for _ in range(_RETRY_TICKS):
        world.mirror.retry()
    assert world.asked() == []


def test_router_is_written_as_one(world: World) -> None:
    world.mirror.learn(Mirror(neighbors=(replace(NEIGHBOR, router=True),)))
    assert [message.flags for message in world.kernel.asked] == [NTF_EXT_LEARNED | NTF_ROUTER]


def test_mirrored_row_is_not_remote_even_if_its_mac_is(world: World) -> None:
    world.mirror.learn(Mirror(neighbors=(NEIGHBOR,)))
    world.overlay.neighbor(ours())
    world.asked()
    for row in HOST_ROWS[:2]:  # the MAC alone has moved
        world.overlay.neighbor(row)
    world.mirror.learn(Mirror(gone_neighbors=(NEIGHBOR,)))
    assert world.asked() == [("-", BR110, HOST)]


def test_mirror_opens_a_netlink_socket() -> None:
    made = ShadowMirror(Overlay(RecordLog()))
    assert made._requests.port
    made.close()
