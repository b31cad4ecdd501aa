"""With grout too, hosts that leave with their port of a host's bridge are gone at once."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from datapaths.base import LearnedMac, PortChanged
from datapaths.conformance.batches import upsert
from datapaths.conformance.subject import L2VNI
from datapaths.linux.netns import entered
from dualpath.model.links import HostEnd, Port
from tests.fakes.netns import ip
from tests.netns.test_grout_driver import MAC, made
from tests.netns.test_left_hosts import SOON_S, attach, watched
from tests.unit.datapaths.kernel.frames import arp

pytestmark = [pytest.mark.netns, pytest.mark.grout]

ADDRESS = bytes([192, 168, 0, 50])


async def test_host_is_gone_at_once_when_its_port_loses_its_carrier() -> None:
    async with made() as bed:
        host = bed.world.host
        end = HostEnd(host, "h1", bridge="br-hs", create_bridge=True)
        leg = Port("leg", vni=L2VNI, host=end)
        assert not await bed.subject.datapath.apply(upsert(leg))
        await bed.hears(lambda event: event == PortChanged("leg", True))
        attach(host)
        with entered(host), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as mouth:
            mouth.bind(("far", 0))
            mouth.send(arp(1, MAC, ADDRESS, ADDRESS))
        await bed.hears(lambda event: event == LearnedMac(L2VNI, MAC))
        async with asyncio.timeout(10):
            while not watched(host):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        began = time.monotonic()
        ip(host, "link set far down")
        await bed.hears(lambda event: event == LearnedMac(L2VNI, MAC, gone=True))
        assert time.monotonic() < began + SOON_S
