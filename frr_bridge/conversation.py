"""Carries out the controller's requests on the bus, and sends the replies."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace

from dualpath.model import events
from dualpath.model.frr import FrrSettings, from_json
from frr_bridge import frr_version
from frr_bridge.bridge import Bridge
from frr_bridge.frr_apply import Applied, FrrApply
from frr_bridge.frr_config import render
from frr_bridge.frrwatch import FrrWatch, Subscriber
from frr_bridge.mirror import ShadowMirror
from frr_bridge.namespacecheck import NamespaceCheck
from frr_bridge.reporter import Reporter
from frr_bridge.vty import Vty

log = logging.getLogger(__name__)

_NOTIFY = b"--asic-offload=notify_on_offload"


def expects_results(zebra: Vty) -> bool:
    """Report whether zebra's options make it wait for acknowledgements of its routes."""
    return _NOTIFY in zebra.arguments()


class Conversation:
    """Receives the controller's events. `spawn` runs long work, `send` sends replies."""

    def __init__(
        self,
        bridge: Bridge,
        frr: FrrApply,
        zebra: Vty,
        *,
        mirror: ShadowMirror,
        watch: FrrWatch,
        check: NamespaceCheck,
        keep: Callable[[bytes, str], None],
        reporter: Reporter,
        subscriber: Subscriber,
        spawn: Callable[[Coroutine[None, None, None]], None],
        send: Callable[[events.FromBridge], None],
    ) -> None:
        self._bridge = bridge
        self._frr = frr
        self._zebra = zebra
        self._mirror = mirror
        self._watch = watch
        self._check = check
        self._keep = keep
        self._reporter = reporter
        self._subscriber = subscriber
        self._spawn = spawn
        self._send = send

    def receive(self, event: events.FromController) -> None:
        match event:
            case events.Subscribe():
                self._subscribed(event)
            case events.Provisioned():
                self._subscriber.provisioning = False
            case events.Mirror():
                self._mirror.learn(event)
            case events.Programmed(batch):
                self._bridge.programmed(batch)
            case events.Configure():
                self._spawn(self._configure(event))
            case events.Release():
                self._watch.release()
            case events.Check():
                self._spawn(self._reply_check(event.request))
            case events.Credit():
                pass

    def _subscribed(self, event: events.Subscribe) -> None:
        log.info("the controller subscribed; it keeps %d rows", event.kept)
        self._subscriber.provisioning = event.provisions
        self._subscriber.kept = event.kept
        self._reporter.restart()
        self._bridge.repeat()

    async def _configure(self, event: events.Configure) -> None:
        try:
            settings = from_json(event.settings)
            if not settings.hostname:
                settings = replace(settings, hostname=socket.gethostname())
            text = render(settings)
            result = await self._apply(settings, text)
            if result.ok:
                self._keep(event.settings, text)
            done = events.Configured(
                event.request, result.ok, result.changed, result.message, result.section
            )
        except (OSError, ValueError) as error:
            done = events.Configured(event.request, False, False, str(error))
        self._send(done)

    async def _apply(self, settings: FrrSettings, text: str) -> Applied:
        """Give FRR these settings, unless they would keep its routes from being programmed."""
        offload = self._zebra.alive() and expects_results(self._zebra)
        if why := frr_version.stuck(await self._frr.version(), offload=offload):
            return Applied(False, False, why)
        return await self._frr.apply(text, [s.text for s in settings.raw])

    async def _reply_check(self, request: int) -> None:
        self._send(events.Checked(request, *await self._check.check()))
