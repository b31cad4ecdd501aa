"""The kernel's longest match, followed through its neighbors and FDB."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from datapaths.base import Found, LooksUp, Way
from datapaths.kernel.driver import KernelDatapath
from dualpath.model.layer2 import EthernetSegment, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Address, Vni
from dualpath.model.nexthops import BLACKHOLE, Member, Nexthop, NexthopType
from dualpath.model.routes import DEFAULT_VRF
from tests.fakes.batches import batch, upsert
from tests.fakes.netns import fresh, ip

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

MAC, ROUTER_MAC = bytes.fromhex("0200000000aa"), bytes.fromhex("0200000000bb")
VTEP, OTHER_VTEP = bytes([10, 0, 0, 9]), bytes([10, 0, 0, 10])
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), "v0")
TWO = Nexthop(2, NexthopType.GATEWAY, bytes([10, 0, 0, 3]), "v0")
GROUP = Nexthop(3, NexthopType.GROUP, members=(Member(1, 2), Member(2)))
SIX = Nexthop(6, NexthopType.GATEWAY, ipaddress.ip_address("fd00::2").packed, "v0")
OVERLAY = Nexthop(7, NexthopType.GATEWAY, VTEP, vni=100, onlink=True)


@pytest.fixture
async def kernel() -> AsyncIterator[KernelDatapath]:
    with fresh() as name:
        ip(name, "link add v0 type veth peer name v1")
        for command in (
            "addr add 10.0.0.1/24 dev v0",
            "addr add fd00::1/64 dev v0 nodad",
            "link set v0 up",
            "link set v1 up",
        ):
            ip(name, command)
        made = KernelDatapath(name)
        vni = Vni(100, layer=3, local=bytes([10, 0, 0, 1]), mac=MAC)
        for records in ([vni], [RemoteVtep(100, VTEP, ROUTER_MAC)], [ONE, TWO, SIX, OVERLAY]):
            assert not await made.apply(upsert(*records))
        assert not await made.apply(upsert(GROUP))
        rows = ("20.0.0.0/8 1", "20.1.0.0/16 3", f"21.0.0.0/8 {BLACKHOLE}", "22.0.0.0/8 7")
        assert not await made.apply(batch(*(f"+ {row}" for row in rows)))
        assert not await made.apply(batch("+ 2001:db8::/32 6"))
        yield made
        await made.close()


async def found(kernel: KernelDatapath, address: str, vrf: str = DEFAULT_VRF) -> Found | None:
    return await kernel.look_up(vrf, ipaddress.ip_address(address).packed)


def covering(prefix: str, nexthop: Nexthop, *ways: Way, protocol: int = 68) -> Found:
    network = ipaddress.ip_network(prefix)
    return Found(network.network_address.packed, network.prefixlen, protocol, nexthop, ways)


async def test_lookup_returns_the_longest_match_with_its_nexthop(kernel: KernelDatapath) -> None:
    assert isinstance(kernel, LooksUp)
    assert await found(kernel, "20.9.9.9") == covering("20.0.0.0/8", ONE, Way(ONE))
    assert await found(kernel, "2001:db8::7") == covering("2001:db8::/32", SIX, Way(SIX))


async def test_lookup_returns_every_member_of_a_group(kernel: KernelDatapath) -> None:
    ways = Way(ONE, 2), Way(TWO, 1)
    assert await found(kernel, "20.1.9.9") == covering("20.1.0.0/16", GROUP, *ways)


async def test_lookup_returns_a_vtep_with_its_router_mac(kernel: KernelDatapath) -> None:
    way = Way(OVERLAY, 1, 100, VTEP, ROUTER_MAC)
    assert await found(kernel, "22.1.1.1") == covering("22.0.0.0/8", OVERLAY, way)


async def test_lookup_returns_a_connected_network(kernel: KernelDatapath) -> None:
    device = Nexthop(0, NexthopType.DEVICE, device="v0")
    way = Way(device)
    assert await found(kernel, "10.0.0.2") == covering("10.0.0.0/24", device, way, protocol=2)


async def test_lookup_returns_a_blackhole_and_nothing_without_a_route(
    kernel: KernelDatapath,
) -> None:
    assert await found(kernel, "30.0.0.1") is None
    assert await found(kernel, "3001::1") is None
    assert await found(kernel, "20.0.0.1", "nonsense") is None
    assert await found(kernel, "21.0.0.1") == Found(nexthop=Nexthop(0, NexthopType.BLACKHOLE))


async def test_lookup_returns_every_vtep_of_a_hosts_ethernet_segment(
    kernel: KernelDatapath,
) -> None:
    segment = EthernetSegment(0x20000001, (VTEP, OTHER_VTEP))
    host, local = ipaddress.ip_address("10.110.0.5"), Address.parse("10.110.0.1/24")
    vni = Vni(110, local=bytes([10, 0, 0, 1]), gateways=(local,))
    for records in ([vni], [segment], [Mac(110, MAC, segment=segment.id)]):
        assert not await kernel.apply(upsert(*records))
    assert not await kernel.apply(upsert(Neighbor(110, host.packed, MAC)))
    answer = await found(kernel, str(host))
    assert answer
    assert [(way.vni, way.vtep, way.mac) for way in answer.ways] == [
        (110, VTEP, MAC),
        (110, OTHER_VTEP, MAC),
    ]
    assert not await kernel.apply(upsert(replace(segment, vteps=(OTHER_VTEP,))))
    answer = await found(kernel, str(host))
    assert answer
    assert [way.vtep for way in answer.ways] == [OTHER_VTEP]
