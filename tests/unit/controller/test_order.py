"""The order in which intent reaches the datapath, FRR and the control namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from controller.intent.layout import Intent
from controller.intent.verdicts import Outcome
from controller.node.leaving import shut
from controller.node.namespaces import NamespacePair
from controller.node.provision import Provisioner
from datapaths.base import RowFailure
from datapaths.linux.shadows import Shadow, ShadowFailure, Shadows
from dualpath.model.events import Configure, Configured, Provisioned
from dualpath.model.frr import BgpInstance, BgpNeighbor, FrrSettings, from_json
from dualpath.model.links import Address, Port
from tests.fakes.core import Core, running
from tests.fakes.twins import NoTwins
from tests.unit.controller.intent.build import intent, manifest, underlay
from tests.unit.controller.intent.rulebook import rule

ALL = intent(underlay(), manifest("L2VNI", "segment"), manifest("L3VNI", "red"))


class LoggingShadows(Shadows):
    """Logs its calls, and creates nothing."""

    def __init__(self, log: list[str]) -> None:
        super().__init__("")
        self.log = log

    def ensure_base(self, shadow: Shadow, known: Shadow | None = None) -> list[ShadowFailure]:
        self.log.append("VRFs and lo of FRR's namespace")
        return []

    def ensure_overlay(self, shadow: Shadow, known: Shadow | None = None) -> list[ShadowFailure]:
        self.log.append("VXLAN devices of FRR's namespace")
        return []


class World(NoTwins):
    """Every part of a provisioner writes into one log; FRR accepts every configuration."""

    def __init__(self, directory: Path, wanted: Intent) -> None:
        super().__init__()
        self.core = Core()
        self.log = self.core.datapath.log
        namespaces = NamespacePair(str(directory), str(directory), False, False)
        self.provisioner = Provisioner(
            namespaces,
            wanted,
            self,
            self.core.planes,
            send=self._tell,
        )
        self.provisioner._devices._shadows = LoggingShadows(self.log)
        self.provisioner.subscribed(same_bridge=True)

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int]) -> Sequence[RowFailure]:
        self.log.append("twins")
        return ()

    def set_carrier(self, name: str, up: bool) -> None:
        raise AssertionError("nobody asked for it")

    def _tell(self, event: Configure | Provisioned) -> bool:
        if isinstance(event, Configure):
            settings = from_json(event.settings)
            neighbors = [n for i in settings.instances for n in i.neighbors]
            shut = [n.peer for n in neighbors if n.shutdown]
            self.log.append(f"frr.conf, {' '.join(shut)} shut" if shut else "frr.conf")
            answer = Configured(event.request, True, True, "", "")
            asyncio.get_running_loop().call_soon(self.provisioner.answered, answer)
        return True


@rule("Layout.order")
async def test_frr_is_configured_after_forwarding_devices_and_before_vxlan_shadows(
    tmp_path: Path,
) -> None:
    """A bgpd that meets a VNI before it knows the VRF may crash."""
    world = World(tmp_path, ALL)
    async with running(world.core):
        await world.provisioner._steps.run(ALL, Outcome())
    found = [world.log.index(step) for step in ("+ PORT pe-e-100", "frr.conf")]
    assert found == sorted(found)
    assert world.log[-3:] == ["frr.conf", "VXLAN devices of FRR's namespace", "twins"]


@rule("Layout.order")
async def test_devices_are_ordered_by_dependency(tmp_path: Path) -> None:
    world = World(tmp_path, ALL)
    async with running(world.core):
        await world.provisioner._steps.run(ALL, Outcome())
    kinds = [word.split()[1] for word in world.log if word.startswith("+")]
    assert kinds == sorted(kinds, key=["VRF", "VNI", "PORT"].index)
    assert set(kinds) == {"VRF", "VNI", "PORT"}


def uplinks(*names: str) -> Intent:
    neighbors = tuple(BgpNeighbor(name, "external", unnumbered=True) for name in names)
    instance = BgpInstance(64514, "192.0.2.1", neighbors=neighbors)
    ports = tuple(Port(name, source_netns="", twin=True) for name in names)
    return Intent(ports=ports, frr=FrrSettings(instances=(instance,)))


async def test_sessions_over_a_nic_are_shut_down_before_it_is_released(tmp_path: Path) -> None:
    """Otherwise the peer assumes a restart, and sends to the old link for two minutes."""
    before, after = uplinks("eth1", "eth3"), uplinks("eth2", "eth3")
    world = World(tmp_path, before)
    async with running(world.core):
        await world.provisioner._steps.run(before, Outcome())
        world.log.clear()
        await world.provisioner._steps.run(after, Outcome())
        await world.provisioner._steps.run(after, Outcome())
    steps = ["frr.conf, eth1 shut", "- PORT eth1", "frr.conf"]
    assert [world.log.index(step) for step in steps] == sorted(map(world.log.index, steps))
    assert world.log.index("frr.conf, eth1 shut") < world.log.index("+ PORT eth2")
    assert world.log.count("frr.conf, eth1 shut") == 1
    assert world.log.count("frr.conf") == 1


def test_sessions_over_a_nic_are_those_to_peers_in_its_subnets() -> None:
    peers = ("192.0.2.0", "192.0.2.9", "2001:db8::2", "2001:db8:9::2")
    neighbors = (
        *(BgpNeighbor(peer, "external") for peer in peers),
        BgpNeighbor("192.0.2.1", "external", multihop=5),
        BgpNeighbor("hosts", "external", listen_range="192.0.2.0/24"),
    )
    instances = (
        BgpInstance(64514, "192.0.2.1", neighbors=neighbors),
        BgpInstance(64514, "192.0.2.1", vrf="red", neighbors=neighbors),
    )
    addresses = [Address.parse("192.0.2.1/31"), Address.parse("2001:db8::1/64")]
    default, red = shut(FrrSettings(instances=instances), {"eth1"}, addresses).instances
    assert [n.peer for n in default.neighbors if n.shutdown] == ["192.0.2.0", "2001:db8::2"]
    assert red == instances[1]
