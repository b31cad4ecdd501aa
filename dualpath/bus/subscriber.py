"""The controller's end of the bus: subscribe, check sequence numbers, resubscribe after a loss.

frr-bridge answers a subscription with all rows. If it gets too little CPU for that, or the kernel
blocks it, requests must not come faster than it can answer. So two waits double while it is slow,
and are the first again once it is not:

    silence until it counts as lost   3 s   6 s  12 s  24 s  30 s   3 s after a minute without loss
    pause between two requests        1 s   2 s   4 s   8 s         1 s after each connection
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import zmq

from dualpath.bus import wire
from dualpath.bus.endpoint import Endpoint
from dualpath.model import events

log = logging.getLogger(__name__)

CREDIT = 16
"""Batches in flight: enough to keep both processes busy, and a bound on memory."""

TICK_S = 0.5
SILENT_TICKS = 6  # frr-bridge sends `alive` every second
SILENT_MOST_TICKS = 60
STEADY_TICKS = 120
ASK_TICKS = 2
ASK_MOST_TICKS = 16


class Subscriber:
    """Passes frr-bridge's events on in order.

    Calls `on_subscribed` at the first message of each subscription, with True if it is the same run
    of frr-bridge as before; all rows follow, up to Synced. Calls `on_lost` when frr-bridge is
    silent.
    """

    def __init__(
        self,
        address: str,
        *,
        on_event: Callable[[events.FromBridge], None],
        on_subscribed: Callable[[bool], None],
        on_lost: Callable[[], None],
        kept: Callable[[], int] = lambda: 0,
        provisions: bool = False,
    ) -> None:
        self._kept = kept
        self._provisions = provisions
        self.connected = False
        self._on_event = on_event
        self._on_subscribed = on_subscribed
        self._on_lost = on_lost
        self._epoch = 0
        self._sequence = 0
        self._silent = SILENT_TICKS  # ticks since the last message
        self._patience = SILENT_TICKS  # until a connected frr-bridge counts as lost
        self._steady = 0  # ticks since it was lost
        self._pause = ASK_TICKS  # until the next request, if this one is not answered
        self._ask_in = 0
        self._refused = ""  # the last version error; each is logged once
        socket: Any = zmq.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # queue nothing while frr-bridge is not connected
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        socket.connect(address)
        self._endpoint = Endpoint(socket, self._receive)

    def tick(self) -> None:
        """Notice silence, and subscribe again. Call it every `TICK_S`.

        It counts ticks, not seconds: if this process itself was stopped, frr-bridge was not silent.
        """
        self._silent += 1
        if self.connected:
            self._steady += 1
            if self._steady == STEADY_TICKS:
                self._patience = SILENT_TICKS
        if self._silent <= (self._patience if self.connected else SILENT_TICKS):
            return
        if self.connected:
            self._lost()
        if not self._endpoint.connected():  # what was requested before is lost
            self._pause, self._ask_in = ASK_TICKS, 0
            return
        self._ask_in -= 1
        if self._ask_in <= 0:
            self.subscribe()
            self._ask_in, self._pause = self._pause, min(2 * self._pause, ASK_MOST_TICKS)

    def _lost(self) -> None:
        silent_s = self._patience * TICK_S
        log.warning("bus: no message from frr-bridge for %d s; subscribing again", silent_s)
        self.connected = False
        self._steady, self._patience = 0, min(2 * self._patience, SILENT_MOST_TICKS)
        self._pause, self._ask_in = ASK_TICKS, 0
        self._on_lost()

    def subscribe(self) -> None:
        """Request all rows from the start."""
        if self._endpoint.send(
            wire.encode_from_controller(events.Subscribe(CREDIT, self._provisions, self._kept()))
        ):
            self._sequence = 0

    def send(self, event: events.FromController) -> bool:
        """Send to frr-bridge. Return False if it is not connected: repeat after `on_subscribed`."""
        return self._endpoint.send(wire.encode_from_controller(event))

    def close(self) -> None:
        self._endpoint.close()

    def _receive(self, frames: list[bytes]) -> None:
        try:
            epoch, sequence, event = wire.decode_from_bridge(frames[-1])
        except wire.VersionError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                log.warning("bus: %s; not using this frr-bridge: restart the older one", error)
            return  # counts as silence, so the supervisor stops it and starts ours
        except wire.BusError as error:
            log.warning("bus: %s; subscribing again", error)
            self.subscribe()
            return
        self._silent, self._refused = 0, ""
        if sequence == 1:
            same_bridge, self._epoch = epoch == self._epoch, epoch
            self._sequence, self.connected = 0, True
            self._on_subscribed(same_bridge)
        elif not self._sequence:
            return  # late messages of an earlier subscription
        if epoch != self._epoch or sequence != self._sequence + 1:
            log.warning("bus: message %d after %d; subscribing again", sequence, self._sequence)
            self.subscribe()
            return
        self._sequence = sequence
        self._on_event(event)
        if isinstance(event, events.Changed):
            self.send(events.Credit(self._epoch, 1))
