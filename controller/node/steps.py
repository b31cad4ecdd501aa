"""One round of the provisioner: every step, in its order.

    sessions over NICs that leave -> VRFs, VNIs, ports -> shadow VRFs -> frr.conf
        -> shadow bridges and VXLAN devices -> twins -> Provisioned

bgpd may crash if it sees a VNI before it knows the VRF, so frr.conf comes before the shadow VXLAN
devices. Twins come last: a session that is up before its VNIs exist sends End-of-RIB too early, and
peers then drop the routes that they kept through a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from controller.core.planes import Planes
from controller.intent.layout import Intent
from controller.intent.schema import Owner
from controller.intent.verdicts import Outcome, blamed
from controller.node.configure import FrrConfiguration
from controller.node.frrdevices import FrrDevices
from controller.node.leaving import LeavingNics
from datapaths.base import Unavailable
from dualpath.model.cni import CniDevice
from dualpath.model.events import Configure, Provisioned
from dualpath.model.kinds import Kind
from dualpath.model.links import Port

log = logging.getLogger(__name__)

_REST_S = 30.0
_BRIDGE_S = 10.0  # for frr-bridge to connect, at the start


class Judge(Protocol):
    """Decides which intent replaces one that FRR refuses."""

    async def refuse(self, intent: Intent, owner: Owner, why: str) -> Intent | None: ...

    def accepted(self, intent: Intent) -> None: ...


class MadePorts(Protocol):
    """Makes the ports that do not exist before: those of CNI plugins."""

    async def want(self, devices: Sequence[CniDevice]) -> Mapping[str, str]:
        """Note the wanted ports; return the missing ones, and why each is missing."""

    @property
    def remarks(self) -> Mapping[str, str]:
        """Return the problems of existing ports."""

    async def audit(self) -> Mapping[str, str]:
        """Return which ports differ from the plugins' results, and how; change nothing."""

    def look_again(self) -> None: ...

    async def run(self) -> None:
        """Make and check ports until cancelled."""


class Steps:
    """Does rounds, one at a time."""

    def __init__(
        self,
        planes: Planes,
        devices: FrrDevices,
        frr: FrrConfiguration,
        leaving: LeavingNics,
        *,
        send: Callable[[Configure | Provisioned], object],
        replace: Callable[[Intent], None],
        judge: Judge | None,
        made: MadePorts | None,
    ) -> None:
        self._planes = planes
        self._devices = devices
        self._frr = frr
        self._leaving = leaving
        self._send = send
        self._replace = replace
        self._judge = judge
        self._made = made
        self.bridge_connected = asyncio.Event()
        """Set once frr-bridge has connected."""

    async def run(self, intent: Intent, outcome: Outcome) -> None:
        """Do every step in order, and note failures. A failing device stops no other device."""
        whole, intent = intent, await self.without_missing(intent, outcome)
        self._frr.intend(whole.frr)
        await self._shut_sessions_of_leaving_nics(intent)
        self._planes.want(Kind.VRF, intent.vrfs)
        self._planes.want(Kind.VNI, intent.vnis)
        self._planes.want(Kind.PORT, intent.ports)
        base = await self._devices.ensure_base(intent)
        await self._devices_are_there(outcome)
        if not await self.configure_frr(whole, outcome):
            return
        overlay = await self._devices.ensure_overlay(intent)
        for shadow_failure in (*base, *overlay):
            outcome.blame(*shadow_failure.key, f"shadow: {shadow_failure.reason}")
        ports = [port for port in intent.ports if (port.kind, port.key) not in outcome.devices]
        for failure in await self._devices.ensure_twins(ports, intent):
            outcome.blame(Kind.PORT, ports[failure.index].name, f"twin: {failure.reason}")
        if self._frr.configured(intent.frr):  # frr-bridge was not restarted meanwhile
            self._send(Provisioned())

    async def without_missing(self, intent: Intent, outcome: Outcome) -> Intent:
        """Return the intent without the missing ports; note why each is missing."""
        if not self._made:
            return intent
        missing = await self._made.want(intent.cni)
        for name, why in missing.items():
            outcome.blame(Kind.PORT, name, why)
        for name, remark in self._made.remarks.items():
            if owner := intent.owners.get((Kind.PORT, name)):
                outcome.remarks[owner] = f"{name}: {remark}"
        ports = tuple(port for port in intent.ports if port.name not in missing)
        return replace(intent, ports=ports) if missing else intent

    async def _shut_sessions_of_leaving_nics(self, intent: Intent) -> None:
        """Make FRR end the BGP sessions over NICs that leave, before they leave."""
        stays = {port.name for port in intent.ports}
        if leaving := self._leaving.new(self.nics - stays):
            await self._meet_bridge()
            await self._leaving.shut_sessions(leaving, intent.frr)

    async def _meet_bridge(self) -> None:
        """Wait up to 10 s for frr-bridge's first connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_BRIDGE_S):
                await self.bridge_connected.wait()

    async def _devices_are_there(self, outcome: Outcome) -> None:
        """Wait for the datapath's devices; note which are missing, and why."""
        active = self._planes.active
        try:
            async with asyncio.timeout(_REST_S):
                await active.reconciler.at_rest()
        except TimeoutError:
            outcome.problem = "the datapath takes long to make its devices"
        if active.reconciler.unavailable:
            raise Unavailable(f"the datapath does not answer: {active.reconciler.unavailable}")
        for kind in (Kind.VRF, Kind.VNI, Kind.PORT):
            for key, error in active.state.records[kind].errors():
                outcome.blame(kind, key, error)

    async def configure_frr(self, intent: Intent, outcome: Outcome) -> bool:
        """Have FRR's configuration applied, once for each frr-bridge; note why it is not."""
        await self._meet_bridge()
        answer = await self._frr.ensure(intent.frr)
        owner = blamed(intent, answer.section)
        if answer.ok:
            if self._judge:
                self._judge.accepted(intent)
            if owner and answer.message:
                outcome.remarks[owner] = answer.message
            return True
        why = f"FRR's configuration: {answer.message}"
        outcome.problem = why
        if owner:
            outcome.frr[owner] = answer.message
        other = None
        if owner and self._judge:
            other = await self._judge.refuse(intent, owner, answer.message)
        if owner and other:
            log.warning("%s %s is left out: %s", *owner, answer.message)
            self._replace(other)
        return False

    @property
    def nics(self) -> set[str]:
        """Return the NICs that the datapath has now."""
        ports = self._planes.first.state.records[Kind.PORT].all_programmed()
        return {p.name for p in ports if isinstance(p, Port) and not p.host and not p.loopback}
