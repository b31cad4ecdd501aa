"""Traffic to a host behind a remote Ethernet segment, over the kernel datapath."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from datapaths.kernel.driver import KernelDatapath
from dualpath.model.layer2 import EthernetSegment, Mac, Neighbor
from dualpath.model.links import Address, Vni
from dualpath.model.records import Record
from tests.fakes.batches import upsert
from tests.netns.namespaces import fresh, ping, run

pytestmark = pytest.mark.netns

VNI, SEGMENT = 110, 5
LOCAL = bytes([10, 0, 0, 1])
FIRST, SECOND = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 3])
HOST, HOST_MAC = "192.168.110.9", bytes.fromhex("0200000000aa")
ADDRESS = bytes([192, 168, 110, 9])


@asynccontextmanager
async def joined() -> AsyncIterator[tuple[str, KernelDatapath]]:
    """Join a datapath to a site with two VTEPs, behind which one host is."""
    with fresh("fwd", "site") as (forwarding, site):
        run(f"ip -n {forwarding} link add up0 type veth peer name up1 netns {site}")
        run(f"ip -n {forwarding} addr add 10.0.0.1/24 dev up0")
        run(f"ip -n {forwarding} link set up0 up")
        for vtep in ("10.0.0.2", "10.0.0.3"):
            run(f"ip -n {site} addr add {vtep}/24 dev up1")
        run(f"ip -n {site} link set up1 up")
        tunnel = "type vxlan id 110 local 10.0.0.2 remote 10.0.0.1 dstport 4789"
        run(f"ip -n {site} link add l2 address {HOST_MAC.hex(':')} {tunnel}")
        run(f"ip -n {site} addr add {HOST}/24 dev l2")
        run(f"ip -n {site} link set l2 up")
        datapath = KernelDatapath(forwarding)
        gateway = Address.parse("192.168.110.1/24")
        vni = Vni(VNI, local=LOCAL, mac=bytes.fromhex("00f30000006e"), gateways=(gateway,))
        try:
            await apply(datapath, vni, segment(FIRST, SECOND))
            await apply(datapath, Mac(VNI, HOST_MAC, segment=SEGMENT))
            await apply(datapath, Neighbor(VNI, ADDRESS, HOST_MAC))
            yield forwarding, datapath
        finally:
            await datapath.close()


def segment(*vteps: bytes) -> EthernetSegment:
    return EthernetSegment(SEGMENT, vteps)


async def apply(datapath: KernelDatapath, *records: Record) -> None:
    for record in records:
        assert not await datapath.apply(upsert(record))


async def test_host_behind_a_segment_is_reached() -> None:
    async with joined() as (forwarding, _):
        assert ping(forwarding, HOST)


async def test_host_is_reached_while_vteps_change() -> None:
    async with joined() as (forwarding, datapath):
        lost: list[bool] = []
        over = threading.Event()
        pinging = threading.Thread(target=_ping_until(over.is_set, forwarding, lost))
        pinging.start()
        try:
            for vteps in ((FIRST,), (FIRST, SECOND), (SECOND,), (FIRST, SECOND)) * 5:
                await apply(datapath, segment(*vteps))
        finally:
            over.set()
            pinging.join()
        assert lost
        assert not any(lost)


async def test_host_is_reached_when_it_moves_between_a_vtep_and_a_segment() -> None:
    async with joined() as (forwarding, datapath):
        for mac in (Mac(VNI, HOST_MAC, SECOND), Mac(VNI, HOST_MAC, segment=SEGMENT)) * 2:
            await apply(datapath, mac)
            assert ping(forwarding, HOST)


def _ping_until(over: Callable[[], bool], source: str, lost: list[bool]) -> Callable[[], None]:
    def work() -> None:
        while not over():
            lost.append(not ping(source, HOST))

    return work
