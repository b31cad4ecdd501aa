"""The standard topology, running: spines, PEs under the product's controller, and their hosts."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import hosts, manifests, namespaces, product, spines
from tests.lab.frr import Frr, Settings
from tests.lab.hosts import Host
from tests.lab.namespaces import Namespace
from tests.lab.plan import (
    BRIDGED_GATEWAYS,
    HOST_BRIDGE,
    Datapath,
    PePlan,
    Topology,
    pe_plans,
)
from tests.lab.processes import CommandFailed, run
from tests.lab.scenario import Scenario
from tests.lab.views import GroutView, KernelView, View
from tests.lab.waiting import wait_until

LINK_MTU = 1600  # room for VXLAN, so that tenants have 1500 and more
PE_ZEBRA = ("-K20", "--asic-offload=notify_on_offload")
STARTING_S = 120.0


@dataclass(frozen=True, slots=True)
class Options:
    """How the fabric runs the product."""

    frr: Settings = field(default_factory=lambda: Settings(zebra=PE_ZEBRA))
    controller: tuple[str, ...] = ()  # more; {name} and {state}: it, and its directory
    files: Callable[[PePlan], str] = manifests.manifest
    manifest: Callable[[PePlan], str] = lambda _: ""  # more resources


STANDARD = Topology()
DEFAULT = Options()


class Pe:
    """A router under test, with the hosts behind it."""

    def __init__(self, scenario: Scenario, plan: PePlan, options: Options) -> None:
        self.plan = plan
        self.name = plan.name
        self._scenario = scenario
        self._options = options
        self.node = scenario.namespace(plan.node)
        if plan.shared or plan.switches:
            scenario.namespace(plan.grout)
        bridged = scenario.namespace(plan.bridged)
        self.routed = Host(self.node, *plan.routed_addresses)
        self.bridged = Host(bridged, *plan.bridged_addresses)
        self.controller = product.make_controller(scenario, plan, options.controller)
        self.frr: Frr | None = None

    @property
    def forwarding(self) -> Namespace:
        return namespaces.existing(self.plan.name)

    @property
    def control(self) -> Namespace:
        return namespaces.existing(self.plan.control)

    @property
    def view(self) -> View:
        """Its forwarding tables, as the datapath's own tools show them."""
        if self.plan.datapath is Datapath.DPDK:
            return GroutView(product.grout_socket(self.plan))
        return KernelView(self.forwarding)

    @property
    def _manifest(self) -> Path:
        return self.plan.state / "manifest.yaml"

    @property
    def router(self) -> Frr:
        """The PE's FRR, once started."""
        assert self.frr is not None, f"{self.name} has no FRR yet"
        return self.frr

    def start(self) -> None:
        """Start the controller, and FRR in the namespace that the controller creates."""
        self.write_manifest(self._options.files(self.plan) + self._options.manifest(self.plan))
        self.controller.start()
        self.start_frr()

    def write_manifest(self, text: str) -> None:
        self.plan.state.mkdir(parents=True, exist_ok=True)
        self._manifest.write_text(text)

    def start_frr(self) -> None:
        """Start FRR in the control namespace, also after that was deleted and recreated."""
        wait_until(self._control_is_ready, f"namespace {self.plan.control}", STARTING_S)
        if self.frr is not None:
            self.frr.stop()
            self._scenario.routers.remove(self.frr)
        self.frr = self._scenario.frr(self.name, self.control, self._options.frr)
        self.frr.start()

    def lose_power(self) -> None:
        """End every process, and lose all that is in memory; `plan.disk` and frr.conf are left."""
        self.controller.kill()
        self.router.kill()
        for name in self.plan.namespaces:
            space = namespaces.existing(name)
            namespaces.kill_inside(space)
            namespaces.delete(space)
        for path in self.plan.state.iterdir():
            if path not in (self.plan.disk, self._manifest):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in (self.plan.node, self.plan.bridged):
            self._scenario.namespace(name)

    def attach_hosts(self) -> None:
        """Connect the bridged host, and give both hosts their routes."""
        hosts.attach(self.bridged.namespace, HOST_BRIDGE, self.node, port=self.plan.bridged)
        lengths = zip(self.plan.bridged_addresses, (24, 64), strict=True)
        own = [f"{address}/{length}" for address, length in lengths]
        gateways = [gateway.split("/")[0] for gateway in BRIDGED_GATEWAYS]
        hosts.configure(self.bridged.namespace, "eth0", own, gateways)
        self._wait_for_leg()
        for gateway in self.plan.pool_gateways:
            self.node.ip("route", "replace", "default", "via", gateway)

    def dualpath(self, *words: str) -> str:
        """Run the `dualpath` command against this PE's controller."""
        return run(["dualpath", "--connect", product.listen_address(self.plan), *words])

    def dualpath_json(self, *words: str) -> Any:  # noqa: ANN401 - whatever the command prints
        return json.loads(self.dualpath(*words, "-o", "json"))

    def audit(self) -> str:
        """Return an audit's output; the command fails when something differs."""
        try:
            return self.dualpath("audit")
        except CommandFailed as error:
            return str(error)

    def wait_for_clean_audit(self, timeout_s: float, every_s: float = 2.0) -> None:
        """Wait until no nexthop has failed and all views agree; else report the differences."""

        def clean() -> bool:
            failed = self.dualpath_json("nexthops", "--state", "failed")
            audit = self.audit()
            differences[:] = [] if audit == "nothing differs\n" else [audit]
            differences.extend(str(nexthop) for nexthop in failed)
            return not differences

        differences: list[str] = []
        try:
            wait_until(clean, f"{self.name}: a clean audit", timeout_s, every_s)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *differences])) from None

    def is_live(self) -> bool:
        """Return whether the controller is ready and its FPM session is live."""
        try:
            status = self.dualpath_json("status")
        except CommandFailed:
            return False
        return bool(status["ready"] and status["session_state"] == "live")

    def _control_is_ready(self) -> bool:
        assert self.controller.running, f"{self.name}: {self.controller.text()[-2000:]}"
        return self.control.exists and namespaces.is_live(self.control)

    def _wait_for_leg(self) -> None:
        def addressed() -> bool:
            text = self.node.ip("address")
            return all(f"{address}/" in text for address in self.plan.routed_addresses)

        wait_until(addressed, f"the host leg's addresses in {self.node.name}", STARTING_S)


class Fabric:
    """Spines and PEs; `start` brings up everything but does not wait for BGP."""

    def __init__(
        self,
        scenario: Scenario,
        topology: Topology = STANDARD,
        options: Options = DEFAULT,
    ) -> None:
        self.scenario = scenario
        plans = pe_plans(topology)
        self.spines = [self._make_spine(n + 1, plans) for n in range(topology.spines)]
        self.pes = [Pe(scenario, plan, options) for plan in plans]
        for pe in self.pes:
            self._cable(pe)

    def start(self) -> None:
        for spine in self.spines:
            spine.start()
        for pe in self.pes:
            pe.start()
        for pe in self.pes:
            pe.attach_hosts()

    def wait_for_bgp(self, timeout_s: float = 60.0) -> None:
        """Wait until every PE is Established with every spine for EVPN."""
        for spine in self.spines:
            spine.wait_for(self._all_established, "EVPN sessions to all PEs", timeout_s)

    def wait_until_live(self, timeout_s: float = 90.0) -> None:
        """Wait until every PE's FPM session is live, with nothing held."""
        for pe in self.pes:
            wait_until(pe.is_live, f"{pe.name} live", timeout_s, every_s=0.5)

    def wait_for_overlay(self, timeout_s: float = 60.0) -> None:
        """Wait until hosts reach those of the other PEs, routed and bridged, by both families."""
        self.wait_for_bgp(timeout_s)
        for source in self.pes:
            for target in self.pes:
                if source is not target:
                    self._wait_between(source, target, timeout_s)

    def reboot(self, pe: Pe) -> None:
        """Take a PE's power away, and start it again with its hosts; NICs are plugged in again."""
        pe.lose_power()
        wait_until(lambda: self._is_unplugged(pe), f"{pe.name} is unplugged", STARTING_S)
        self._cable(pe)
        pe.controller.start()
        pe.start_frr()
        pe.attach_hosts()

    def cut(self, pe: Pe, spine: int = 1) -> None:
        """Unplug an uplink: the PE's NIC loses its carrier."""
        self._spine_port(pe, spine, "down")

    def mend(self, pe: Pe, spine: int = 1) -> None:
        self._spine_port(pe, spine, "up")

    def move_bridged_host(self, host: Host, source: Pe, target: Pe) -> None:
        """Move a bridged host, MAC, addresses and all, from behind one PE to behind another."""
        hosts.move(host, host.namespace.name, source.node, target.node, HOST_BRIDGE)

    def _make_spine(self, number: int, plans: Sequence[PePlan]) -> Frr:
        namespace = self.scenario.namespace(f"spine{number}")
        namespace.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        isisd = ("isisd",) if plans[0].topology.isis else ()
        daemons = ("mgmtd", "zebra", "bgpd", *isisd)
        text = spines.configuration(number, plans)
        settings = Settings(daemons=daemons, configuration=text)
        return self.scenario.frr(f"spine{number}", namespace, settings)

    def _cable(self, pe: Pe) -> None:
        for uplink in pe.plan.uplinks:
            spine = self.spines[uplink.spine - 1].namespace
            self.scenario.link(pe.node, uplink.nic, spine, uplink.spine_port)
            pe.node.ip("link", "set", uplink.nic, "mtu", str(LINK_MTU))
            spine.ip("link", "set", uplink.spine_port, "mtu", str(LINK_MTU))
            if uplink.numbered:
                pe.node.ip(
                    "address", "add", f"{uplink.pe_address}/{uplink.length}", "dev", uplink.nic
                )
                words = ["address", "add", f"{uplink.spine_address}/{uplink.length}"]
                spine.ip(*words, "dev", uplink.spine_port)

    def _is_unplugged(self, pe: Pe) -> bool:
        spines = ((self.spines[u.spine - 1].namespace, u.spine_port) for u in pe.plan.uplinks)
        return not any(spine.has_link(port) for spine, port in spines)

    def _spine_port(self, pe: Pe, spine: int, state: str) -> None:
        uplink = pe.plan.uplinks[spine - 1]
        self.spines[spine - 1].namespace.ip("link", "set", uplink.spine_port, state)

    def _all_established(self, spine: Frr) -> bool:
        peers = spine.vtysh_json("show bgp l2vpn evpn summary").get("peers", {})
        states = [peer["state"] for peer in peers.values()]
        return states == ["Established"] * len(self.pes)

    @staticmethod
    def _wait_between(source: Pe, target: Pe, timeout_s: float) -> None:
        source.routed.wait_for_ping(target.routed.v4, timeout_s)
        source.routed.wait_for_ping(target.routed.v6, timeout_s)
        source.bridged.wait_for_ping(target.bridged.v4, timeout_s)
        source.bridged.wait_for_ping(target.bridged.v6, timeout_s)
