"""Each alert is quiet before a fault, and fires during it: real faults, metrics and rules."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from controller.node.supervisor import bridge_of
from dualpath.model.routes import RTPROT_DUALPATH
from tests.lab import manifests
from tests.lab.alerting import ALERTS, SOCKET, Recorder
from tests.lab.fabric import Fabric, Options, Pe
from tests.lab.plan import Topology
from tests.lab.processes import run
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

FIRES_S = 120.0
LIVE_S = 120.0
FABRIC = (Topology(spines=2), Options(controller=(f"--metrics=unix:{{state}}/{SOCKET}",)))

NOT_HERE = {
    "DualpathBehind": "a change waits for 30 s only where a datapath hangs: grout",
    "DualpathSlowConvergence": "the kernel takes each change in milliseconds",
    "DualpathVniDown": "the controller repairs a shadow device that is set down within a second",
    "DualpathFibNearlyFull": "the kernel's tables have no limit",
    "DualpathSwitchRolledBack": "needs a second datapath",
    "DualpathStandbyIncomplete": "needs a second datapath",
    "DualpathRolloutStopped": "the operator serves it",
    "DualpathNoOperatorLeads": "the operator serves it",
}
"""Why no fault here makes an alert fire, by reading the code: none of these was tried."""

NEW_VNI = f"""\
---
apiVersion: {manifests.GROUP}
kind: L2VNI
metadata: {{name: taken}}
spec: {{vni: 777}}
"""

TAKER = """
import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
while True:
    try:
        s.bind(("127.0.0.1", 2620))
        s.listen()
        break
    except OSError:
        time.sleep(0.001)
print("taken", flush=True)
time.sleep(600)
"""

NOT_YET = {
    "DualpathUndecodedMessages",
    "DualpathTenantSessionDown",
    "DualpathBfdSessionDown",
    "DualpathSessionFlaps",
    "DualpathPrefixesLost",
    "DualpathPortLoss",
    "DualpathNeighborTableFull",
    "DualpathNeighborTableNearlyFull",
    "DualpathHostLimit",
}
"""No fault is written for these; `deploy/monitoring/tests.yaml` has series made up for each."""

Fault = Callable[["World"], Iterator[None]]
FAULTS: dict[str, Fault] = {}


class World:
    """The fabric, and the recorder of its first PE."""

    def __init__(self, fabric: Fabric, recorder: Recorder) -> None:
        self.fabric = fabric
        self.pe = fabric.pes[0]
        self.recorder = recorder

    def bridge(self) -> int:
        """Return the process id of pe1's frr-bridge."""
        found = bridge_of(self.pe.plan.state)
        assert found
        return found.pid


def fault(*alerts: str) -> Callable[[Fault], Fault]:
    """Register what makes these alerts fire, until it is resumed."""

    def register(function: Fault) -> Fault:
        FAULTS.update(dict.fromkeys(alerts, function))
        return function

    return register


@fault("DualpathDown")
def controller_is_killed(world: World) -> Iterator[None]:
    world.pe.controller.kill()
    yield
    world.pe.controller.start()


@fault("DualpathNotReady")
def controller_starts_without_frr(world: World) -> Iterator[None]:
    world.pe.router.kill()
    world.pe.controller.kill()
    world.pe.controller.start()
    yield
    world.pe.start_frr()


@fault("DualpathDegraded")
def frr_is_killed(world: World) -> Iterator[None]:
    world.pe.router.kill()
    yield
    world.pe.start_frr()


@fault("DualpathStaleRows")
def frr_is_back_before_its_neighbors(world: World) -> Iterator[None]:
    for spine in world.fabric.spines:
        spine.kill()
    world.pe.router.kill()
    world.pe.start_frr()
    yield
    for spine in world.fabric.spines:
        spine.start()


@fault("DualpathFabricIsolated")
def spines_are_killed(world: World) -> Iterator[None]:
    for spine in world.fabric.spines:
        spine.kill("bgpd")
    yield
    for spine in world.fabric.spines:
        spine.start()


@fault("DualpathFabricSessionDown")
def one_spine_is_killed(world: World) -> Iterator[None]:
    spine = world.fabric.spines[1]
    spine.kill("bgpd")
    yield
    spine.start()


@fault("DualpathPortDown")
def a_cable_is_cut(world: World) -> Iterator[None]:
    world.fabric.cut(world.pe, 2)
    yield
    world.fabric.mend(world.pe, 2)


@fault("DualpathRepairs")
def routes_are_deleted_by_hand(world: World) -> Iterator[None]:
    world.pe.forwarding.ip("route", "flush", "table", "all", "proto", str(RTPROT_DUALPATH))
    yield


@fault("DualpathRestarts")
def controller_is_killed_four_times(world: World) -> Iterator[None]:
    for _ in range(4):
        world.pe.controller.kill()
        world.pe.controller.start()
        wait_until(partial(world.recorder.is_up, len(world.recorder.samples)), "up", LIVE_S)
    yield


@fault("DualpathFailedRows")
def a_name_is_taken(world: World) -> Iterator[None]:
    """Another program has a bridge of the name that a new VNI's would have."""
    good = manifests.manifest(world.pe.plan)
    world.pe.forwarding.ip("link", "add", "br777", "type", "bridge")
    world.pe.write_manifest(good + NEW_VNI)
    yield
    world.pe.write_manifest(good)
    world.pe.forwarding.ip("link", "del", "br777")


@fault("DualpathResourceNotReady")
def manifest_is_broken(world: World) -> Iterator[None]:
    good = manifests.manifest(world.pe.plan)
    world.pe.write_manifest(good.replace("vrf: red\n", "vrf: 1red\n"))
    yield
    world.pe.write_manifest(good)


@fault("DualpathBridgeLost")
def another_program_has_the_port_of_fpm(world: World) -> Iterator[None]:
    """The controller restarts a bridge that dies or hangs, but this one cannot listen."""
    taker = world.fabric.scenario.daemon("taker", world.pe.control.inside("python3", "-c", TAKER))
    taker.start()
    run(["kill", "-KILL", str(world.bridge())])
    wait_until(lambda: "taken" in taker.text(), "port 2620 is taken", 30)
    yield
    taker.kill()


@pytest.fixture(scope="module")
def world(_standing: Fabric) -> Iterator[World]:
    pe = _standing.pes[0]
    _standing.wait_for_overlay(120.0)
    recorder = Recorder(pe)
    try:
        yield World(_standing, recorder)
    finally:
        recorder.close()


def test_each_alert_has_a_fault_or_a_reason() -> None:
    assert sorted([*FAULTS, *NOT_HERE, *NOT_YET]) == sorted(ALERTS)


@pytest.mark.parametrize("alert", FAULTS)
def test_alert_fires_during_the_fault_and_not_before(
    alert: str, fabric: Fabric, world: World, say: Callable[[str], None]
) -> None:
    pe: Pe = world.pe
    wait_until(lambda: not pe.dualpath_json("status")["degraded"], "nothing is degraded", LIVE_S)
    begun = len(world.recorder.samples)
    wait_until(lambda: len(world.recorder.samples) >= begun + 3, "scrapes", 30)
    begun = len(world.recorder.samples) - 1
    going = FAULTS[alert](world)
    next(going)
    try:
        minutes = world.recorder.wait_for(alert, begun, FIRES_S)
    finally:
        next(going, None)  # which ends it
    say(f"fired after {minutes} minutes of Prometheus")
    wait_until(pe.is_live, f"{pe.name} live again", LIVE_S, every_s=0.5)
