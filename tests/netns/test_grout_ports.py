"""Ports, host legs and twins under real grout in the default VRF, and what outlives grout."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from controller.node.namespaces import NamespaceKeeper, NamespacePair
from datapaths.grout.channel import Channel
from datapaths.grout.driver import GroutDatapath
from datapaths.grout.ports.placement import Places
from datapaths.grout.ports.ports import Ports
from datapaths.grout.ports.twins import GroutTwins
from datapaths.grout.ports.watch import Watch
from datapaths.grout.process import Grout, locate
from datapaths.kernel.layout import Layout
from datapaths.linux import netns, sysctls
from datapaths.linux.twins import Twins
from dualpath.model.kinds import Kind
from dualpath.model.links import HostEnd, Port, Vni
from dualpath.model.records import RecordBatch
from tests.netns import grouts
from tests.netns.layouts import addresses
from tests.netns.namespaces import fresh, ping, run
from tests.netns.test_twins import exchange, link_local
from tests.unit.controller.intent.rulebook import rule

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.netns, pytest.mark.grout]

V4, V6 = "192.0.2.1", "2001:db8::1"
LEG4, LEG6 = "198.51.100.1", "2001:db8:1::1"


@dataclass
class Bed:
    """grout in `home`; a peer behind a NIC, a host behind a leg, and FRR's namespace."""

    grout: Grout
    home: str
    control: str
    peer: str
    host: str
    ports: Ports
    channel: Channel

    def __post_init__(self) -> None:
        self.twins = GroutTwins(lambda: locate(self.grout.sock), self.home, self.control)
        end = HostEnd(self.host, "eth0", addresses=addresses("198.51.100.2/24", "2001:db8:1::2/64"))
        self.nic = Port(
            "eth1", addresses=addresses(f"{V4}/31", f"{V6}/64"), source_netns="", twin=True
        )
        self.leg = Port(
            "leg", addresses=addresses(f"{LEG4}/24", f"{LEG6}/64"), host=end, twin=True, mtu=1450
        )
        self.lo = Port("lo", addresses=addresses("100.64.0.1/32"), loopback=True)

    @property
    def all(self) -> tuple[Port, ...]:
        return (self.nic, self.leg, self.lo)  # the driver makes grout's default VRF before

    async def apply(self, *ports: Port) -> None:
        assert await self.ports.apply(RecordBatch(Kind.PORT, upserts=ports)) == []

    async def remove(self, *ports: Port) -> None:
        assert await self.ports.apply(RecordBatch(Kind.PORT, withdrawals=ports)) == []

    async def build(self) -> None:
        await self.apply(*self.all)
        await self.all_up()
        assert await asyncio.to_thread(self.twins.ensure, self.all) == []

    async def all_up(self) -> None:
        async def are_up() -> bool:
            return all(state.up for state in await self.ports.states())

        await grouts.until(are_up)

    async def reconnect(self) -> None:
        self.channel.close()
        self.channel = await Channel.open(str(self.grout.sock))
        self.ports = Ports(
            self.channel, lambda: Places(locate(self.grout.sock), self.home, self.peer)
        )

    async def pings(self, space: str, address: str) -> bool:
        return await asyncio.to_thread(ping, space, address, 5)

    async def talks(self, caller: str, callee: str, address: str, listen: str = "") -> bool:
        return await asyncio.to_thread(lambda: exchange(caller, callee, address, listen=listen))


def ours(*names: str) -> list[str]:
    """Names that are unique to this run: these tests are long, and runs may overlap."""
    return [f"{name}-{os.getpid()}" for name in names]


@asynccontextmanager
async def made() -> AsyncIterator[Bed]:
    """A NIC in the controller's namespace, here the peer's other end; nothing built yet."""
    with (
        grouts.state_directory() as state_dir,
        fresh(*ours("home", "ctl", "peer", "host")) as names,
    ):
        command = grouts.command(state_dir)
        if not command:
            pytest.skip(grouts.NEEDED)
        home, control, peer, host = names
        grout = Grout(state_dir / "grout.sock", home, state_dir, hugepages=False, command=command)
        sysctls.ensure(control, sysctls.CONTROL)
        run(f"ip -n {peer} link add eth1 type veth peer name peer0; ip -n {peer} link set peer0 up")
        run(f"ip -n {peer} addr add 192.0.2.0/31 dev peer0")
        run(f"ip -n {peer} addr add 2001:db8::2/64 dev peer0 nodad")
        run(f"ip -n {peer} route add 198.51.100.0/24 via {V4}")
        run(f"ip -n {peer} route add 2001:db8:1::/64 via {V6}")
        async with grouts.running(grout):
            channel = await Channel.open(str(grout.sock))
            # The NIC comes from the peer's namespace, which stands for the controller's own.
            places = Places(locate(grout.sock), home, peer)
            bed = Bed(grout, home, control, peer, host, Ports(channel, lambda: places), channel)
            try:
                yield bed
            finally:
                bed.channel.close()


async def test_port_reads_back_as_its_record() -> None:
    async with made() as bed:
        await bed.build()
        assert sorted(await bed.ports.dump(), key=lambda port: port.name) == sorted(
            bed.all, key=lambda port: port.name
        )


async def test_hosts_and_peers_reach_grout_and_each_other() -> None:
    async with made() as bed:
        await bed.build()
        run(f"ip -n {bed.host} route add default via {LEG4}")
        run(f"ip -n {bed.host} route replace default via {LEG6}")
        assert await bed.pings(bed.host, LEG4)
        assert await bed.pings(bed.host, LEG6)
        assert await bed.pings(bed.peer, V4)
        assert await bed.pings(bed.host, "192.0.2.0")
        assert await bed.pings(bed.host, "2001:db8::2")
        assert await bed.talks(bed.host, bed.peer, "192.0.2.0", "0.0.0.0")
        [state] = [s for s in await bed.ports.states() if s.name == "leg"]
        assert state.up
        assert state.driver == "net_tap"
        assert state.rx_packets > 0


async def test_bgp_passes_through_twins_both_ways() -> None:
    async with made() as bed:
        await bed.build()
        assert await bed.talks(bed.peer, bed.control, V4)
        assert await bed.talks(bed.peer, bed.control, V6)
        run(f"ip -n {bed.control} addr add 100.64.0.1/32 dev lo")
        run(f"ip -n {bed.peer} route add 100.64.0.1 via {V4}")
        assert await bed.talks(bed.peer, bed.control, "100.64.0.1")
        assert await bed.talks(bed.control, bed.peer, "192.0.2.0")
        assert await bed.talks(bed.control, bed.peer, "2001:db8::2")
        ours = await asyncio.to_thread(link_local, bed.control, "eth1")
        assert await bed.talks(bed.peer, bed.control, f"{ours}%peer0", f"{ours}%eth1")
        theirs = await asyncio.to_thread(link_local, bed.peer, "peer0")
        assert await bed.talks(bed.control, bed.peer, f"{theirs}%eth1", "::")


async def test_following_links_leaves_the_twins_unchanged() -> None:
    async with made() as bed:
        await bed.build()
        watch = Watch(lambda: locate(bed.grout.sock), bed.home)
        await asyncio.to_thread(watch.look, bed.home)
        assert await asyncio.to_thread(bed.twins.differing, bed.all) == []


async def test_everything_is_programmed_again_after_grout_was_killed() -> None:
    async with made() as bed:
        await bed.build()
        run(f"ip -n {bed.host} route add default via {LEG4}")
        before = await asyncio.to_thread(bed.twins.dump)
        pid = await grouts.up(bed.grout)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await grouts.up(bed.grout, other_than=pid)
        started = time.monotonic() - began
        await bed.reconnect()
        assert await bed.ports.dump() == []
        await bed.build()
        log.info("answers after %.1f s, back after %.1f s", started, time.monotonic() - began)
        assert await asyncio.to_thread(bed.twins.dump) == before
        assert await bed.pings(bed.host, "192.0.2.0")
        assert await bed.talks(bed.peer, bed.control, V4)
        assert await bed.talks(bed.control, bed.peer, "2001:db8::2")


@rule("Layout.twice")
async def test_repeated_apply_changes_nothing_and_edits_are_made_in_place() -> None:
    async with made() as bed:
        await bed.build()
        have = await bed.ports.inventory()
        await bed.build()
        assert await bed.ports.inventory() == have
        changed = replace(bed.leg, mtu=1400, addresses=addresses(f"{LEG4}/25"))
        await bed.apply(changed)
        assert changed in await bed.ports.dump()
        assert (await bed.ports.inventory()).ifaces["leg"].id == have.ifaces["leg"].id
        assert await bed.pings(bed.host, LEG4)


@rule("Layout.nic")
async def test_removed_port_leaves_the_nic_as_it_was() -> None:
    async with made() as bed:
        run(f"ip -n {bed.peer} link set eth1 up alias uplink")
        run(f"ip -n {bed.peer} addr add 203.0.113.1/24 dev eth1")
        before = run(f"ip -n {bed.peer} -br addr show eth1")
        await bed.build()
        await bed.remove(bed.leg, bed.nic)
        assert run(f"ip -n {bed.peer} -br addr show eth1") == before
        assert "uplink" in run(f"ip -n {bed.peer} link show eth1")
        assert "eth0" not in run(f"ip -n {bed.host} link")
        assert [port.name for port in await bed.ports.dump()] == ["lo"]


async def test_devices_of_the_kernel_datapath_are_adopted() -> None:
    async with made() as bed:
        layout = Layout(bed.home, bed.peer)
        batch = RecordBatch(Kind.PORT, upserts=(bed.nic, bed.leg))
        assert await asyncio.to_thread(layout.apply, batch) == []
        twins = Twins(bed.home, bed.control)
        assert await asyncio.to_thread(twins.ensure, [bed.nic, bed.leg]) == []
        await bed.build()
        assert await bed.pings(bed.host, LEG4)
        assert await bed.talks(bed.peer, bed.control, V4)
        assert await bed.talks(bed.control, bed.peer, "2001:db8::2")
        await bed.remove(bed.nic)
        assert "192.0.2.1" not in run(f"ip -n {bed.peer} addr show eth1")


async def test_deleted_wire_is_detected_and_repaired() -> None:
    async with made() as bed:
        await bed.build()
        run(f"tc -n {bed.home} qdisc del dev n-leg clsact")
        assert bed.leg not in await bed.ports.dump()
        await bed.apply(bed.leg)
        assert bed.leg in await bed.ports.dump()


async def test_foreign_device_with_the_ports_name_is_refused() -> None:
    async with made() as bed:
        run(f"ip -n {bed.home} link add leg type bridge")
        [failure] = await bed.ports.apply(RecordBatch(Kind.PORT, upserts=(bed.leg,)))
        assert failure.errno == errno.EEXIST
        assert "is not grout's" in failure.reason
        await bed.apply(bed.nic)


@pytest.mark.parametrize(
    ("devargs", "errors", "reason"),
    [
        ("net_tap0, iface=x", {errno.EINVAL}, "want DEVICE"),
        ("0000:7f:1f.7", {errno.ENODEV, errno.EPERM}, ""),  # EPERM on a kernel without PCI
    ],
)
async def test_invalid_devargs_fail_their_port_only(
    devargs: str, errors: set[int], reason: str
) -> None:
    async with made() as bed:
        bad = replace(bed.nic, devargs=devargs, source_netns=None)
        [failure] = await bed.ports.apply(RecordBatch(Kind.PORT, upserts=(bad, bed.leg)))
        assert failure.index == 0
        assert failure.errno in errors
        assert reason in failure.reason


async def test_af_packet_opens_the_nic_itself() -> None:
    async with made() as bed:
        run("ethtool -K peer0 tx off tso off gso off", check=False)
        nic = replace(bed.nic, devargs="net_af_packet0,iface=eth1")
        await bed.apply(nic)
        assert nic in await bed.ports.dump()
        assert await bed.pings(bed.peer, V4)
        assert await bed.pings(bed.peer, V6)


async def test_shared_wiring_returns_traffic_to_the_kernel_when_grout_dies() -> None:
    async with made() as bed:
        with fresh(*ours("fwd")) as (forwarding,):
            await asyncio.to_thread(Layout(forwarding, bed.peer).prepare)
            places = Places(locate(bed.grout.sock), forwarding, bed.peer)
            ports = Ports(bed.channel, lambda: places)
            nic = replace(bed.nic, wiring="shared")
            batch = RecordBatch(Kind.PORT, upserts=(nic,))
            assert await ports.apply(batch) == []
            twins = GroutTwins(lambda: locate(bed.grout.sock), forwarding, bed.control)
            assert nic in await ports.dump()
            assert await asyncio.to_thread(twins.ensure, [nic]) == []
            assert await bed.pings(bed.peer, V4)
            assert await bed.talks(bed.peer, bed.control, V4)
            [state] = await ports.states()
            assert state.rx_packets > 0
            await asyncio.to_thread(twins.set_carrier, nic.name, False)  # grout's port, not FRR's
            assert await bed.talks(bed.peer, bed.control, V4)
            run(f"ip -n {bed.peer} addr add 192.0.2.0/31 dev peer0", check=False)
            watch = asyncio.ensure_future(Watch(lambda: locate(bed.grout.sock), forwarding).run())
            await asyncio.sleep(1)  # it has to know where grout runs
            os.kill(await grouts.up(bed.grout), signal.SIGKILL)
            began = time.monotonic()
            assert await bed.pings(bed.peer, V4)
            log.info("the kernel answers %.2f s after grout's death", time.monotonic() - began)
            assert await bed.pings(bed.peer, V6)
            assert await bed.talks(bed.peer, bed.control, V4)
            watch.cancel()


async def test_carrier_is_followed_in_both_directions() -> None:
    async with made() as bed:
        watch = asyncio.ensure_future(Watch(lambda: locate(bed.grout.sock), bed.home).run())
        await bed.build()

        async def leg_is(up: bool) -> bool:
            return [s.up for s in await bed.ports.states() if s.name == "leg"] == [up]

        async def host_sees(text: str) -> bool:
            return text in run(f"ip -n {bed.host} link show eth0")

        run(f"ip -n {bed.host} link set eth0 down")
        await grouts.until(lambda: leg_is(False))
        run(f"ip -n {bed.host} link set eth0 up")
        await grouts.until(lambda: leg_is(True))
        pid = await grouts.up(bed.grout)
        os.kill(pid, signal.SIGKILL)
        await grouts.until(lambda: host_sees("NO-CARRIER"))
        await grouts.up(bed.grout, other_than=pid)
        await bed.reconnect()
        await bed.apply(*bed.all)
        await bed.all_up()
        await grouts.until(lambda: host_sees("LOWER_UP"))
        assert await bed.pings(bed.host, LEG4)
        assert await asyncio.to_thread(bed.twins.ensure, bed.all) == []
        assert await bed.talks(bed.peer, bed.control, V6)
        watch.cancel()


async def test_grout_continues_while_its_namespace_loses_and_regains_its_name() -> None:
    async with made() as bed:
        await bed.build()
        run(f"ip -n {bed.host} route add default via {LEG4}")
        keeper = NamespaceKeeper(NamespacePair(bed.home, bed.control, True, True), lambda _: None)
        before = netns.identity(bed.home)
        netns.remove(bed.home)
        assert sorted(port.name for port in await bed.ports.dump()) == ["eth1", "leg", "lo"]
        assert await bed.pings(bed.host, "192.0.2.0")
        keeper.look()
        keeper.close()
        assert (netns.identity(bed.home), keeper.problem) == (before, "")
        assert set(await bed.ports.dump()) == set(bed.all)
        assert await asyncio.to_thread(bed.twins.differing, bed.all) == []
        assert await bed.talks(bed.peer, bed.control, V4)


@rule("Differs.grout")
async def test_hosts_in_one_l2vni_reach_each_other() -> None:
    async with made() as bed:
        datapath = GroutDatapath(
            str(bed.grout.sock),
            lambda: Places(locate(bed.grout.sock), bed.home, bed.peer),
            lambda: bed.home,
        )
        vni = Vni(110, local=addresses("100.64.0.1/32")[0].ip)
        ends = [
            HostEnd(space, "eth0", addresses=addresses(f"10.0.0.{i}/24", f"2001:db8:2::{i}/64"))
            for i, space in enumerate((bed.host, bed.control), 1)
        ]
        bridged = HostEnd(bed.peer, "leg3", bridge="br-hs", create_bridge=True)
        legs = [
            Port(f"leg{i}", vni=110, host=end, mtu=1450) for i, end in enumerate((*ends, bridged))
        ]
        batches = [
            RecordBatch(Kind.PORT, upserts=(bed.lo,)),
            RecordBatch(Kind.VNI, upserts=(vni,)),
            RecordBatch(Kind.PORT, upserts=tuple(legs)),
        ]
        try:
            for batch in batches:
                assert await datapath.apply(batch) == []
            assert await bed.pings(bed.host, "10.0.0.2")
            assert await bed.pings(bed.control, "2001:db8:2::1")
            run(f"ip -n {bed.peer} addr add 10.0.0.3/24 dev br-hs")
            assert await bed.pings(bed.peer, "10.0.0.1")
            dumped = [batch async for batch in datapath.dump(Kind.PORT)]
            assert dumped == [RecordBatch(Kind.PORT, upserts=(bed.lo, *legs))]
            gone = RecordBatch(Kind.PORT, withdrawals=tuple(legs))
            assert await datapath.apply(gone) == []
            assert "br-hs" not in run(f"ip -n {bed.peer} link")
        finally:
            await datapath.close()
