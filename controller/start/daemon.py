"""Connects bus, datapath, intent and inspection with the state while the controller runs."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from importlib.metadata import version

import numpy as np

from controller.core.clock import SystemClock
from controller.core.frr_check import BridgeCheck, Unchecked, compared
from controller.core.hostunion import HostUnion
from controller.core.outbox import Outbox
from controller.core.planes import ActiveDatapath, Plane, Planes
from controller.core.summary import Identity
from controller.core.view import CoreView
from controller.cri.follower import PodFollower
from controller.cri.runtime import Runtime
from controller.inspect.server import serve
from controller.intent.layout import Intent
from controller.manifests.confirmation import Confirmation
from controller.manifests.source import Manifests
from controller.metrics.server import serve_metrics
from controller.node.namespaces import NamespaceKeeper, NamespacePair
from controller.node.provision import Provisioner
from controller.node.statedir import StateDirectory
from controller.node.steps import MadePorts
from controller.node.supervisor import BridgeSupervisor
from controller.settings import Settings
from controller.start import cni, kubernetes, page
from controller.start.backends import Backend
from controller.start.second import note_host, note_loss
from controller.start.switching import Parts, Switching
from datapaths.base import CaughtUp, LearnedMac, LearnedNeighbor, Lost, PortChanged, Unavailable
from dualpath.bus.subscriber import TICK_S, Subscriber
from dualpath.model import events
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Op, RouteBatch
from dualpath.model.view import Audited
from dualpath.process import frrfile
from dualpath.process.lifetime import end_with
from dualpath.process.notify import Notifier
from dualpath.rpc.listen import Tls

log = logging.getLogger(__name__)

_START_S = 30.0  # before a log line reports the wait; grout maps and clears its memory
_START_AGAIN_S = 0.2


class Daemon:
    """One controller, from its start to its end."""

    def __init__(
        self,
        settings: Settings,
        namespaces: NamespacePair,
        backend: Backend,
        intent: Intent | None,
        manifests: Manifests | None = None,
        confirmation: Confirmation | None = None,
    ) -> None:
        clock = SystemClock()
        self._settings = settings
        self._backend = backend
        self._datapath = datapath = backend.datapath
        self._clock = clock
        first = Plane(settings.datapath, datapath, clock, self)
        self._planes = Planes(first, self)
        self._first = first
        self._bus = Subscriber(
            f"ipc://{settings.bus}",
            on_event=self._from_bridge,
            on_subscribed=self._subscribed,
            on_lost=self._bridge_lost,
            kept=first.state.kept,
            provisions=intent is not None,
        )
        self._outbox = Outbox(
            self._bus.send, lambda: self._bus.connected, asyncio.get_running_loop().call_soon
        )
        self._hosts = HostUnion(self._outbox.put, settings.host_limit)
        identity = Identity(
            version("dualpath"),
            namespaces.forwarding,
            namespaces.control,
            clock.monotonic(),
        )
        self._view = CoreView(identity, self._planes, clock, release=self._release)
        self._check = BridgeCheck(self._bus.send)
        sources = self._view.sources
        sources.check = self._compare_frr
        sources.hosts = self._hosts.counts
        sources.neighbor_tables = backend.neighbor_tables
        sources.problem = self._problem
        self._no_answer = ""  # why the datapath could not be adopted yet
        self._supervisor = BridgeSupervisor(settings, namespaces.control, silent=self._silent)
        kept = (manifests.save_again,) if manifests else ()
        notes = (*backend.notes, *kept)
        self.directory = StateDirectory(settings.state_dir, notes)
        self._namespaces = NamespaceKeeper(namespaces, self._namespace_renewed)
        self._pod: PodFollower | None = None
        if selector := settings.frr_pod:
            runtime = Runtime(settings.cri_socket)
            control, forwarding = namespaces.control, namespaces.forwarding
            self._pod = PodFollower(runtime, selector, control=control, forwarding=forwarding)
        self._manifests = manifests
        self._confirmation = confirmation
        if confirmation:
            sources.trial = confirmation.pending
        self._provisioner: Provisioner | None = None
        if intent is not None:
            self._provisioner = Provisioner(
                namespaces,
                intent,
                backend.twins,
                self._planes,
                send=self._bus.send,
                judge=manifests,
                made=self._made_by_cni(namespaces, intent),
                forget_other_config=partial(frrfile.forget_other, settings.state_dir),
            )
            sources.resources = self._provisioner.statuses
            sources.planned = self._provisioner.plan
            sources.beside = self._provisioner.audit
            sources.repair_beside = self._provisioner.look_again
        self._switching = self._made_switching() if backend.second else None
        if self._provisioner:
            self._provisioner.switching = self._unswitched
        self._tasks: set[asyncio.Task[None]] = set()
        self.notifier = Notifier({})

    def _made_by_cni(self, namespaces: NamespacePair, intent: Intent) -> MadePorts:
        def is_used(name: str) -> bool:
            return self._provisioner is not None and self._provisioner.uses(name)

        def changed() -> None:
            if self._provisioner:
                self._provisioner.ports_changed()

        return cni.keeper(self._settings, namespaces, intent.node, self._backend, is_used, changed)

    def _made_switching(self) -> Switching:
        provisioner = self._provisioner
        made = Switching(
            Parts(
                self._settings,
                self._planes,
                self._backend,
                self._clock,
                self,
                self._hosts,
                self._view.not_ready,
                provisioner.look_again if provisioner else lambda: None,
                lambda: provisioner.intent.datapath if provisioner else "",
            )
        )
        sources, switcher = self._view.sources, made.switcher
        sources.ports_of = switcher.ports_of
        sources.switches = switcher.durations
        pending = sources.trial
        sources.trial = lambda: "; ".join(filter(None, (pending(), switcher.trial())))
        return made

    async def run(self) -> None:
        """Serve until cancelled. Raises ListenError, MetricsError, Unsupported or Unavailable."""
        tls = Tls(*self._settings.tls) if self._settings.tls else None
        asked = ActiveDatapath(self._planes)
        inspect = await serve(self._view, asked, listen=self._settings.listen, tls=tls)
        self.directory.listeners.append(inspect)
        metrics = operate = None
        try:
            if self._switching:
                operate = await self._switching.serve()
                self.directory.listeners.append(operate)
            if self._settings.metrics:
                metrics = await serve_metrics(self._view, asked, self._settings.metrics)
                self.directory.listeners.append(metrics)
            # FRR, which systemd starts after us, needs only the namespaces. The datapath may be
            # slow: grout maps and clears its memory first.
            self.notifier.ready()
            await self._work()
        finally:
            if metrics:
                metrics.close()
            if operate:
                await operate.stop()
            await inspect.stop()
            self._bus.close()
            await self._datapath.close()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._namespaces.run())
            if self._pod:
                group.create_task(self._pod.run())
            group.create_task(self.directory.run())
            if self._settings.ui:
                group.create_task(page.keep(self._settings))
            for beside in self._backend.beside:
                group.create_task(beside.run())
            await self._begin()
            group.create_task(self._first.reconciler.run())
            group.create_task(self._learn())
            group.create_task(self._every(TICK_S, self._tick))
            if self._switching:
                group.create_task(self._switching.run())
            if self._settings.bridge == "child":
                group.create_task(self._supervisor.run())
            if self._provisioner:
                group.create_task(self._provisioner.run())
                self._follow_manifests(group, self._provisioner)

    def _follow_manifests(self, group: asyncio.TaskGroup, provisioner: Provisioner) -> None:
        def replace(intent: Intent) -> None:
            if self._confirmation:
                self._confirmation.changed(tuple(sorted(provisioner.nics)))
            provisioner.replace(intent)

        if self._manifests:
            group.create_task(self._manifests.watch(replace))
        if self._settings.kubernetes:
            following = kubernetes.agent(self._settings, provisioner.statuses, provisioner.revision)
            self._view.sources.out_of_date = lambda: following.problem
            group.create_task(following.run())
        if self._confirmation:
            confirming = self._confirmation.run(provisioner.replace, lambda: provisioner.nics)
            group.create_task(confirming)

    async def _begin(self) -> None:
        """Adopt the datapath's rows; wait without limit for a datapath that we start ourselves."""
        began = self._clock.monotonic()
        while True:
            try:
                capabilities = await self._datapath.capabilities()
                self._first.takes(capabilities)
                log.info("datapath %s %s", capabilities.name, capabilities.version)
                await self._first.reconciler.adopt()
                self._no_answer = ""
                return
            except Unavailable as error:
                if not self._backend.beside:
                    raise
                self._no_answer = f"the datapath does not answer yet: {error}"
                self.notifier.status(self._no_answer)
            if self._clock.monotonic() > began + _START_S:
                log.warning("%s; waiting", self._no_answer)
                began = math.inf
            await asyncio.sleep(_START_AGAIN_S)

    # -- the bridge -----------------------------------------------------------------------

    def _subscribed(self, same_bridge: bool) -> None:
        log.info("subscribed to frr-bridge")
        self._planes.subscribed(same_bridge=same_bridge)
        self._hosts.repeat()
        if self._provisioner:
            self._provisioner.subscribed(same_bridge=same_bridge)

    def _bridge_lost(self) -> None:
        self._planes.bridge_lost()
        self._check.lost()

    async def _compare_frr(self) -> Audited:
        try:
            return compared(await self._check.ask())
        except Unchecked as error:
            return Audited(0, unchecked=f"FRR's own view ({error})")

    def _from_bridge(self, event: events.FromBridge) -> None:
        if isinstance(event, events.Configured):
            if self._provisioner:
                self._provisioner.answered(event)
        elif isinstance(event, events.Checked):
            self._check.answered(event)
        else:
            self._planes.learn(event)

    def _release(self) -> str:
        if self._bus.send(events.Release()):
            return "frr-bridge releases the rows that it holds"
        return "frr-bridge is not connected: nothing was released"

    def _silent(self) -> bool:
        return not self._bus.connected

    def _namespace_renewed(self, of_frr: bool) -> None:
        """Program everything again in a new namespace."""
        if of_frr:
            self._spawn(self._supervisor.end())  # it is still in the old namespace
        else:
            self._first.suspect_all()
        if self._provisioner:
            self._provisioner.namespace_renewed(of_frr=of_frr)

    # -- the datapath ---------------------------------------------------------------------

    async def _learn(self) -> None:
        hosts = self._hosts.of(self._first.name)
        async for event in self._datapath.learned():
            match event:
                case LearnedMac() | LearnedNeighbor():
                    note_host(self._first, hosts, event)
                case PortChanged(name, up):
                    log.info("port %s is %s", name, "up" if up else "down")
                    if self._provisioner:
                        self._provisioner.port_changed(name, up)
                    self._first.reconciler.retry_now()
                case Lost():
                    note_loss(self._first, event)
                case CaughtUp():
                    hosts.caught_up()

    def applied(self, batch: RouteBatch | RecordBatch, failures: dict[int, str]) -> None:
        """Write the journal, and acknowledge routes to zebra."""
        self._view.note(batch, failures)
        if not self._planes.active.state.session.acknowledge or not isinstance(batch, RouteBatch):
            return
        if not len(batch) or batch.ops[0] != Op.UPSERT:
            return
        nexthops = batch.nexthops.copy()
        nexthops[np.array(list(failures), np.intp)] = 0
        done = RouteBatch(
            batch.vrf,
            batch.family,
            batch.ops,
            batch.prefixes,
            batch.lengths,
            batch.protocols,
            nexthops,
        )
        self._bus.send(events.Programmed(done))

    def unmanaged(self, batch: RouteBatch | RecordBatch) -> None:
        self._view.note_unmanaged(batch)

    def settled(self, batch: RouteBatch) -> None:
        self._bus.send(events.Programmed(batch))

    # -- the loop -------------------------------------------------------------------------

    def _tick(self) -> None:
        self._bus.tick()
        self._outbox.flush()
        if self.notifier.listened_to:
            self.notifier.status(self._view.not_ready() or "ready")

    def _unswitched(self) -> str:
        """Return why the datapath that the manifests name does not forward yet; "" if it does."""
        if self._switching:
            return self._switching.follower.problem
        wanted, only = self._provisioner.intent.datapath if self._provisioner else "", self._first
        if wanted in ("", only.name):
            return ""
        return (
            f"this controller has the datapath {only.name} alone; to have {wanted} too, start it "
            "with --datapath=kernel, --start-grout and --grout-netns NAME"
        )

    def _problem(self) -> str:
        """Return the reason why the controller cannot do its job; "" for none."""
        if problem := self._no_answer or self._namespaces.problem or self.directory.problem:
            return problem
        if self._pod and self._pod.problem:
            return self._pod.problem
        return self._provisioner.problem if self._provisioner else ""

    async def _every(self, period_s: float, call: Callable[[], None]) -> None:
        while True:
            call()
            await asyncio.sleep(period_s)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(end_with)
