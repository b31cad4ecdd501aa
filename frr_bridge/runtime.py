"""The running bridge: its sockets and timers, connected to the state in `bridge`.

fpminput      FPM from zebra            -> bridge, frrwatch
watch         netlink of FRR's namespace -> bridge
frrwatch      zebra's and bgpd's vty    -> the session
conversation  the controller's requests -> all of them
publisher     bridge                    -> the controller
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from dualpath.bus.publisher import Publisher
from dualpath.model import events
from dualpath.process.lifetime import end_with
from frr_bridge import frrwatch
from frr_bridge.bridge import Bridge
from frr_bridge.coalesce import CoalesceTime
from frr_bridge.conversation import Conversation, expects_results
from frr_bridge.fpminput import FpmInput
from frr_bridge.frr_apply import FrrApply
from frr_bridge.frrwatch import FrrWatch, Subscriber
from frr_bridge.mirror import ShadowMirror
from frr_bridge.namespacecheck import NamespaceCheck
from frr_bridge.recording import tape
from frr_bridge.recording.recorder import Recorder
from frr_bridge.recording.tape import Tape
from frr_bridge.reporter import Reporter
from frr_bridge.rights import Rights, ours
from frr_bridge.session import State
from frr_bridge.vty import Vty
from frr_bridge.watch import Watch
from frr_bridge.wire.message import Other

log = logging.getLogger(__name__)

_ALIVE_S = 1.0
_COLLECT_S = 5.0
_BUS_S = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How one bridge is set up."""

    fpm_host: str
    fpm_port: int
    bus: str  # ipc://PATH
    run_dir: Path  # where FRR's daemons have their vty sockets
    hold_s: float  # how long to hold a dead daemon's routes; 0: apply its withdrawals at once
    rights: Callable[[], Rights] = ours  # the rights of FRR's daemons
    lock: Callable[[], bool] = lambda: False  # locks again a file that somebody removed
    on_ready: Callable[[], None] = lambda: None  # called once zebra and the controller can connect
    keep: Callable[[bytes, str], None] = lambda _settings, _text: None  # what FRR accepted
    recorder: Recorder | None = None


class Runtime:
    """One bridge, from its start to its end."""

    def __init__(self, settings: Settings, frr: FrrApply) -> None:
        self._settings = settings
        self._zebra = Vty(settings.run_dir / "zebra.vty", settings.rights)
        self._bgpd = Vty(settings.run_dir / "bgpd.vty", settings.rights)
        self._publisher = Publisher(self._from_controller)
        self._tape = settings.recorder or Tape()
        self.bridge = Bridge(
            self._publisher,
            bgpd_died=lambda: self.frr.died(),
            answer=lambda data: self._fpm.server.send(data),
            dump_complete=self._dump_complete,
            replay=lambda: self._fpm.end_session(),
            recording=self._tape,
        )
        self._mirror = ShadowMirror(self.bridge.overlay)
        self._fpm = FpmInput(
            self.bridge,
            self._zebra,
            settings.rights,
            self._tape,
            in_order=self._in_order,
            on_connected=self._zebra_connected,
            on_lost=self._zebra_lost,
            flush=self._flush_soon,
        )
        self._watch = Watch(
            on_begin=self.bridge.begin_dump,
            on_message=self._netlink,
            on_end=self._dumped,
            on_trouble=self._trouble,
            recording=self._tape,
        )
        if settings.recorder:
            settings.recorder.state = self._restated
            settings.recorder.dump = self._dump_again
        subscriber = Subscriber()
        self.frr = FrrWatch(
            self.bridge,
            self._zebra,
            self._bgpd,
            subscriber,
            hold_s=settings.hold_s,
            dump_complete=self._dump_complete,
            connected=lambda: self._fpm.server.connected,
            ended=lambda: self._fpm.server.ended,
            received=lambda: self._fpm.server.received,
            subscribed=lambda: self._publisher.subscribed,
            flush=self._flush_soon,
        )
        self._check = NamespaceCheck(self.bridge, self._watch, self._flush_soon)
        self._coalesce = CoalesceTime(lambda: self._caught_up(frr), frr.shorten)
        self._reporter = Reporter(
            self._zebra,
            self._bgpd,
            undecoded=lambda: self.bridge.decode_errors,
            send=self._publisher.send,
        )
        self._conversation = Conversation(
            self.bridge,
            frr,
            self._zebra,
            mirror=self._mirror,
            watch=self.frr,
            check=self._check,
            keep=settings.keep,
            reporter=self._reporter,
            subscriber=subscriber,
            spawn=self._spawn,
            send=self._publisher.send,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._flushing = False

    async def run(self) -> None:
        """Serve until cancelled. Raises OSError when the FPM port or the bus is not available."""
        settings = self._settings
        try:
            await self.frr.start()
            self._fpm.server.listen(settings.fpm_host, settings.fpm_port)
            self._publisher.listen(settings.bus)  # last: it takes the path from any other process
            log.info("FPM on %s:%d, bus on %s", settings.fpm_host, settings.fpm_port, settings.bus)
            settings.on_ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch.run())
                group.create_task(self._every(frrwatch.TICK_S, self._tick))
                group.create_task(self._every(_ALIVE_S, self._send_alive))
                group.create_task(self._every(_BUS_S, self._keep_bus))
                group.create_task(self._every(_COLLECT_S, self._collect))
                group.create_task(self.frr.converge())
                group.create_task(self.frr.prepare())
                group.create_task(self._coalesce.run())
                group.create_task(self._reporter.run())
                group.create_task(self._check.run())
        finally:
            self._close()

    def _close(self) -> None:
        """Close the sources first, then what their callbacks use."""
        self._fpm.server.close()
        self._watch.close()
        self._mirror.close()
        self._zebra.close()
        self._bgpd.close()
        self._publisher.close()
        self._tape.close()

    # -- FPM ------------------------------------------------------------------------------

    def _zebra_connected(self) -> None:
        self._zebra.connect()
        self._bgpd.connect()
        self.bridge.acknowledge = expects_results(self._zebra)
        self._tape.mark(f"{tape.ACKNOWLEDGE}{self.bridge.acknowledge:d}")
        self.frr.fpm_connected()
        self._spawn(self.frr.follow_replay(self.bridge.session.number))
        self._flush_soon()

    def _zebra_lost(self) -> None:
        self.frr.fpm_lost()
        self._flush_soon()

    def _caught_up(self, frr: FrrApply) -> tuple[int, int, int] | None:
        """Return figures that change when FRR starts or is configured; None while it catches up."""
        session = self.bridge.session
        if session.state is not State.LIVE or not self._bgpd.alive():
            return None
        return session.number, self._bgpd.lives, frr.changes

    # -- netlink --------------------------------------------------------------------------

    def _in_order(self) -> bool:
        """Process pending netlink messages; report whether all of them were received."""
        return self._watch.drain() and self._watch.whole

    def _netlink(self, message: Other) -> None:
        self.bridge.receive_netlink(message)
        self._flush_soon()

    def _dumped(self) -> None:
        self.bridge.end_dump()
        self._flush_soon()

    def _trouble(self, reason: str) -> None:
        self.bridge.trouble = reason
        self._flush_soon()

    def _dump_complete(self) -> bool:
        return self._watch.whole

    # -- timers ---------------------------------------------------------------------------

    def _tick(self) -> None:
        self.frr.tick()
        self._mirror.retry()
        self._flush_soon()

    def _collect(self) -> None:
        if self._in_order():
            self.bridge.caught_up()
        self.bridge.collect()

    def _keep_bus(self) -> None:
        """Create the bus's socket and lock again if somebody removed them."""
        try:
            again = self._publisher.renew()
            if self._settings.lock() or again:
                log.warning("%s: somebody removed it; created it again", self._settings.bus)
        except OSError as error:
            log.warning("%s: %s; retrying in %.1f s", error.filename, error.strerror, _BUS_S)

    def _send_alive(self) -> None:
        self._publisher.send(events.Alive())

    async def _every(self, period_s: float, call: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(period_s)
            call()

    # -- inside ---------------------------------------------------------------------------

    def _from_controller(self, event: events.FromController) -> None:
        self._conversation.receive(event)
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Flush after the loop has processed the pending input: one batch instead of many."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self.bridge.flush():
            self._flush_soon()

    # -- the recording --------------------------------------------------------------------

    def _restated(self) -> list[str]:
        """Return marks of the current state, for the start of a recording's file."""
        return [
            f"{tape.ACKNOWLEDGE}{self.bridge.acknowledge:d}",
            f"{tape.STATE}{self.bridge.session.state}",
        ]

    def _dump_again(self) -> None:
        async def dump() -> None:
            await self._watch.again()

        self._spawn(dump())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(end_with)
