"""A switch, and an abort at each of its steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import product

import pytest

from controller.core.planes import Plane
from controller.core.switch import Switcher
from controller.core.switchcontracts import Environment, SwitchState
from datapaths.base import PortState, Unavailable
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.links import HostEnd, Port
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from dualpath.model.switch import Order, Step, SwitchFailed, SwitchRefused
from dualpath.model.view import Role
from tests.fakes.batches import batch
from tests.fakes.core import Core, LoggingDatapath, running
from tests.fakes.waiting import until

ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
PORTS = [Port("lo", loopback=True), Port("eth1"), Port("leg", host=HostEnd("h", "e"))]
ORDER = ["leg", "eth1"]
DPDK, KERNEL = Order("dpdk"), Order("memory")


class Killed(Exception):
    """Stands for SIGKILL: nothing after it runs."""


class Fabric(LoggingDatapath):
    """The kernel's NICs: packets pass if the datapath that has the port forwards."""

    def __init__(self) -> None:
        super().__init__()
        self.packets = 0
        self.leaving = 0
        self.passes = True

    def second(self) -> None:
        self.packets += 1000
        self.leaving += 1000 if self.passes else 0

    async def ports(self) -> Sequence[PortState]:
        names = ("eth1", "leg")
        return [
            PortState(n, True, b"", 1500, rx_packets=self.packets, tx_packets=self.leaving)
            for n in names
        ]


class Grout(LoggingDatapath):
    """Sees what enters the NICs."""

    def __init__(self, fabric: Fabric) -> None:
        super().__init__()
        self._fabric = fabric

    async def ports(self) -> Sequence[PortState]:
        return await self._fabric.ports()


class Bed:
    """A controller's core with a second datapath that can be started."""

    name = "dpdk"

    def __init__(self) -> None:
        self.fabric = Fabric()
        self.core = Core(self.fabric)
        self.grout = Grout(self.fabric)
        self.traffic = dict.fromkeys(ORDER, False)  # with the second?
        self.wires = True
        self.log: list[str] = []
        self.saved: SwitchState | None = None
        self.time = 1000.0
        self.not_ready = ""
        self.releasing: Callable[[], object] = lambda: None
        self.at: Callable[[str], None] = lambda _: None
        """Called at each step, by name: a test fails or cancels there."""
        self._work: asyncio.Task[None] | None = None
        self.switcher = self.made()

    def made(self) -> Switcher:
        return Switcher(
            Environment(
                self.core.planes,
                self,
                self,
                self,
                lambda: self.time,
                lambda: self.not_ready,
                self._sleep,
            )
        )

    async def _sleep(self, seconds: float) -> None:
        if seconds >= 1:
            self.fabric.second()
        await asyncio.sleep(0)

    # the second datapath

    async def start(self) -> None:
        self.at("start")
        if self.core.planes.second:
            return
        self.log.append("start")
        core = self.core
        plane = Plane("dpdk", self.grout, core.clock, core.outward, core.planes.active.state)
        plane.takes(await self.grout.capabilities())
        await core.planes.add(plane)
        self._work = asyncio.create_task(plane.reconciler.run())

    async def stop(self) -> None:
        self.log.append("stop")
        self.core.planes.remove()
        if self._work:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
            self._work = None
        self.grout.records = {kind: {} for kind in Kind}
        self.grout.routes.clear()

    # steering

    def move(self, placed: Mapping[str, bool]) -> list[str]:
        if not self.wires:
            return [name for name, second in placed.items() if second]
        for name, second in placed.items():
            if self.traffic[name] is not second:
                self.log.append(f"{name} to {'dpdk' if second else 'kernel'}")
            self.traffic[name] = second
        return []

    def seed(self) -> int:
        self.log.append("seed")
        return 3

    def release(self, ports: Sequence[str]) -> None:
        self.releasing()
        self.traffic |= dict.fromkeys(ports, False)

    # disk

    def read(self) -> SwitchState | None:
        return self.saved

    def write(self, state: SwitchState) -> None:
        self.at("write")
        self.saved = state

    # the command

    def tell(self, step: Step, text: str) -> None:
        self.log.append(f"{step}: {text}")
        self.at(step)

    async def switch(self, order: Order) -> None:
        await asyncio.wait_for(self.switcher.switch(order, self.tell), 5)

    def is_whole(self, *, dpdk: bool) -> bool:
        """Return whether all ports are with one datapath, which has all rows."""
        place = self.grout if dpdk else self.fabric
        rows = sum(len(rows) for rows in place.routes.values())
        return (
            set(self.traffic.values()) == {dpdk}
            and rows == 2
            and "eth1" in place.records[Kind.PORT]
        )


@asynccontextmanager
async def started() -> AsyncIterator[Bed]:
    made = Bed()
    async with running(made.core):
        made.core.subscribe()
        made.core.planes.want(Kind.PORT, PORTS)
        made.core.say(ONE)
        made.core.routes("+ 10.0.0.0/8 1", "+ 10.1.0.0/16 1")
        made.core.synced()
        await made.core.settle()
        yield made
        await made.stop()


@pytest.fixture
async def bed() -> AsyncIterator[Bed]:
    async with started() as made:
        yield made


async def test_ports_stay_shared_until_the_second_datapath_is_gone(bed: Bed) -> None:
    loop, seen = asyncio.get_running_loop(), list[str]()

    async def look_again() -> None:
        """Want all ports, as a round of the provisioner does at any time."""
        bed.core.planes.want(Kind.PORT, PORTS)
        assert bed.core.planes.second
        ports = bed.core.planes.second.state.records[Kind.PORT]
        records = [ports.desired(key) for key in ports]
        seen.extend(it.wiring for it in records if isinstance(it, Port) and not it.loopback)

    bed.releasing = lambda: asyncio.run_coroutine_threadsafe(look_again(), loop).result(5)
    await bed.switch(DPDK)
    await bed.switch(KERNEL)
    assert seen == ["shared", "shared"]


async def test_switch_and_back_moves_host_legs_before_uplinks(bed: Bed) -> None:
    await bed.switch(DPDK)
    assert [line for line in bed.log if " to " in line and ":" not in line] == [
        "leg to dpdk",
        "eth1 to dpdk",
    ]
    assert bed.is_whole(dpdk=True)
    assert bed.saved == SwitchState("dpdk", True, ("leg", "eth1"))
    assert bed.core.planes.active.name == "dpdk"
    assert dict(bed.switcher.ports_of()) == {"leg": "dpdk", "eth1": "dpdk"}
    await bed.switch(KERNEL)
    assert bed.is_whole(dpdk=False)
    assert bed.core.planes.second is None
    assert bed.log[-1] == "finish: dpdk ended"
    assert bed.saved == SwitchState("memory")


async def test_kept_datapath_follows_and_is_switched_to_without_a_start(bed: Bed) -> None:
    await bed.switch(DPDK)
    await bed.switch(replace(KERNEL, keep=True))
    second = bed.core.planes.second
    assert second
    assert second.role is Role.STANDBY
    bed.core.planes.learn(events.Changed(batch("+ 10.2.0.0/16 1", "- 10.1.0.0/16")))
    await bed.switch(DPDK)
    assert bed.log.count("start") == 1
    assert bed.is_whole(dpdk=True)
    await bed.switch(replace(KERNEL, keep=True))
    await bed.switch(KERNEL)  # nothing to move: only ends it
    assert bed.core.planes.second is None


async def test_one_port_can_move_alone(bed: Bed) -> None:
    await bed.switch(Order("dpdk", ("leg",)))
    assert bed.traffic == {"leg": True, "eth1": False}
    assert bed.core.planes.active.name == "memory"
    assert bed.saved == SwitchState("memory", True, ("leg",))
    await bed.switch(DPDK)
    assert bed.core.planes.active.name == "dpdk"
    await bed.switch(Order("memory", ("eth1",)))
    assert bed.traffic == {"leg": True, "eth1": False}
    assert bed.core.planes.second


async def test_second_has_the_ports_in_shared_wiring_only_while_it_exists(bed: Bed) -> None:
    def wiring() -> set[str]:
        ports = bed.fabric.records[Kind.PORT].values()
        return {p.wiring for p in ports if isinstance(p, Port) and not p.loopback}

    await bed.switch(DPDK)
    assert wiring() == {"shared"}
    await bed.switch(KERNEL)
    bed.core.planes.want(Kind.PORT, PORTS)  # the provisioner's next round
    await bed.core.settle()
    assert wiring() == {""}


async def test_dry_run_changes_nothing(bed: Bed) -> None:
    await bed.switch(replace(DPDK, dry_run=True))
    assert bed.log == [
        "prepare: would start dpdk, program 6 rows and audit them",
        "move: would move leg to dpdk",
        "move: would move eth1 to dpdk",
        "verify: would compare the counters of both datapaths",
    ]
    assert bed.saved is None
    assert bed.core.planes.second is None


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Order("vpp"), "no datapath vpp"),
        (Order("dpdk", ("eth9",)), "no port eth9; existing: leg, eth1"),
    ],
)
async def test_order_that_makes_no_sense_is_refused(bed: Bed, order: Order, why: str) -> None:
    with pytest.raises(SwitchRefused, match=why):
        await bed.switch(order)
    assert bed.log == []


async def test_node_that_is_not_ready_is_not_switched(bed: Bed) -> None:
    bed.not_ready = "waiting for FRR to finish its replay"
    with pytest.raises(SwitchRefused, match="waiting for FRR"):
        await bed.switch(DPDK)


STEPS = ["start", *(str(step) for step in (Step.PREPARE, Step.MOVE, Step.VERIFY))]


@pytest.mark.parametrize(("step", "nth"), [*product(STEPS, (1,)), *product(STEPS[1:], (2,))])
async def test_error_at_any_step_ends_on_the_former_datapath(bed: Bed, step: str, nth: int) -> None:
    seen = 0

    def at(where: str) -> None:
        nonlocal seen
        seen += where == step
        if where == step and seen == nth:
            raise Unavailable("it broke")

    bed.at = at
    with pytest.raises(SwitchFailed, match="it broke"):
        await bed.switch(DPDK)
    assert bed.is_whole(dpdk=False)
    assert bed.core.planes.second is None
    assert bed.core.planes.active.role is Role.ACTIVE
    assert bed.saved == SwitchState("memory")
    bed.at = lambda _: None
    await bed.switch(DPDK)
    assert bed.is_whole(dpdk=True)


async def test_cancellation_of_a_roll_back_waits_for_its_end_and_is_not_lost(bed: Bed) -> None:
    work = asyncio.create_task(bed.switcher.switch(DPDK, bed.tell))

    def at(step: str) -> None:
        if step == Step.ROLL_BACK:
            asyncio.get_running_loop().call_soon(work.cancel)
        elif step == Step.VERIFY:
            raise Unavailable("it broke")

    bed.at = at
    with pytest.raises(asyncio.CancelledError):
        await work
    assert bed.is_whole(dpdk=False)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("back", [False, True])
async def test_cancellation_at_any_step_ends_on_the_former_datapath(
    bed: Bed, step: str, back: bool
) -> None:
    if back:
        await bed.switch(DPDK)
    work = asyncio.create_task(bed.switcher.switch(KERNEL if back else DPDK, bed.tell))

    def at(where: str) -> None:
        if where == step:
            work.cancel()

    bed.at = at
    if back and step == "start":
        work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(work), 5)
    assert bed.is_whole(dpdk=back)
    assert bed.core.planes.active.name == ("dpdk" if back else "memory")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("back", [False, True])
async def test_controller_that_is_killed_at_any_step_restores_the_former_datapath(
    bed: Bed, step: str, back: bool
) -> None:
    if back:
        await bed.switch(DPDK)
    work = asyncio.create_task(bed.switcher.switch(KERNEL if back else DPDK, bed.tell))
    frozen = asyncio.Event()

    def at(where: str) -> None:
        if where == step:
            frozen.set()
            raise Killed

    bed.at = at
    if back and step == "start":
        work.cancel()
        frozen.set()
    bed.switcher._roll_back = _never  # type: ignore[assignment]
    await frozen.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait([work], timeout=0)
    bed.at = lambda _: None
    if bed._work:  # the process is gone, and what it knew; grout lives on
        bed._work.cancel()
        bed._work = None
    bed.core.planes.remove()
    bed.switcher = bed.made()
    await bed.switcher.restore()
    looking = asyncio.create_task(bed.switcher.run())
    await until(lambda: bed.core.planes.active.name == ("dpdk" if back else "memory"))
    await until(lambda: bed.is_whole(dpdk=back))
    looking.cancel()
    assert bed.saved
    assert bed.saved.to == ""
    assert bool(bed.core.planes.second) is back


async def _never(*_: object) -> None:
    await asyncio.Event().wait()


async def test_datapath_that_does_not_forward_is_left_again(bed: Bed) -> None:
    def at(where: str) -> None:
        if where == str(Step.MOVE):
            bed.fabric.passes = False

    bed.at = at
    with pytest.raises(SwitchFailed, match=r"dpdk does not forward: .* packets left"):
        await bed.switch(DPDK)
    assert bed.is_whole(dpdk=False)


async def test_datapath_that_refuses_a_row_is_not_switched_to(bed: Bed) -> None:
    bed.grout.refuse[Kind.PORT, "eth1"] = 16
    with pytest.raises(SwitchFailed, match="dpdk refuses port eth1"):
        await bed.switch(DPDK)
    assert not any("to dpdk" in line and ":" not in line for line in bed.log)
    assert bed.is_whole(dpdk=False)


async def test_port_without_a_wire_stays(bed: Bed) -> None:
    bed.wires = False
    with pytest.raises(SwitchFailed, match="leg has no wire to dpdk"):
        await bed.switch(DPDK)


async def test_unconfirmed_switch_is_undone_and_a_confirmed_one_stays(bed: Bed) -> None:
    looking = asyncio.create_task(bed.switcher.run())
    await bed.switch(replace(DPDK, back_after_s=60))
    assert "undone in 60 s unless confirmed" in bed.switcher.trial()
    with pytest.raises(SwitchRefused, match="not confirmed"):
        await bed.switch(KERNEL)
    bed.time += 60
    await until(lambda: bed.is_whole(dpdk=False) and bed.switcher.trial() == "")
    await until(lambda: bed.core.planes.second is None)
    assert not await bed.switcher.confirm()
    await bed.switch(replace(DPDK, back_after_s=60))
    assert await bed.switcher.confirm()
    bed.time += 60
    for _ in range(50):
        await asyncio.sleep(0)
    assert bed.is_whole(dpdk=True)
    await bed.switch(replace(KERNEL, back_after_s=60))
    assert bed.core.planes.second  # stays whole, to go back to
    assert await bed.switcher.confirm()
    assert bed.core.planes.second is None
    looking.cancel()


async def test_first_datapath_speaks_while_the_second_is_away(bed: Bed) -> None:
    looking = asyncio.create_task(bed.switcher.run())
    await bed.switch(DPDK)
    bed.grout.unavailable = True
    second = bed.core.planes.second
    assert second
    second.suspect_all()
    bed.core.planes.learn(events.Changed(RecordBatch(Kind.NEXTHOP, (replace(ONE, id=5),))))
    await until(lambda: bed.core.planes.active.name == "memory")
    assert bed.switcher.placed() == {}
    bed.grout.unavailable = False
    second.reconciler.wake()
    await until(lambda: bed.core.planes.active.name == "dpdk")
    assert bed.switcher.placed() == {"leg": True, "eth1": True}
    looking.cancel()


async def test_second_that_cannot_be_restored_leaves_the_traffic_to_the_first(bed: Bed) -> None:
    def at(where: str) -> None:
        if where == "start":
            raise Unavailable("no network namespace grout")

    bed.saved = SwitchState("dpdk", True, ("leg", "eth1"))
    bed.traffic = dict.fromkeys(ORDER, True)
    bed.at = at
    bed.switcher = bed.made()
    await bed.switcher.restore()
    assert bed.is_whole(dpdk=False)
    assert bed.saved == SwitchState("memory")


async def test_disk_that_is_full_refuses_the_switch_before_anything_is_done(bed: Bed) -> None:
    def at(where: str) -> None:
        if where == "write":
            raise OSError(28, "No space left on device")

    bed.at = at
    with pytest.raises(SwitchRefused, match="No space left"):
        await bed.switch(DPDK)
    assert bed.core.planes.second is None
