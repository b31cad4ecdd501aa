"""Manifests that change under a running router change only what they name."""

import time
from collections.abc import Callable, Iterable
from functools import partial

import pytest

from tests.lab import manifests
from tests.lab.fabric import Fabric, Pe
from tests.lab.grout import touch_memory
from tests.lab.namespaces import Namespace
from tests.lab.ping import flows, ping
from tests.lab.plan import Datapath
from tests.lab.processes import CommandFailed
from tests.lab.product import grout_socket
from tests.lab.waiting import wait_until
from tests.unit.controller.intent.rulebook import rule

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]

SWAPS = 4  # ten, with their times: tests.bench.swaps
SEEN_S = 150.0  # a guest with grout has little of its one CPU left for FRR


def tenant(pe: Pe, *, vrf: str = "blue", vni: int = 200, session: str = "") -> str:
    """Return a second tenant, whose host legs have addresses of their own on each PE."""
    return f"""\
---
apiVersion: {manifests.GROUP}
kind: L3VNI
metadata: {{name: second}}
spec:
  vrf: {vrf}
  vni: {vni}
  importRTs: ["65000:200"]
  exportRTs: ["65000:200"]
  hostSession:
    asn: {pe.plan.asn}
    hostASN: 64999
    localCIDR: {{ipv4: 10.20{pe.plan.index}.0.0/24}}
    {session}
"""


def segment(domain: str, vni: int = 111) -> str:
    return f"""\
---
apiVersion: {manifests.GROUP}
kind: L2VNI
metadata: {{name: moving}}
spec:
  vni: {vni}
  routingDomain: {{type: L3VNI, l3vni: {{name: {domain}}}}}
  gatewayIPs: [10.111.0.1/24]
  hostMaster: {{type: LinuxBridge, linuxBridge: {{lifecycle: Managed}}}}
"""


def raw(text: str) -> str:
    return f"""\
---
apiVersion: {manifests.GROUP}
kind: RawFRRConfig
metadata: {{name: mine}}
spec: {{rawConfig: "{text}"}}
"""


def write(fabric: Fabric, more: Callable[[Pe], str]) -> None:
    for pe in fabric.pes:
        pe.write_manifest(manifests.manifest(pe.plan) + more(pe))


def resources(pe: Pe) -> dict[str, dict[str, object]]:
    return {resource["name"]: resource for resource in pe.dualpath_json("status")["resources"]}


def wait_for(pe: Pe, name: str, what: str, holds: Callable[[dict[str, object]], object]) -> None:
    def holds_now() -> bool:
        found = resources(pe).get(name)
        return found is not None and bool(holds(found))

    wait_until(holds_now, f"{pe.name}: {name} {what}", SEEN_S, every_s=0.5)


def in_force(fabric: Fabric, name: str, generation: int) -> None:
    for pe in fabric.pes:
        wait_for(
            pe,
            name,
            f"generation {generation} in force",
            lambda r: r["ready"] and r["applied_generation"] == generation,
        )


def routed(pe: Pe) -> bool:
    """Add the host's route by the second tenant's leg, which grout may still be making."""
    try:
        pe.node.ip("route", "replace", "10.200.0.0/13", "via", f"10.20{pe.plan.index}.0.1")
    except CommandFailed:
        return False
    return True


def second_tenant_pings(fabric: Fabric) -> None:
    for pe in fabric.pes:
        wait_until(partial(routed, pe), "a route by the second tenant's leg", SEEN_S, 0.5)
    pe1, pe2 = fabric.pes
    wait_until(lambda: ping(pe1.node, "10.202.0.4"), "second tenant", SEEN_S, every_s=0.5)
    wait_until(lambda: ping(pe2.node, "10.201.0.3"), "second tenant", SEEN_S, every_s=0.5)


def times_established(pe: Pe) -> list[int]:
    found = pe.router.vtysh_json("show bgp l2vpn evpn summary")["peers"]
    return [peer["connectionsEstablished"] for peer in found.values()]


def frr_shows(pe: Pe) -> bool:
    """Return whether the status has the fabric's session, both tenants' hosts, and all VNIs."""
    status = pe.dualpath_json("status")
    sessions = {(s["vrf"], s["state"]) for s in status["sessions"]}
    vnis = {(v["vni"], v["layer"], v["vrf"], v["up"]) for v in status["vnis"]}
    return ("default", "Established") in sessions and vnis == {
        (100, 3, "red", True),
        (110, 2, "red", True),
        (200, 3, "blue", True),
    }


class Steps:
    """The start times of a scenario's steps, to compare with the times of lost packets."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._begun: list[str] = []

    def begin(self, step: str) -> None:
        self._begun.append(f"{step} at {time.monotonic() - self._since:.1f} s")

    def __str__(self) -> str:
        return ", ".join(self._begun)


def test_tenants_are_added_changed_and_removed_without_loss_for_others(fresh: Fabric) -> None:
    fabric, (pe1, pe2) = fresh, fresh.pes
    if pe1.plan.datapath is Datapath.DPDK:
        touch_memory(grout_socket(pe1.plan), vrfs=2)  # renamed, a tenant has two for a while
        fabric.wait_for_overlay(90.0)
        fabric.wait_until_live()
    before, steps = times_established(pe1), Steps()
    with flows(
        (pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6)
    ) as results:
        steps.begin("comes")
        write(fabric, tenant)
        in_force(fabric, "second", 1)
        second_tenant_pings(fabric)
        wait_until(partial(frr_shows, pe1), "FRR's own state in the status", SEEN_S, every_s=0.5)
        assert set(pe1.dualpath("diff", str(pe1.plan.state / "manifest.yaml")).split()) == set()

        steps.begin("is renumbered")
        write(fabric, lambda pe: tenant(pe, vni=201))
        in_force(fabric, "second", 2)
        second_tenant_pings(fabric)

        steps.begin("is renamed")
        write(fabric, lambda pe: tenant(pe, vrf="azure", vni=201))
        in_force(fabric, "second", 3)
        second_tenant_pings(fabric)

        steps.begin("gets a segment")
        write(fabric, lambda pe: tenant(pe, vrf="azure", vni=201) + segment("second"))
        in_force(fabric, "moving", 1)
        assert pe1.view.masters()["br111"] == "azure"
        steps.begin("loses it")
        write(fabric, lambda pe: tenant(pe, vrf="azure", vni=201) + segment("red"))
        in_force(fabric, "moving", 2)
        assert pe1.view.masters()["br111"] == "red"
        assert "master red" in pe1.control.ip("link", "show", "br111")

        steps.begin("goes")
        write(fabric, lambda _: "")
        for pe in fabric.pes:
            wait_until_gone(pe)
            pe.wait_for_clean_audit(SEEN_S)
    told = f"{'; '.join(map(str, results))}; steps: {steps}"
    assert times_established(pe1) == before, told  # packets that are lost then are BGP's
    assert [result.lost for result in results] == [0, 0], told


def wait_until_gone(pe: Pe) -> None:
    wait_until(lambda: set(resources(pe)) == STANDARD, f"{pe.name}: gone", SEEN_S, every_s=0.5)
    for space in (pe.forwarding, pe.control, pe.node):
        wait_until(partial(nothing_left, space), f"{space.name}: gone", SEEN_S, every_s=0.5)
    wait_until(lambda: not leftovers(pe.view.masters()), f"{pe.name}: gone", SEEN_S, every_s=0.5)
    running = partial(pe.router.vtysh, "show running-config")
    wait_until(lambda: "azure" not in running(), f"{pe.name}: FRR forgets", SEEN_S, every_s=0.5)


STANDARD = {"underlay", "red", "stretched"}


def nothing_left(space: Namespace) -> bool:
    return not leftovers(row["ifname"] for row in space.ip_json("link"))


def leftovers(devices: Iterable[str]) -> list[str]:
    ends = ("blue", "azure", "200", "201", "111")
    return [name for name in devices if name.endswith(ends)]


@rule("Layout.failure", "Status.degraded")
def test_invalid_manifest_changes_nothing_and_is_named(fresh: Fabric) -> None:
    fabric, (pe1, pe2) = fresh, fresh.pes
    before = pe1.router.configuration_file.read_text()
    with flows((pe1.routed.namespace, pe2.routed.v4)) as results:
        pe1.write_manifest("kind: [\n")
        path = str(pe1.plan.state / "manifest.yaml")
        wait_for(pe1, path, "named", lambda r: "not valid YAML" in str(r["message"]))
        assert resources(pe1)["red"]["ready"]

        spoilt = manifests.manifest(pe1.plan).replace("vrf: red\n", "vrf: 1red\n")
        pe1.write_manifest(spoilt)
        wait_for(pe1, "red", "spoilt", lambda r: "earlier version stays" in str(r["message"]))
        assert resources(pe1)["red"]["applied_generation"] == 1

        pe1.controller.kill()  # who starts with it does not lose the tenant either
        pe1.controller.start()
        wait_until(pe1.is_live, "live with what was last good", 90.0, every_s=0.5)
        wait_for(pe1, "red", "spoilt", lambda r: "earlier version stays" in str(r["message"]))
        assert "L3VNI red" in pe1.dualpath_json("status")["degraded"]

        write(fabric, lambda _: raw("ip unheard-of command"))
        wait_for(pe1, "mine", "refused", lambda r: r["reason"] == "FrrConfigurationFailed")
        wait_for(pe1, "red", "ready", lambda r: r["ready"])
        assert pe1.router.configuration_file.read_text() == before
        assert "unheard-of" in str(resources(pe1)["mine"]["message"])

        write(fabric, lambda _: raw("ip prefix-list mine seq 5 permit 10.0.0.0/8"))
        in_force(fabric, "mine", 2)
        assert "ip prefix-list mine" in pe1.router.vtysh("show running-config")

        taken = segment("red").replace("Managed", "External, name: br-none")
        write(fabric, lambda _: taken)
        wait_for(pe1, "moving", "failed", lambda r: r["reason"] == "OverlayAttachmentFailed")
        assert "no bridge br-none in" in str(resources(pe1)["moving"]["message"])
        assert resources(pe1)["stretched"]["ready"]
        assert pe1.is_live()  # ready, and degraded by what failed
        assert "L2VNI moving" in pe1.dualpath_json("status")["degraded"]
    assert results[0].lost == 0, results


@rule("Layout.nic.swap")
def test_vlan_device_replaces_a_nic(fresh: Fabric) -> None:
    fabric, (pe1, pe2) = fresh, fresh.pes
    uplink = pe1.plan.uplinks[0]
    spine = fabric.spines[0].namespace
    fabric.scenario.link(pe1.node, "eth9", spine, "pe1b")
    for space, name in ((pe1.node, "eth9"), (spine, "pe1b")):
        space.ip("link", "set", name, "mtu", "1604")
        space.ip("link", "add", f"{name}.7", "link", name, "type", "vlan", "id", "7")
        space.ip("link", "set", f"{name}.7", "mtu", "1600", "up")
    spine.ip("address", "del", f"{uplink.spine_address}/31", "dev", uplink.spine_port)
    spine.ip("address", "add", f"{uplink.spine_address}/31", "dev", "pe1b.7")
    pe1.node.ip("address", "add", f"{uplink.pe_address}/31", "dev", "eth9.7")
    changed = manifests.manifest(pe1.plan).replace(
        f"interfaceName: {uplink.nic}", "interfaceName: eth9.7"
    )
    pe1.write_manifest(changed)
    wait_for(pe1, "underlay", "changed", lambda r: r["ready"] and r["applied_generation"] == 2)
    assert f"{uplink.pe_address}/31" in pe1.node.ip("address", "show", uplink.nic)
    fabric.wait_for_overlay(120.0)
    assert ping(pe1.routed.namespace, pe2.routed.v4)


@rule("Layout.nic.swap")
def test_nic_is_replaced_under_graceful_restart(fresh: Fabric, say: Callable[[str], None]) -> None:
    """The peer learns that this is no restart; else it sends to the old link for 2 minutes."""
    fabric, (pe1, pe2) = fresh, fresh.pes
    uplink = pe1.plan.uplinks[0]
    spine = fabric.spines[0].namespace
    fabric.scenario.link(pe1.node, "eth9", spine, "pe1b")
    for space, name in ((pe1.node, "eth9"), (spine, "pe1b")):
        space.ip("link", "set", name, "mtu", "1600", "up")
    pe1.node.ip("address", "add", f"{uplink.pe_address}/31", "dev", "eth9")
    ways = [(uplink.nic, uplink.spine_port), ("eth9", "pe1b")]
    slowest = 0.0
    for generation in range(2, 2 + SWAPS):
        (_, old_port), (nic, port) = ways
        spine.ip("address", "del", f"{uplink.spine_address}/31", "dev", old_port)
        spine.ip("address", "add", f"{uplink.spine_address}/31", "dev", port)
        text = manifests.manifest(pe1.plan)
        since = time.monotonic()
        pe1.write_manifest(text.replace(f"interfaceName: {uplink.nic}", f"interfaceName: {nic}"))
        wait_for(pe1, "underlay", "changed", partial(_in_force, generation))
        fabric.wait_for_overlay(30.0)
        assert ping(pe1.routed.namespace, pe2.routed.v4)
        slowest = max(slowest, time.monotonic() - since)
        ways.reverse()
    say(f"the slowest of {SWAPS} swaps took {slowest:.1f} s")
    assert slowest < 100.0  # a peer that waits for a restart takes two minutes


def _in_force(generation: int, row: dict[str, object]) -> bool:
    return bool(row["ready"] and row["applied_generation"] == generation)
