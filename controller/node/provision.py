"""Carries intent out: namespaces, devices, shadows, twins, and FRR's configuration, in order.

Level-triggered: a round looks at everything and changes what differs, so that another namespace
under the old name, an FRR that was not there yet and a removed device are all the same case.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from controller.core.reconciler import Reconciler
from controller.core.state import State
from controller.intent.layout import Intent
from controller.intent.schema import Owner
from controller.intent.show import show
from controller.intent.verdicts import Outcome, blamed, in_force, verdicts
from controller.node.configure import FrrConfiguration
from controller.node.parting import shut, twins_addresses
from datapaths.base import DatapathError, RowFailure, Unavailable
from datapaths.linux import marks, netns, sysctls
from datapaths.linux.drift import Drift
from datapaths.linux.picture import ADDED, SETTINGS, TC
from datapaths.linux.shadows import Shadows, shadow_of
from dualpath.model.events import Configure, Configured, Provisioned
from dualpath.model.frr import tcp_ports
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.plan import Plan
from dualpath.model.view import Difference, Problem, ResourceStatus

log = logging.getLogger(__name__)

_SIOCGIFMTU = 0x8921  # linux/sockios.h
_IFREQ = struct.Struct("=16si20x")  # struct ifreq with ifr_mtu in linux/if.h

_ROUND_S = 10.0  # look again at least so often
_RETRY_S = 2.0
_LONGEST_S = 60.0  # a round over many VNIs is long: rest in proportion, up to this
_SHARE = 20
_DRIFT_REST_S = 0.5  # between two rounds for what drifts, at the most
_OF_TWINS = frozenset({"port", "twin", marks.TAP, TC, ADDED})
_REST_S = 30.0
_BRIDGE_S = 10.0  # until frr-bridge is up, when we begin


@dataclass(frozen=True, slots=True)
class Spaces:
    """The two namespaces, by name or path, and whether we make them when they are absent."""

    forwarding: str
    control: str
    make_forwarding: bool
    make_control: bool


def ensure_namespaces(spaces: Spaces) -> None:
    """Make what is absent and ours to make. Raises OSError or Unsupported."""
    if spaces.make_forwarding:
        netns.create(spaces.forwarding)
    if spaces.make_control and not netns.exists(spaces.control):
        netns.create_isolated(spaces.control)


class Judge(Protocol):
    """Decides what is wanted instead of what FRR refuses."""

    async def refuse(self, intent: Intent, owner: Owner, why: str) -> Intent | None: ...

    def applied(self, intent: Intent) -> None: ...


class PortTwins(Protocol):
    """FRR's stand-ins for ports, wired to what forwards. Synchronous, for one thread at a time."""

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int]) -> Sequence[RowFailure]:
        """Make a twin for every port that asks for one, and remove all others.

        Failures are by index into `ports`. Raises Unavailable without a control namespace, or
        while what forwards is away, and Unsupported when this host can never do it.
        """

    def differing(
        self, ports: Sequence[Port], tcp_ports: Iterable[int]
    ) -> Sequence[tuple[str, str]]:
        """Return each port whose twin differs from what `ensure` makes, and how; change nothing."""

    def spaces(self) -> set[str]:
        """Return the namespaces in which twins depend on something."""

    def set_carrier(self, name: str, up: bool) -> None:
        """Let FRR see that a port gained or lost carrier. A port without a twin is fine."""


class Provisioner:
    """Keeps one node as its intent says; another intent may come at any time."""

    def __init__(
        self,
        spaces: Spaces,
        intent: Intent,
        twins: PortTwins,
        state: State,
        reconciler: Reconciler,
        *,
        tell: Callable[[Configure | Provisioned], object],
        judge: Judge | None = None,
    ) -> None:
        self._intent = intent
        self._state = state
        self._reconciler = reconciler
        self._judge = judge
        self._parted: set[str] = set()  # NICs that go, their sessions shut
        self._spaces = spaces
        self._shadows = Shadows(spaces.control)
        self._drift = Drift(self._drifted)
        self._took_s = 0.0  # the last round
        self._soon: asyncio.TimerHandle | None = None  # a round, since something drifted
        self._twins = twins
        self._carriers = ThreadPoolExecutor(1, "carriers")  # one: the last word on a port counts
        self._wake = asyncio.Event()
        self._met = asyncio.Event()  # a bridge has been there
        self._frr = FrrConfiguration(tell)
        self._tell = tell
        self._in_force: dict[Owner, int] = {}
        self._outcome = Outcome("intent is not in force yet")

    @property
    def problem(self) -> str:
        """What keeps intent as a whole from being in force, "" for nothing."""
        return self._outcome.problem

    @property
    def intent(self) -> Intent:
        return self._intent

    @property
    def nics(self) -> set[str]:
        """The NICs that the datapath has now."""
        return {port.name for port in self._programmed_nics()}

    def plan(self) -> Plan:
        return show(self._intent)

    def replace(self, intent: Intent) -> None:
        """Make another intent true, beginning with the next round."""
        self._intent = intent
        self._wake.set()

    def statuses(self) -> Sequence[ResourceStatus]:
        """Return what became of each resource."""
        statuses = verdicts(self._intent, self._outcome)
        return [replace(s, applied_generation=self._in_force.get(s.owner, 0)) for s in statuses]

    def answered(self, event: Configured) -> None:
        """Take the bridge's answer to a Configure."""
        self._frr.answered(event)

    def subscribed(self, *, same_bridge: bool) -> None:
        """A bridge listens; another one has to hear what FRR's configuration is."""
        if same_bridge:
            self._frr.repeat()
        else:
            self._frr.forget("frr-bridge was started again")
        self._met.set()
        self._wake.set()

    def port_changed(self, name: str, up: bool) -> None:
        """A port gained or lost carrier: FRR is to see that on its twin."""
        asyncio.get_running_loop().run_in_executor(
            self._carriers, self._twins.set_carrier, name, up
        )

    def namespace_renewed(self, *, of_frr: bool) -> None:
        """Another namespace has the name of one of ours: make everything in it."""
        if of_frr:
            self._frr.forget("FRR's namespace is another one")
        self._wake.set()

    def look_again(self) -> None:
        """Look at everything now, and change what differs."""
        self._wake.set()

    async def audit(self) -> Sequence[Difference]:
        """Return how shadows and twins differ from what is wanted; change nothing."""
        try:
            return await asyncio.to_thread(self._differing, self._intent)
        except (OSError, DatapathError) as error:
            log.debug("cannot look at FRR's devices: %s", error)
            return ()

    def _differing(self, intent: Intent) -> list[Difference]:
        shadow = shadow_of(intent.vrfs, intent.vnis, intent.ports)
        shadows = [(it.key[0], it.reason) for it in self._shadows.differing(shadow)]
        twins = self._twins.differing(intent.ports, tcp_ports(intent.frr))
        found = [(kind, f"shadow {fault}") for kind, fault in shadows]
        found += [(Kind.PORT, f"twin {name} {fault}") for name, fault in twins]
        return [Difference(kind, "", text, Problem.DIFFERENT) for kind, text in found]

    def _drifted(self, space: str, what: str) -> None:
        """Somebody changed a device of FRR's, or what its twins depend on: look soon."""
        if space != self._spaces.control and what not in _OF_TWINS:
            return
        if what == SETTINGS:
            with suppress(OSError):  # the namespace is gone: a round says so
                sysctls.ensure(space, sysctls.CONTROL)
            return
        if self._soon is None:
            rest_s = min(self._took_s, _DRIFT_REST_S)
            self._soon = asyncio.get_running_loop().call_later(rest_s, self._look_soon)

    def _look_soon(self) -> None:
        self._soon = None
        self._wake.set()

    async def run(self) -> None:
        """Go round until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._rounds())
                group.create_task(self._drift.run())
        finally:
            self._drift.close()

    async def _rounds(self) -> None:
        while True:
            self._wake.clear()
            before, intent = self._outcome, self._intent
            outcome = Outcome()
            began = asyncio.get_running_loop().time()
            try:
                await self._round(intent, outcome)
            except (OSError, DatapathError) as error:
                outcome.problem = str(error)
            self._conclude(intent, before, outcome)
            self._took_s = asyncio.get_running_loop().time() - began
            rest_s = min(max(_ROUND_S, _SHARE * self._took_s), _LONGEST_S)
            of_twins = await asyncio.to_thread(self._twins.spaces)
            self._drift.watch_only(
                {**{space: {} for space in of_twins}, self._spaces.control: sysctls.CONTROL}
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S if outcome.failed else rest_s):
                    await self._wake.wait()

    def _conclude(self, intent: Intent, before: Outcome, outcome: Outcome) -> None:
        self._outcome = outcome
        if outcome.problem != before.problem:
            level = logging.WARNING if outcome.problem else logging.INFO
            log.log(level, "%s", outcome.problem or "in force")
        for key, why in outcome.devices.items():
            if before.devices.get(key) != why:
                log.warning("%s %s: %s", key[0].name, key[1], why)
        if intent is self._intent:
            self._in_force = in_force(verdicts(intent, outcome), self._in_force)

    async def _round(self, intent: Intent, outcome: Outcome) -> None:
        """Do it all, in order; note what is not as it should be. One failure stops no other."""
        shadow = shadow_of(intent.vrfs, intent.vnis, intent.ports)
        await self._shut_sessions_of_leaving_nics(intent)
        self._state.want(Kind.VRF, list(intent.vrfs))
        self._state.want(Kind.VNI, list(intent.vnis))
        self._state.want(Kind.PORT, list(intent.ports))
        base = await asyncio.to_thread(self._shadows.ensure_base, shadow)
        await self._devices_are_there(outcome)
        if not await self._frr_is_configured(intent, outcome):
            return
        overlay = await asyncio.to_thread(self._shadows.ensure_overlay, shadow)
        for shadow_failure in (*base, *overlay):
            outcome.blame(*shadow_failure.key, f"shadow: {shadow_failure.reason}")
        # Last: a session that comes up before there are VNIs has peers drop, at End-of-RIB, what
        # they kept of us through a restart.
        ports = [port for port in intent.ports if (port.kind, port.key) not in outcome.devices]
        speakers = tcp_ports(intent.frr)
        for failure in await asyncio.to_thread(self._twins.ensure, ports, speakers):
            outcome.blame(Kind.PORT, ports[failure.index].name, f"twin: {failure.reason}")
        if self._frr.configured(intent.frr):  # still: no other bridge has come in the meantime
            self._tell(Provisioned())

    async def _shut_sessions_of_leaving_nics(self, intent: Intent) -> None:
        """Have FRR end the sessions over NICs that go, before they go; once for each."""
        stays = {port.name for port in intent.ports}
        self._parted &= {port.name for port in self._programmed_nics()} - stays
        leaving = {p.name for p in self._programmed_nics()} - stays - self._parted
        if not leaving:
            return
        self._parted |= leaving
        await self._meet_bridge()
        addresses = await asyncio.to_thread(twins_addresses, self._spaces.control, leaving)
        before = self._frr.applied or intent.frr
        settings = shut(before, leaving, addresses)
        if settings == before:
            return
        names = ", ".join(sorted(leaving))
        log.info("%s: shutting its BGP sessions before it leaves", names)
        answer = await self._frr.ensure(settings)
        if not answer.ok:
            log.warning(
                "%s: its BGP sessions are not shut (%s); peers may send there until their "
                "graceful restart time is over",
                names,
                answer.message,
            )

    def _programmed_nics(self) -> list[Port]:
        ports = self._state.records[Kind.PORT].all_programmed()
        return [p for p in ports if isinstance(p, Port) and not p.host and not p.loopback]

    async def _meet_bridge(self) -> None:
        """Wait for frr-bridge's first connection, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_BRIDGE_S):
                await self._met.wait()

    async def _devices_are_there(self, outcome: Outcome) -> None:
        """Wait for the datapath's devices; note which are not there, and why."""
        try:
            async with asyncio.timeout(_REST_S):
                await self._reconciler.at_rest()
        except TimeoutError:
            outcome.problem = "the datapath takes long to make its devices"
        if self._reconciler.unavailable:
            raise Unavailable(f"the datapath does not answer: {self._reconciler.unavailable}")
        for kind in (Kind.VRF, Kind.VNI, Kind.PORT):
            for key, error in self._state.records[kind].errors():
                outcome.blame(kind, key, error)

    async def _frr_is_configured(self, intent: Intent, outcome: Outcome) -> bool:
        """Have FRR's configuration applied, once for each bridge; note why not."""
        await self._meet_bridge()
        answer = await self._frr.ensure(intent.frr)
        owner = blamed(intent, answer.section)
        if answer.ok:
            if self._judge:
                self._judge.applied(intent)
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
            self.replace(other)
        return False


def underlay_mtu(ports: Sequence[Port], where: Sequence[str]) -> int:
    """Return the narrowest NIC's MTU, wherever of these namespaces it is now; 0 without any."""
    names = [port.name for port in ports if port.host is None and not port.loopback]
    found = [mtu for space in where for name in names if (mtu := _mtu(space, name))]
    return min(found, default=0)


def _mtu(space: str, name: str) -> int:
    try:
        with netns.entered(space), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking, _SIOCGIFMTU, _IFREQ.pack(name.encode(), 0))
    except OSError:  # there is no such namespace, or no such device in it
        return 0
    mtu: int = _IFREQ.unpack(answer)[1]
    return mtu
