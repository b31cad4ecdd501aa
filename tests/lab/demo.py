"""What `make demo` shows, inside the lab: stock FRR drives a datapath that it knows nothing about.

It prints what the programs say and nothing in their place; what does not hold makes it end with 1.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from controller.node.supervisor import bridge_of
from tests.lab import artefacts
from tests.lab.demo_screen import Screen
from tests.lab.fabric import Fabric, Pe
from tests.lab.hosts import Host
from tests.lab.isolation import assert_no_way_in
from tests.lab.namespaces import NETNS_DIRECTORY
from tests.lab.ping import RATE_PER_S, FlowResult, flows
from tests.lab.plan import L2_VNI, L3_VNI, TENANT_VRF, Datapath, Topology
from tests.lab.processes import CommandFailed, run
from tests.lab.product import grout_socket, listen_address
from tests.lab.scenario import LOGS, Scenario
from tests.lab.views import with_length

OUR_PROTOCOL = "68"  # RTPROT_DUALPATH: who installed a route
KILL = "pkill -9 bgpd"
DEAD_S = 8.0  # how long FRR stays away
AFTERWARDS_S = 4.0  # how long the pings go on after its return
WAITING_S = 90.0

LAYOUT = """\
pe1-l --+                                                   +-- pe2-l     bridged hosts, L2VNI 110
        br-hs-110 in pe1-h                 br-hs-110 in pe2-h
            |                                    |
pe1-h -- [pe1] --eth1-- [spine1] --eth1-- [pe2] -- pe2-h                  routed hosts, L3VNI 100
"""


@dataclass(frozen=True, slots=True)
class Flow:
    """One way through the fabric, for one address family."""

    title: str
    source: Host
    target: str

    def ping(self) -> tuple[bool, str]:
        """Return whether three pings were answered, and ping's last line."""
        command = ["ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "1", self.target]
        inside = self.source.namespace.inside(*command)
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        lines = (done.stdout or done.stderr).strip().splitlines()
        return " 3 received" in done.stdout, lines[-1] if lines else "ping said nothing"


class Demo:
    """The steps, in order, in one fabric."""

    def __init__(self, scenario: Scenario, screen: Screen, topology: Topology) -> None:
        self._screen = screen
        self._fabric = Fabric(scenario, topology)
        self._pe1, self._pe2 = self._fabric.pes
        self._flows = list(_flows(self._pe1, self._pe2))

    def shell(self) -> None:
        """Give the terminal to a shell in which the fabric runs on, until it is left."""
        pe, target = self._pe1, self._pe2.routed.v4
        self._screen.step("The lab is yours. `exit` ends it. Try")
        inside = " ".join(pe.routed.namespace.inside("ping", "-c3", target))
        self._screen.text(
            "\n".join(
                (
                    "dualpath status",
                    f"dualpath routes --vrf {TENANT_VRF}",
                    f"dualpath explain {target} --vrf {TENANT_VRF}",
                    f"dualpath watch --kind route    # and, elsewhere: {KILL}",
                    inside,
                    f"ip -n {pe.name} route show vrf {TENANT_VRF}",
                )
            )
        )
        environment = {
            **os.environ,
            "DUALPATH_CONNECT": listen_address(pe.plan),
            "PS1": f"lab({pe.name})# ",
        }
        subprocess.run(["bash", "--norc", "-i"], env=environment, check=False)

    def run_briefly(self) -> None:
        """Show only that packets pass."""
        self.start()
        self._ping()

    def run(self) -> None:
        self.start()
        self._show_places()
        self._show_tables()
        self._ping()
        self._kill()

    def start(self) -> None:
        screen = self._screen
        screen.step("Two routers under our controller, and a spine that is plain FRR")
        screen.text(LAYOUT)
        for pe in self._fabric.pes:
            screen.text(f"{pe.name}: controller --datapath={pe.plan.datapath}")
        for spine in self._fabric.spines:
            with screen.waiting(f"FRR of {spine.name}", f"FRR runs in {spine.name}"):
                spine.start()
        for pe in self._fabric.pes:
            what = f"controller and FRR of {pe.name}"
            with screen.waiting(what, f"controller and FRR run for {pe.name}"):
                pe.start()
        with screen.waiting("hosts", "hosts are attached"):
            for pe in self._fabric.pes:
                pe.attach_hosts()
        self._wait_for_bgp()
        with screen.waiting("the overlay", "hosts reach one another through the overlay"):
            self._fabric.wait_for_overlay(WAITING_S)
        with screen.waiting("FRR to converge", "FRR has converged, and every router is ready"):
            self._fabric.wait_until_live(WAITING_S)

    def _wait_for_bgp(self) -> None:
        with self._screen.waiting("BGP sessions", "BGP sessions are Established"):
            self._fabric.wait_for_bgp(WAITING_S)

    def _show_places(self) -> None:
        screen, pe = self._screen, self._pe1
        screen.step("Who runs where: FRR is locked in, and nothing of it is where packets go")
        controller = pe.controller.pid
        bridge = bridge_of(pe.plan.state)
        assert bridge is not None
        pids = {"controller": controller, "frr-bridge": bridge.pid, **pe.router.pids()}
        screen.text(_places(pids))
        zebra = _command_line(pids["zebra"])
        stock = "dplane_fpm_nl" in zebra and "dplane_grout" not in zebra
        screen.check("zebra is stock, and its plugin is FRR's own", stock, zebra)
        screen.check(
            "FRR's network namespace is not the forwarding one",
            run(["stat", "-Lc", "%i", str(pe.control.path)])
            != run(["stat", "-Lc", "%i", str(pe.forwarding.path)]),
            f"{pe.control.name} and {pe.forwarding.name}",
        )
        self._holds(
            "no daemon of FRR may enter the forwarding namespace, even as root",
            lambda: assert_no_way_in(pe.router, pe.forwarding),
        )

    def _show_tables(self) -> None:
        screen, pe = self._screen, self._pe1
        screen.step("What FRR wants and the datapath has, as `dualpath` shows it on pe1")
        screen.command("dualpath status", _short(pe.dualpath("status")))
        for words in (("vnis",), ("routes", "--vrf", TENANT_VRF), ("macs",)):
            screen.command(f"dualpath {' '.join(words)}", pe.dualpath(*words))
        target = self._pe2.routed.v4
        explain = ("explain", target, "--vrf", TENANT_VRF)
        screen.command(f"dualpath {' '.join(explain)}", pe.dualpath(*explain))
        for command in _listings(pe):
            screen.command(command, run(command.split()))
        programmed = pe.view.prefixes()
        for address in (self._pe2.routed.v4, self._pe2.routed.v6):
            screen.check(
                f"the route to {address} is in what forwards, and is known as ours",
                with_length(address) in programmed,
            )

    def _ping(self) -> None:
        self._screen.step("Pings, from behind pe1 to behind pe2")
        for flow in self._flows:
            answered, line = flow.ping()
            self._screen.check(flow.title, answered, line)

    def _kill(self) -> None:
        screen, router = self._screen, self._pe1.router
        screen.step(f"All of FRR on pe1 is killed, under {RATE_PER_S:.0f} pings a second each way")
        pairs = [(flow.source.namespace, flow.target) for flow in self._flows]
        with self._pe1.view.changes() as changes, flows(*pairs) as results:
            time.sleep(1)
            names = ", ".join(router.pids())
            router.kill()
            screen.done(f"SIGKILL to {names}")
            time.sleep(DEAD_S / 2)
            screen.command("dualpath status", _short(self._pe1.dualpath("status")))
            time.sleep(DEAD_S / 2)
            screen.check("FRR is gone", not router.pids())
            self._pe1.start_frr()
            screen.done("FRR is started again")
            self._wait_for_bgp()
            with screen.waiting("FRR to converge", "FRR has converged; stale rows were removed"):
                self._fabric.wait_until_live(WAITING_S)
            time.sleep(AFTERWARDS_S)
            written = changes()
        screen.command("dualpath routes --vrf red", self._pe1.dualpath("routes", "--vrf", "red"))
        screen.text("\n" + "\n".join(written))
        screen.check("nothing flapped: no write to pe1's routes and nexthops", not written)
        for flow, result in zip(self._flows, results, strict=True):
            self._judge(flow, result)

    def _judge(self, flow: Flow, result: FlowResult) -> None:
        whole = result.lost == 0 and result.transmitted > 0
        self._screen.check(f"no packet lost: {flow.title}", whole, str(result))

    def _holds(self, what: str, show: Callable[[], None]) -> None:
        try:
            show()
        except AssertionError as error:
            self._screen.check(what, False, str(error))
        else:
            self._screen.check(what, True)


def _flows(pe1: Pe, pe2: Pe) -> Iterator[Flow]:
    ways = (
        (f"routed to routed, L3VNI {L3_VNI}", pe1.routed, pe2.routed),
        (f"bridged to bridged, L2VNI {L2_VNI}", pe1.bridged, pe2.bridged),
        (f"bridged to routed, L2VNI {L2_VNI} to L3VNI {L3_VNI}", pe1.bridged, pe2.routed),
    )
    for title, source, target in ways:
        yield Flow(f"IPv4, {title}", source, target.v4)
        yield Flow(f"IPv6, {title}", source, target.v6)


def _listings(pe: Pe) -> tuple[str, ...]:
    """Return commands of the datapath's own that list the tenant's routes."""
    if pe.plan.datapath is Datapath.DPDK:
        return (f"grcli -s {grout_socket(pe.plan)} route show vrf {TENANT_VRF}",)
    ours = f"vrf {TENANT_VRF} proto {OUR_PROTOCOL}"
    return tuple(f"ip -n {pe.name} {family} route show {ours}" for family in ("-4", "-6"))


def _short(status: str) -> str:
    """Return what `dualpath status` has on top, and its counts of rows."""
    return "\n\n".join(status.split("\n\n")[:2])


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()


def _places(pids: dict[str, int]) -> str:
    names = {path.stat().st_ino: path.name for path in NETNS_DIRECTORY.glob("*")}
    lines = [f"{'PROCESS':12}{'PID':>6}  {'NETWORK NAMESPACE':20}USER NAMESPACE"]
    for name, pid in pids.items():
        network = names.get(os.stat(f"/proc/{pid}/ns/net").st_ino, "the machine's")
        lines.append(f"{name:12}{pid:>6}  {network:20}{_user_namespace(pid)}")
    return "\n".join(lines)


def _user_namespace(pid: int) -> str:
    ours = os.stat("/proc/self/ns/user").st_ino
    return "the machine's" if os.stat(f"/proc/{pid}/ns/user").st_ino == ours else "its own"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.demo", description=__doc__)
    parser.add_argument("datapath", choices=list(Datapath), help="what pe1 forwards with")
    parser.add_argument("--keep", action="store_true", help="end in a shell in the lab")
    parser.add_argument("--shell", action="store_true", help="show nothing: only that shell")
    arguments = parser.parse_args()
    datapath = Datapath(arguments.datapath)
    screen = Screen()
    topology = Topology(dpdk=1 if datapath is Datapath.DPDK else 0)
    if arguments.shell:
        _show(screen, topology, Demo.start, Demo.shell)
        return screen.close(empty=True)
    shows = [(topology, [Demo.run, Demo.shell] if arguments.keep else [Demo.run])]
    if datapath is Datapath.DPDK:
        shows.insert(0 if arguments.keep else 1, (Topology(dpdk=2), [Demo.run_briefly]))
    for shown, parts in shows:
        _show(screen, shown, *parts)
    return screen.close()


def _show(screen: Screen, topology: Topology, *parts: Callable[[Demo], None]) -> None:
    scenario = Scenario()
    try:
        demo = Demo(scenario, screen, topology)
        for part in parts:
            part(demo)
    except (AssertionError, CommandFailed, subprocess.TimeoutExpired) as error:
        screen.check("the demo came to its end", False, str(error))
        artefacts.write(artefacts.directory_for("demo"), LOGS, scenario.routers)
        screen.text("Logs, configurations and tables are in artefacts/demo.")
    finally:
        scenario.clean()


if __name__ == "__main__":
    sys.exit(main())
