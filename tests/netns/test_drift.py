"""Every setting of a device or namespace is repaired at once, whoever changes it.

Each case is a row of docs/DRIFT.md: an attribute, and a command that changes it by hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from controller.core.clock import SystemClock
from controller.core.planes import Plane, Planes
from controller.intent.layout import Intent
from controller.node.frrdevices import PortTwins
from controller.node.namespaces import NamespacePair
from controller.node.provision import Provisioner
from datapaths.base import Datapath, Lost, PortChanged
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux.twins import Twins
from dualpath.model.events import Configure, Configured, Provisioned
from dualpath.model.links import Address, HostEnd, Port, Vni
from dualpath.model.view import Difference
from tests.fakes.core import Core, Heard
from tests.fakes.waiting import until
from tests.netns.drifts import CASES, Case
from tests.netns.namespaces import fresh, run

pytestmark = pytest.mark.netns

HARM_TRIES = 5
REPAIRED_S = 8.0  # before provision's next round. It takes up to a second on an idle machine
PROVISIONED_S = 60.0
LOCAL = bytes([100, 64, 0, 1])
MAC = bytes.fromhex("00f30000006f")


def intent(host: str) -> Intent:
    """Return a VTEP, an uplink with a twin, L2VNIs with a gateway and a bridged leg, and a leg."""
    gateways = (Address.parse("10.110.0.1/24"), Address.parse("fd00:110::1/64"))
    bridged = HostEnd(host, "eth1", bridge="br-hs-110", create_bridge=True)
    routed = HostEnd(host, "eth0", addresses=(Address.parse("192.168.9.2/24"),))
    return Intent(
        vnis=(Vni(110, local=LOCAL, mac=MAC, gateways=gateways, mtu=1450),),
        ports=(
            Port("lo", addresses=(Address(LOCAL, 32),), loopback=True),
            Port("up0", addresses=(Address.parse("10.0.0.1/24"),), twin=True),
            Port("pe0", addresses=(Address.parse("192.168.9.1/24"),), mtu=1450, host=routed),
            Port("pe1", vni=110, mtu=1450, host=bridged),
        ),
    )


@dataclass
class Node:
    """A controller's parts over real namespaces, and no FRR."""

    names: dict[str, str]
    audit: Callable[[], Awaitable[Sequence[Difference]]]

    def run(self, command: str) -> str:
        return run(command.format(**self.names), check=False)


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    with fresh("fwd", "ctl", "host") as (forwarding, control, host):
        run(f"ip -n {forwarding} link add up0 type veth peer name up1")
        run(f"ip -n {forwarding} link set up1 up")
        datapath = KernelDatapath(forwarding, host)
        parts = Parts(NamespacePair(forwarding, control, False, False), datapath, intent(host))
        names = {"fwd": forwarding, "ctl": control, "host": host}
        async with controlled(parts, Twins(forwarding, control), names) as one:
            yield one


@dataclass
class Parts:
    """The parts of a node."""

    namespaces: NamespacePair
    datapath: Datapath
    intent: Intent


@asynccontextmanager
async def controlled(parts: Parts, twins: PortTwins, names: dict[str, str]) -> AsyncIterator[Node]:
    """Run a controller's parts, and yield the node once nothing differs."""
    datapath = parts.datapath
    outward = Heard(Core())
    plane = Plane("memory", datapath, SystemClock(), outward)
    state, reconciler = plane.state, plane.reconciler
    told: list[Configure | Provisioned] = []

    def tell(event: Configure | Provisioned) -> bool:
        told.append(event)
        if isinstance(event, Configure):
            answer = Configured(event.request, True, False)
            asyncio.get_running_loop().call_soon(provisioner.answered, answer)
        return True

    provisioner = Provisioner(
        parts.namespaces, parts.intent, twins, Planes(plane, outward), send=tell
    )
    provisioner.subscribed(same_bridge=True)

    async def listen() -> None:
        async for event in datapath.learned():
            if isinstance(event, Lost):
                state.lost_records(event.records) if event.records else reconciler.suspect(
                    event.kind
                )
            elif isinstance(event, PortChanged):
                provisioner.port_changed(event.name, event.up)

    async def audit() -> Sequence[Difference]:
        found = await reconciler.audit(50)
        return [*found.rows, *(await provisioner.audit()).rows]

    async with asyncio.TaskGroup() as group:
        work = (reconciler.run(), provisioner.run(), listen())
        tasks = [group.create_task(one) for one in work]
        try:
            await until(lambda: any(isinstance(it, Provisioned) for it in told), PROVISIONED_S)
            await until_clean(audit)
            yield Node(names, audit)
        finally:
            for task in tasks:
                task.cancel()
            await datapath.close()


async def until_clean(audit: Callable[[], Awaitable[Sequence[Difference]]]) -> None:
    """Wait until nothing differs."""
    deadline = time.monotonic() + 30
    while found := await audit():
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


def harmed(node: Node, case: Case, before: str) -> bool:
    """Change the attribute; return whether that is visible: the repair may be faster."""
    node.run(case.harm)
    return case.vanishes or case.optional or node.run(case.shows) != before


async def is_repaired(node: Node, case: Case) -> tuple[bool, list[str]]:
    """Wait for the repair; return whether it happened, and what an audit found."""
    before = node.run(case.shows)
    assert any(harmed(node, case, before) for _ in range(HARM_TRIES)), (
        f"{case.harm} changed nothing"
    )
    deadline = time.monotonic() + REPAIRED_S
    found = [it.text for it in await node.audit()]
    while node.run(case.shows) != before:
        if time.monotonic() > deadline:
            return False, found
        await asyncio.sleep(0.02)
    return True, found


async def not_repaired(one: Node, cases: Sequence[Case]) -> list[str]:
    """Change the attribute of each case in turn; return those not repaired in time."""
    wrong: list[str] = []
    for case in cases:
        repaired, _ = await is_repaired(one, case)
        if not repaired:
            wrong.append(f"{case.attribute}: {case.harm}: {await one.audit()}")
        await until_clean(one.audit)
    return wrong


@pytest.mark.parametrize("part", sorted({case.part for case in CASES}))
async def test_change_by_others_is_repaired_at_once(part: str) -> None:
    """One node per part, as starting a node takes longer than a repair."""
    async with node() as one:
        assert await not_repaired(one, [case for case in CASES if case.part == part]) == []
