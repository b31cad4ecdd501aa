"""Carries intent out: namespaces, devices, shadows, twins, and FRR's configuration, in order.

Level-triggered: a round looks at everything and changes what differs, so that a namespace that
vanished, an FRR that was not there yet and a device that somebody removed are all the same case.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from controller.core.reconciler import Reconciler
from controller.core.state import State
from controller.intent.layout import Intent
from controller.model.events import Configure, Configured, Provisioned
from controller.model.frr import to_json
from controller.model.kinds import Kind
from controller.model.links import Port
from controller.model.view import ResourceStatus
from datapaths.base import DatapathError, RowFailure
from datapaths.kernel import netns
from datapaths.kernel.shadows import Shadows, shadow_of

log = logging.getLogger(__name__)

_SIOCGIFMTU = 0x8921  # linux/sockios.h
_IFREQ = struct.Struct("=16si20x")  # struct ifreq with ifr_mtu in linux/if.h

_ROUND_S = 10.0  # look again at least so often
_RETRY_S = 2.0
_NAMESPACE_S = 0.5
_REST_S = 30.0
_CONFIGURE_S = 150.0


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


class PortTwins(Protocol):
    """FRR's stand-ins for ports, wired to what forwards. Synchronous, for one thread at a time."""

    def ensure(self, ports: Sequence[Port]) -> Sequence[RowFailure]:
        """Make a twin for every port that asks for one, and remove all others.

        Failures are by index into `ports`. Raises Unavailable without a control namespace, or
        while what forwards is away, and Unsupported when this host can never do it.
        """

    def set_carrier(self, name: str, up: bool) -> None:
        """Let FRR see that a port gained or lost carrier. A port without a twin is fine."""


class Provisioner:
    """Keeps one node as its intent says."""

    def __init__(
        self,
        spaces: Spaces,
        intent: Intent,
        twins: PortTwins,
        state: State,
        reconciler: Reconciler,
        *,
        tell: Callable[[Configure | Provisioned], object],
        renewed: Callable[[], None],
    ) -> None:
        self._spaces = spaces
        self._intent = intent
        self._state = state
        self._reconciler = reconciler
        self._tell = tell
        self._renewed = renewed
        self._shadows = Shadows(spaces.control)
        self._twins = twins
        self._wake = asyncio.Event()
        self._control_id = _identity(spaces.control)
        self._request = 0
        self._answer: asyncio.Future[Configured] | None = None
        self._configured = False
        self.problem = "intent is not in force yet"

    def statuses(self) -> Sequence[ResourceStatus]:
        """Return what became of each resource."""
        if not self.problem:
            return self._intent.statuses
        return [
            replace(s, ready=False, reason="NotInForce", message=self.problem) if s.ready else s
            for s in self._intent.statuses
        ]

    def answered(self, event: Configured) -> None:
        """Take the bridge's answer to a Configure."""
        if self._answer and not self._answer.done() and event.request == self._request:
            self._answer.set_result(event)

    def subscribed(self, *, same_bridge: bool) -> None:
        """A bridge listens; another one has to hear what FRR's configuration is."""
        if not same_bridge:
            self._configured = False
            if self._answer and not self._answer.done():
                gone = Configured(self._request, False, False, "frr-bridge was started again")
                self._answer.set_result(gone)
        self._wake.set()

    def port_changed(self, name: str, up: bool) -> None:
        """A port gained or lost carrier: FRR is to see that on its twin."""
        asyncio.get_running_loop().run_in_executor(None, self._twins.set_carrier, name, up)

    async def run(self) -> None:
        """Go round until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_namespace())
            group.create_task(self._rounds())

    async def _rounds(self) -> None:
        while True:
            self._wake.clear()
            try:
                problem = await self._round()
            except (OSError, DatapathError) as error:
                problem = str(error)
            if problem != self.problem:
                log.log(logging.WARNING if problem else logging.INFO, "%s", problem or "in force")
            self.problem = problem
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S if problem else _ROUND_S):
                    await self._wake.wait()

    async def _round(self) -> str:
        """Do it all, in order; return what is not yet as it should be, or ""."""
        intent = self._intent
        shadow = shadow_of(intent.vrfs, intent.vnis, intent.ports)
        await asyncio.to_thread(ensure_namespaces, self._spaces)
        self._state.want(Kind.VRF, list(intent.vrfs))
        self._state.want(Kind.VNI, list(intent.vnis))
        self._state.want(Kind.PORT, list(intent.ports))
        failed = [f.reason for f in await asyncio.to_thread(self._shadows.ensure_base, shadow)]
        problem = await self._devices_are_there()
        if problem:
            return problem
        failures = await asyncio.to_thread(self._twins.ensure, intent.ports)
        failed += [f"twin of {intent.ports[f.index].name}: {f.reason}" for f in failures]
        problem = await self._frr_is_configured()
        if problem:
            return problem
        overlays = await asyncio.to_thread(self._shadows.ensure_overlay, shadow)
        failed += [f"{failure.name}: {failure.reason}" for failure in overlays]
        if self._configured:  # still: no other bridge has come in the meantime
            self._tell(Provisioned())
        return "; ".join(failed)

    async def _devices_are_there(self) -> str:
        """Wait for the datapath's devices; return why one is not there, or ""."""
        try:
            async with asyncio.timeout(_REST_S):
                await self._reconciler.at_rest()
        except TimeoutError:
            return "the datapath takes long to make its devices"
        for kind in (Kind.VRF, Kind.VNI, Kind.PORT):
            for row in self._state.records[kind].rows(0):
                if row.error:
                    return f"{kind.name} {row.record.key}: {row.error}"
        return ""

    async def _frr_is_configured(self) -> str:
        """Have FRR's configuration applied, once for each bridge; return why not, or ""."""
        if self._configured:
            return ""
        self._request += 1
        self._answer = asyncio.get_running_loop().create_future()
        if not self._tell(Configure(self._request, to_json(self._intent.frr))):
            return "frr-bridge is not there to configure FRR"
        try:
            async with asyncio.timeout(_CONFIGURE_S):
                answer = await self._answer
        except TimeoutError:
            return "frr-bridge did not answer"
        if not answer.ok:
            return f"FRR's configuration: {answer.message}"
        self._configured = True
        log.info("FRR's configuration %s", "applied" if answer.changed else "was right")
        return ""

    async def _watch_namespace(self) -> None:
        """Notice that FRR's namespace was deleted, and make it again."""
        while True:
            await asyncio.sleep(_NAMESPACE_S)
            if self._spaces.make_control and not netns.exists(self._spaces.control):
                log.warning("namespace %s is gone; making it again", self._spaces.control)
                await asyncio.to_thread(ensure_namespaces, self._spaces)
            now = _identity(self._spaces.control)
            if now != self._control_id:
                self._control_id = now
                self._configured = False
                self._renewed()
                self._wake.set()


def _identity(name: str) -> tuple[int, int]:
    """Return what tells a namespace from another that had its name; (0, 0) when it is not there."""
    try:
        found = os.stat(netns.path_of(name))
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def underlay_mtu(ports: Sequence[Port], where: Sequence[str]) -> int:
    """Return the narrowest NIC's MTU, wherever of these namespaces it is now; 0 without any."""
    names = [port.name for port in ports if port.host is None and not port.loopback]
    found = [mtu for space in where for name in names if (mtu := _mtu(space, name))]
    return min(found, default=0)


def _mtu(space: str, name: str) -> int:
    if not netns.exists(space):
        return 0
    with netns.entered(space), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFMTU, _IFREQ.pack(name.encode(), 0))
        except OSError:
            return 0
    mtu: int = _IFREQ.unpack(answer)[1]
    return mtu
