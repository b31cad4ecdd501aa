"""In which order intent reaches the datapath, FRR and FRR's namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from controller.intent.layout import Intent
from controller.intent.verdicts import Outcome
from controller.model.events import Configure, Configured, Provisioned
from controller.model.links import Port
from controller.provision import Provisioner, Spaces
from datapaths.base import RowFailure
from datapaths.linux.shadows import Shadow, ShadowFailure, Shadows
from tests.fakes.core import Core, running
from tests.unit.controller.intent.build import intent, manifest, underlay
from tests.unit.controller.intent.rulebook import rule

ALL = intent(underlay(), manifest("L2VNI", "segment"), manifest("L3VNI", "red"))


class LoggingShadows(Shadows):
    """Says when it is asked, and makes nothing."""

    def __init__(self, log: list[str]) -> None:
        super().__init__("")
        self.log = log

    def ensure_base(self, shadow: Shadow) -> list[ShadowFailure]:
        self.log.append("VRFs and lo of FRR's namespace")
        return []

    def ensure_overlay(self, shadow: Shadow) -> list[ShadowFailure]:
        self.log.append("VXLAN devices of FRR's namespace")
        return []


class World:
    """Everything of a provisioner writes into one log; FRR takes what it is given."""

    def __init__(self, directory: Path, wanted: Intent) -> None:
        self.core = Core()
        self.log = self.core.datapath.log
        spaces = Spaces(str(directory), str(directory), False, False)
        self.provisioner = Provisioner(
            spaces,
            wanted,
            self,
            self.core.state,
            self.core.reconciler,
            tell=self._tell,
        )
        self.provisioner._shadows = LoggingShadows(self.log)
        self.provisioner.subscribed(same_bridge=True)

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int]) -> Sequence[RowFailure]:
        self.log.append("twins")
        return ()

    def set_carrier(self, name: str, up: bool) -> None:
        raise AssertionError("nobody asked for it")

    def _tell(self, event: Configure | Provisioned) -> bool:
        if isinstance(event, Configure):
            self.log.append("frr.conf")
            answer = Configured(event.request, True, True, "", "")
            asyncio.get_running_loop().call_soon(self.provisioner.answered, answer)
        return True


@rule("Layout.order")
async def test_frr_is_configured_before_its_vxlan_devices_and_after_what_forwards(
    tmp_path: Path,
) -> None:
    """A bgpd that meets a VNI before it knows the VRF may crash."""
    world = World(tmp_path, ALL)
    async with running(world.core):
        await world.provisioner._round(ALL, Outcome())
    found = [world.log.index(step) for step in ("+ PORT pe-e-100", "frr.conf")]
    assert found == sorted(found)
    assert world.log[-3:] == ["frr.conf", "VXLAN devices of FRR's namespace", "twins"]


@rule("Layout.order")
async def test_devices_come_in_the_order_in_which_they_need_one_another(tmp_path: Path) -> None:
    world = World(tmp_path, ALL)
    async with running(world.core):
        await world.provisioner._round(ALL, Outcome())
    kinds = [word.split()[1] for word in world.log if word.startswith("+")]
    assert kinds == sorted(kinds, key=["VRF", "VNI", "PORT"].index)
    assert set(kinds) == {"VRF", "VNI", "PORT"}
