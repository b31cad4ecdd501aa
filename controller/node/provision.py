"""Carries intent out, in order: devices, shadow devices, FRR's configuration, twins.

Level-triggered: a round looks at everything and changes the differences. So one code path covers a
replaced namespace, an FRR that started late, and a removed device. Only a round that follows an
edit looks at the changed records alone, as long as the watch shows that nobody changed a device.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from controller.core.planes import Planes
from controller.intent.layout import Intent
from controller.intent.schema import Owner
from controller.intent.show import show
from controller.intent.verdicts import Outcome, in_force, verdicts
from controller.node.configure import FrrConfiguration
from controller.node.frrdevices import FrrDevices, PortTwins
from controller.node.leaving import LeavingNics
from controller.node.namespaces import NamespacePair
from controller.node.steps import Judge, MadePorts, Steps
from datapaths.base import DatapathError
from dualpath.model.events import Configure, Configured, Provisioned
from dualpath.model.kinds import Kind
from dualpath.model.plan import Plan
from dualpath.model.view import Audited, Difference, Problem, ResourceStatus

log = logging.getLogger(__name__)

_ROUND_S = 10.0  # after this, a round looks at all devices, if that takes little time
_RETRY_S = 2.0
_LONGEST_RETRY_S = 30.0
_RETRY_SHARE = 5  # what failed is looked at with everything else
_LONGEST_S = 900.0  # a look at many VNIs is long: pause in proportion, up to this
_SHARE = 300
_DRIFT_REST_S = 0.5  # the longest pause before a round that drift causes


class Provisioner:
    """Keeps one node as its intent wants it. A new intent may replace it at any time."""

    def __init__(
        self,
        namespaces: NamespacePair,
        intent: Intent,
        twins: PortTwins,
        planes: Planes,
        *,
        send: Callable[[Configure | Provisioned], object],
        judge: Judge | None = None,
        made: MadePorts | None = None,
        forget_other_config: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._intent = intent
        self._planes = planes
        self._made = made
        self._devices = FrrDevices(namespaces.control, twins, self._drifted)
        self._took_s = 0.0  # the last round
        self._soon: asyncio.TimerHandle | None = None  # a round, because something drifted
        self._wake = asyncio.Event()
        self._frr = FrrConfiguration(send, forget_other_config)
        self._steps = Steps(
            planes,
            self._devices,
            self._frr,
            LeavingNics(namespaces.control, self._frr),
            send=send,
            replace=self.replace,
            judge=judge,
            made=made,
        )
        self.switching: Callable[[], str] = str
        """Returns why the datapath that the manifests name does not forward yet."""
        self._in_force: dict[Owner, int] = {}
        self._revision = ""
        self._outcome = Outcome("intent is not in force yet")
        self._statuses: tuple[str, Sequence[ResourceStatus]] | None = None  # for what is switched

    @property
    def problem(self) -> str:
        """Return the reason why the intent as a whole is not in force; "" for none."""
        return self._outcome.problem

    @property
    def intent(self) -> Intent:
        return self._intent

    @property
    def nics(self) -> set[str]:
        """Return the NICs that the datapath has now."""
        return self._steps.nics

    def uses(self, name: str) -> bool:
        """Return whether a datapath has a port, or should have it."""
        tables = [plane.state.records[Kind.PORT] for plane in self._planes]
        return any(ports.programmed(name) or ports.desired(name) for ports in tables)

    def plan(self) -> Plan:
        return show(self._intent)

    def replace(self, intent: Intent) -> None:
        """Use another intent from the next round on."""
        self._intent, self._statuses = intent, None
        self._wake.set()

    def statuses(self) -> Sequence[ResourceStatus]:
        """Return the status of each resource."""
        switching = self.switching()
        if self._statuses is None or self._statuses[0] != switching:
            found = verdicts(self._intent, self._outcome, switching)
            generations = self._in_force
            found = [replace(s, applied_generation=generations.get(s.owner, 0)) for s in found]
            self._statuses = switching, found
        return self._statuses[1]

    def revision(self) -> str:
        """Return the revision of the API's objects whose statuses are known; "" if it has none."""
        return self._revision

    def answered(self, event: Configured) -> None:
        """Apply frr-bridge's answer to a Configure."""
        self._frr.answered(event)

    def subscribed(self, *, same_bridge: bool) -> None:
        """Note that frr-bridge connected; a new one needs FRR's configuration."""
        if same_bridge:
            self._frr.repeat()
        else:
            self._frr.forget("frr-bridge was restarted")
        self._steps.bridge_connected.set()
        self._wake.set()

    def port_changed(self, name: str, up: bool) -> None:
        """Show FRR, on the port's twin, that a port gained or lost carrier."""
        self._devices.set_carrier(name, up)

    def namespace_renewed(self, *, of_frr: bool) -> None:
        """Note that one of our namespaces was replaced: make everything in the new one."""
        if of_frr:
            self._frr.forget("FRR's namespace was replaced")
        self._look_at_all()

    def look_again(self) -> None:
        """Start a round now: look at everything, and change the differences."""
        if self._made:
            self._made.look_again()
        self._look_at_all()

    def ports_changed(self) -> None:
        """Note that a port was made or removed."""
        self._look_at_all()

    async def audit(self) -> Audited:
        """Compare shadow devices and twins with the intent; change nothing."""
        try:
            differing = await self._devices.differing(self._intent)
        except (OSError, DatapathError) as error:
            return Audited(0, unchecked=f"FRR's devices ({error})")
        made = await self._made.audit() if self._made else {}
        found = [f"{name}: {why}" for name, why in made.items()]
        of_made = (Difference(Kind.PORT, "", text, Problem.DIFFERENT) for text in found)
        return Audited(len(differing) + len(found), (*differing, *of_made))

    def _drifted(self) -> None:
        """Start a round soon: another program changed a device of FRR's, or one below twins."""
        if self._soon is None:
            rest_s = min(self._took_s, _DRIFT_REST_S)
            self._soon = asyncio.get_running_loop().call_later(rest_s, self._look_soon)

    def _look_at_all(self) -> None:
        self._devices.look_at_all()
        self._wake.set()

    def _look_soon(self) -> None:
        self._soon = None
        self._wake.set()

    async def run(self) -> None:
        """Do rounds until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds())
            group.create_task(self._devices.watch())
            if self._made:
                group.create_task(self._made.run())

    async def _rounds(self) -> None:
        clock = asyncio.get_running_loop().time
        looked, rest_s = clock(), 0.0  # when a round looked at all, and for how long that holds
        while True:
            self._wake.clear()
            before, intent = self._outcome, self._intent
            outcome = Outcome()
            began = clock()
            if began - looked >= rest_s:  # also if edits wake it again and again
                self._devices.look_at_all()
                looked = began
            try:
                await self._steps.run(intent, outcome)
            except (OSError, DatapathError) as error:
                outcome.problem = str(error)
            self._conclude(intent, before, outcome)
            self._took_s = clock() - began
            look_s = self._devices.look_s
            rest_s = min(max(_ROUND_S, _SHARE * look_s), _LONGEST_S)
            retry_s = min(max(_RETRY_S, _RETRY_SHARE * look_s), _LONGEST_RETRY_S)
            await self._devices.watch_where_they_are()
            left_s = max(looked + rest_s - clock(), _RETRY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_s if outcome.failed else left_s):
                    await self._wake.wait()

    def _conclude(self, intent: Intent, before: Outcome, outcome: Outcome) -> None:
        self._outcome, self._statuses = outcome, None
        if outcome.problem != before.problem:
            level = logging.WARNING if outcome.problem else logging.INFO
            log.log(level, "%s", outcome.problem or "in force")
        for key, why in outcome.devices.items():
            if before.devices.get(key) != why:
                log.warning("%s %s: %s", key[0].name, key[1], why)
        if intent is self._intent:
            now = verdicts(intent, outcome, self.switching())
            self._in_force = in_force(now, self._in_force)
            self._revision = intent.node.revision
