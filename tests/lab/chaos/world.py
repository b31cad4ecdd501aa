"""The fabric that faults happen to, and what tells whether it is whole again."""

import contextlib
import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Thread

from controller.node.supervisor import bridge_of
from tests.lab import bridged
from tests.lab.fabric import DEFAULT, STANDARD, Fabric
from tests.lab.namespaces import Namespace
from tests.lab.plan import TENANT_VRF, Datapath
from tests.lab.processes import CommandFailed
from tests.lab.scenario import Scenario
from tests.lab.waiting import SLOWNESS, wait_until

Undo = Callable[[], object]
STARTING_S = 150.0
DISK = "256m"
_CHURN_S = 4.0
_CHURNED = tuple(f"198.51.100.{16 * n}/28" for n in range(8))


class World:
    """Two PEs and a spine; faults happen to pe1, and `undo` takes back what nobody repairs."""

    def __init__(
        self,
        scenario: Scenario,
        datapath: Datapath,
        fabric: Fabric | None = None,
        *,
        bridged_only: bool = False,
    ) -> None:
        self.datapath = datapath
        self.bridged_only = bridged_only  # an L2VNI alone: no VRF devices are needed
        self.fabric = fabric or _started(scenario, datapath, bridged_only=bridged_only)
        self.pe1, self.pe2 = self.fabric.pes
        self.manifest = self.pe1.plan.state / "manifest.yaml"
        self.good = self.manifest.read_text()
        self.forwarding, self.control = self.pe1.plan.name, self.pe1.plan.control
        self.undo: list[tuple[float, Undo]] = []  # seconds after the fault
        self.frr_died = False  # the whole of FRR has to be started again
        # Faults fill these; without a VM they would take half of the machine's memory.
        self.sh(f"for d in /run /etc/frr; do mount -o remount,size={DISK} $d; done")

    # -- what faults use ------------------------------------------------------------------

    def sh(self, script: str, timeout_s: float = 60.0) -> str:
        """Run a shell script whose commands may fail, and return what it wrote."""
        done = subprocess.run(
            ["bash", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s * SLOWNESS,
            check=False,
        )
        return done.stdout.strip()

    def later(self, after_s: float, call: Undo) -> None:
        self.undo.append((after_s, call))

    @property
    def bridge_pid(self) -> int:
        found = bridge_of(self.pe1.plan.state)
        return found.pid if found else 0

    def pairs(self) -> list[tuple[Namespace, str]]:
        one, two = self.pe1, self.pe2
        if self.bridged_only:
            return [
                (one.bridged.namespace, two.bridged.v4),
                (two.bridged.namespace, one.bridged.v4),
                (one.bridged.namespace, two.bridged.v6),
                (two.bridged.namespace, one.bridged.v6),
            ]
        return [
            (one.routed.namespace, two.routed.v4),
            (two.routed.namespace, one.routed.v6),
            (one.bridged.namespace, two.bridged.v4),
            (two.bridged.namespace, one.bridged.v6),
        ]

    # -- mending and judging --------------------------------------------------------------

    def mend(self) -> None:
        """Take back what the faults left to people: stopped processes, full disks, a dead FRR."""
        began = time.monotonic()
        for after_s, call in sorted(self.undo, key=lambda item: item[0]):
            time.sleep(max(0.0, began + after_s - time.monotonic()))
            call()
        self.undo.clear()
        if not self.pe1.controller.running:
            self.pe1.controller.start()
        if self.frr_died:
            self.frr_died = False
            if self.pe1.control.exists:
                self.pe1.router.start()
            else:
                self.pe1.start_frr()

    def wait_until_whole(self, timeout_s: float) -> tuple[float, str]:
        """Return the seconds until nothing differs, and what differed last, "" if nothing ever did.

        Raises AssertionError with what differs still.
        """
        began = time.monotonic()
        wrong = last = ""
        released = False

        def whole() -> bool:
            nonlocal released, wrong, last
            wrong = self.wrong()
            last = wrong or last
            if "without bgpd" in wrong and not released:
                released = True  # a lone zebra: OPERATIONS says to restart FRR as a whole
                self.pe1.router.restart()
            return not wrong

        try:
            wait_until(whole, "whole again", timeout_s, every_s=0.5)
        except AssertionError:
            raise AssertionError(f"not whole after {timeout_s:g} s: {wrong}") from None
        return time.monotonic() - began, last

    def wrong(self) -> str:
        """Return what is not as it should be, "" if all is."""
        if not self.pe1.controller.running:
            return f"the controller ended with {self.pe1.controller.exit_code}"
        try:
            status = self.pe1.dualpath_json("status")
        except CommandFailed as error:
            return str(error)[-500:]
        except subprocess.TimeoutExpired:  # a guest on a busy machine gets little of it
            return "`dualpath status` does not come to an end"
        if not status["ready"] or status["session_state"] != "live":
            names = ("not_ready", "session_state", "reason", "session_reason", "bridge")
            return f"status: {', '.join(f'{n} {status[n]}' for n in names if status.get(n))}"
        if bad := [row for row in status.get("resources", []) if not row.get("ready", True)]:
            return f"resources: {bad}"
        if (audit := self.pe1.audit()) != "nothing differs\n":
            return f"audit: {audit[:900]}"
        return self._unreachable()

    def _unreachable(self) -> str:
        one, two = self.pe1, self.pe2
        ways = [(one.bridged, two.bridged.v4), (two.bridged, one.bridged.v6)]
        if not self.bridged_only:
            ways += [
                (one.routed, two.routed.v4),
                (one.routed, two.routed.v6),
                (two.routed, one.routed.v4),
                (one.bridged, two.routed.v4),
            ]
        lost = [
            f"{host.namespace.name} to {to}"
            for host, to in ways
            if not any(host.ping(to, 1.0) for _ in range(3))  # the first may wait for ARP
        ]
        return f"no answer: {', '.join(lost)}" if lost else ""

    def heal(self) -> None:
        """Restart all of pe1 after a failed step, so that the next step can be judged."""
        self.manifest.parent.mkdir(parents=True, exist_ok=True)
        self.manifest.write_text(self.good)
        self.pe1.controller.stop()
        self.pe1.controller.start()
        self.pe1.router.restart()

    @contextlib.contextmanager
    def churn(self) -> Iterator[None]:
        """Let pe2 announce and withdraw prefixes during a block."""
        over = Event()

        def work() -> None:
            for word in itertools.cycle(("", "no ")):
                self._announce(word)
                if over.wait(_CHURN_S * SLOWNESS):
                    break
            self._announce("no ")

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _announce(self, word: str) -> None:
        vrf = "" if self.bridged_only else f" vrf {TENANT_VRF}"
        own = (f"router bgp {self.pe2.plan.asn}{vrf}", "address-family ipv4 unicast")
        with contextlib.suppress(CommandFailed, subprocess.TimeoutExpired):
            self.pe2.router.configure(*own, *(f"{word}network {prefix}" for prefix in _CHURNED))


def _started(scenario: Scenario, datapath: Datapath, *, bridged_only: bool) -> Fabric:
    topology = replace(STANDARD, dpdk=int(datapath is Datapath.DPDK))
    if bridged_only:
        return bridged.started(scenario, topology, STARTING_S)
    fabric = Fabric(scenario, topology, DEFAULT)
    fabric.start()
    fabric.wait_for_overlay(STARTING_S)
    fabric.wait_until_live(STARTING_S)
    return fabric
