"""FRR's devices in the control namespace, shadow devices and twins: made, compared and watched.

zebra requires a VRF, bridge and VXLAN device for each VRF and VNI (shadow devices), and sends its
own packets through twins of ports. Another program may change any of them while FRR runs; the watch
reports that, and the next round repairs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from controller.intent.layout import Intent
from datapaths.base import RowFailure
from datapaths.linux import marks, sysctls
from datapaths.linux.drift import Drift
from datapaths.linux.picture import ADDED, SETTINGS, TC
from datapaths.linux.shadows import Shadow, ShadowFailure, Shadows, shadow_of
from dualpath.model.frr import tcp_ports
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.view import Difference, Problem

T = TypeVar("T")

_OF_PORTS = frozenset({"port", "twin", marks.TAP, TC})
_OF_TWINS = _OF_PORTS | {ADDED}


class PortTwins(Protocol):
    """The twins of ports, connected to the datapath. Synchronous, for one thread at a time."""

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int]) -> Sequence[RowFailure]:
        """Make a twin for every port that needs one, and remove all others.

        Failures are by index into `ports`. Raises Unavailable without a control namespace, or while
        the datapath does not answer, and Unsupported if this host can never do it.
        """

    def differing(
        self, ports: Sequence[Port], tcp_ports: Iterable[int]
    ) -> Sequence[tuple[str, str]]:
        """Return each port whose twin differs from what `ensure` makes, and how; change nothing."""

    def namespaces(self) -> set[str]:
        """Return the namespaces whose devices affect the twins."""

    def set_carrier(self, name: str, up: bool) -> None:
        """Show FRR that a port gained or lost carrier. A port without a twin is ignored."""


class _MakeShadows(Protocol):
    """`Shadows.ensure_base` or `ensure_overlay`."""

    __name__: str

    def __call__(self, shadow: Shadow, known: Shadow | None) -> Sequence[ShadowFailure]: ...


@dataclass(slots=True)
class _Known:
    """The shadow devices that a round made, and nobody changed since, as far as the watch shows.

    A round looks only at what differs from them. A change by somebody replaces the object, so a
    round that runs meanwhile cannot fill it again.
    """

    shadow: Shadow | None = None
    based: bool = False  # `ensure_base` has made everything, with this object


@dataclass(slots=True)
class _KnownTwins:
    """The same for twins: the ports, and FRR's TCP ports."""

    wanted: tuple[tuple[Port, ...], tuple[int, ...]] | None = None


class FrrDevices:
    """Makes and compares FRR's devices. Calls `on_drift` when another program changed one."""

    def __init__(self, control: str, twins: PortTwins, on_drift: Callable[[], None]) -> None:
        self._control = control
        self._twins = twins
        self._on_drift = on_drift
        self._shadows = Shadows(control)
        self._known = _Known()
        self._known_twins = _KnownTwins()
        self._looks_s: dict[str, float] = {}  # the last looks at all devices, by method
        self._drift = Drift(self._changed)
        # One thread, so that the last change of a port's carrier is the one that remains.
        self._carriers = ThreadPoolExecutor(1, "carriers")

    @property
    def look_s(self) -> float:
        """How long the last look at all devices took."""
        return sum(self._looks_s.values())

    def look_at_all(self) -> None:
        """Look at all devices in the next round, and not only at those of changed records."""
        self._known = _Known()
        self._known_twins = _KnownTwins()

    async def ensure_base(self, intent: Intent) -> Sequence[ShadowFailure]:
        """Make the shadow devices that FRR needs before it is configured."""
        known, shadow = self._known, _shadow(intent)
        failures = await self._make(self._shadows.ensure_base, shadow, known.shadow)
        known.based = not failures
        known.shadow = known.shadow.after_base(shadow) if known.shadow and known.based else None
        return failures

    async def ensure_overlay(self, intent: Intent) -> Sequence[ShadowFailure]:
        """Make the shadow devices of VNIs, once FRR is configured."""
        known, shadow = self._known, _shadow(intent)
        failures = await self._make(self._shadows.ensure_overlay, shadow, known.shadow)
        known.shadow = shadow if known.based and not failures else None
        return failures

    async def _make(
        self, make: _MakeShadows, shadow: Shadow, known: Shadow | None
    ) -> Sequence[ShadowFailure]:
        """Make what differs from `known`, and do not report that as drift; None: look at all."""
        try:
            if known is None:
                return await self._timed(make, shadow, None)
            if known == shadow:
                return ()
            differing = [shadow.beyond(known), known.beyond(shadow)]
            with self._drift.paused():
                failures = await asyncio.to_thread(make, shadow, known)
                await self._drift.look({name for part in differing for name in part.devices()})
            return failures
        except BaseException:
            self.look_at_all()
            raise

    async def ensure_twins(self, ports: Sequence[Port], intent: Intent) -> Sequence[RowFailure]:
        """Make the twins of these ports. Failures are by index into `ports`."""
        known, wanted = self._known_twins, (tuple(ports), tuple(tcp_ports(intent.frr)))
        if known.wanted == wanted:
            return ()
        known.wanted = None  # also if an exception ends it halfway
        failures = await self._timed(self._twins.ensure, *wanted)
        known.wanted = None if failures else wanted
        return failures

    async def _timed(self, look: Callable[..., Sequence[T]], *wanted: object) -> Sequence[T]:
        """Look at all devices of one sort in a thread, and note how long that takes."""
        began_s = asyncio.get_running_loop().time()
        try:
            return await asyncio.to_thread(look, *wanted)
        finally:
            self._looks_s[look.__name__] = asyncio.get_running_loop().time() - began_s

    async def differing(self, intent: Intent) -> Sequence[Difference]:
        """Return how shadow devices and twins differ from the intent; change nothing."""
        return await asyncio.to_thread(self._differing, intent)

    def _differing(self, intent: Intent) -> list[Difference]:
        shadows = [(it.key[0], it.reason) for it in self._shadows.differing(_shadow(intent))]
        twins = self._twins.differing(intent.ports, tcp_ports(intent.frr))
        found = [(kind, f"shadow {fault}") for kind, fault in shadows]
        found += [(Kind.PORT, f"twin {name} {fault}") for name, fault in twins]
        return [Difference(kind, "", text, Problem.DIFFERENT) for kind, text in found]

    def set_carrier(self, name: str, up: bool) -> None:
        """Show FRR soon, on the twin, that a port gained or lost carrier."""
        asyncio.get_running_loop().run_in_executor(
            self._carriers, self._twins.set_carrier, name, up
        )

    async def watch(self) -> None:
        """Report changes by other programs until cancelled."""
        try:
            await self._drift.run()
        finally:
            self._drift.close()

    async def watch_where_they_are(self) -> None:
        """Watch the present namespaces of the devices, and those that affect the twins."""
        of_twins = await asyncio.to_thread(self._twins.namespaces)
        spaces = {**{space: {} for space in of_twins}, self._control: sysctls.CONTROL}
        if self._drift.watch_only(spaces) or not self._drift.watches(self._control):
            self.look_at_all()  # nobody watched what was made there before

    def _changed(self, namespace: str, what: str) -> None:
        if namespace != self._control and what not in _OF_TWINS:
            return
        if what == SETTINGS:
            with suppress(OSError):  # the namespace is gone: a round reports that
                sysctls.ensure(namespace, sysctls.CONTROL)
            return
        self._known_twins = _KnownTwins()
        if namespace == self._control and what not in _OF_PORTS:
            self._known = _Known()
        self._on_drift()


def _shadow(intent: Intent) -> Shadow:
    return shadow_of(intent.vrfs, intent.vnis, intent.ports)
