"""Packets follow a Kubernetes API: two nodes whose agents read a real API server.

Each node has one file, which names its namespaces. Its number, Underlay, VRFs and segments are
objects. The API server is a process of the guest; kubectl writes to it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kube.server import ApiServer
from tests.lab import apiobjects, manifests
from tests.lab.fabric import Fabric, Options, Pe
from tests.lab.grout import keep_neighbors, touch_memory
from tests.lab.ping import flows, ping, wait_for_ping
from tests.lab.plan import HOST_BRIDGE, Datapath, PePlan, Topology, pe_plans
from tests.lab.product import grout_socket
from tests.lab.test_live import SEEN_S, second_tenant_pings, tenant, times_established
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]

DEFINITIONS = Path(__file__).parents[2] / "deploy" / "crds"
KUBECONFIG = Path("/tmp/kubeconfig")  # of a guest, which nobody else uses
AWAY_S = 600.0
OTHER_RT = '{"spec": {"importRTs": ["65000:999"]}}'
NO_RT = '{"spec": {"importRTs": null}}'
TENANT_RT = '{"spec": {"importRTs": ["65000:200"]}}'


AGENT = (
    "--kubernetes",
    f"--kubeconfig={KUBECONFIG}",
    "--node-name={name}",
    "--mirror={state}/disk",  # PePlan.disk
)
TOPOLOGY = Topology(hold_s=60)  # beside an API server grout makes a VRF in up to 14 s: 0064
FABRIC = (TOPOLOGY, Options(controller=AGENT, files=apiobjects.node_file))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[ApiServer]:
    """Run an API server that has what the nodes of every fabric begin with."""
    if "DUALPATH_LAB_INSIDE" not in os.environ:
        pytest.skip("a scenario runs inside the lab: python -m tests.lab run")
    with ApiServer.started() as started:
        started.define(*sorted(DEFINITIONS.glob("*.yaml")))
        for plan in pe_plans(TOPOLOGY):
            started.apply(apiobjects.node(plan), *standard(plan))
        KUBECONFIG.symlink_to(started.kubeconfig)
        yield started
        KUBECONFIG.unlink()


def standard(plan: PePlan) -> list[apiobjects.Object]:
    return list(apiobjects.objects(plan, manifests.manifest(plan)))


def second(pe: Pe) -> list[apiobjects.Object]:
    return list(apiobjects.objects(pe.plan, tenant(pe)))


def add_second(fabric: Fabric, server: ApiServer) -> None:
    server.apply(*(item for pe in fabric.pes for item in second(pe)))
    for pe in fabric.pes:
        ready(server, "l3", "second", pe, 1)
    second_tenant_pings(fabric)


def status(server: ApiServer, resource: str) -> list[dict[str, Any]]:
    """Return the rows of an object's status, one of each node."""
    found = json.loads(server.kubectl("get", resource, "-o", "json"))
    rows: list[dict[str, Any]] = found.get("status", {}).get("nodes", [])
    return rows


def ready(server: ApiServer, kind: str, name: str, pe: Pe, generation: int) -> None:
    def holds() -> bool:
        rows = status(server, f"{kind}/{name}-{pe.name}")
        assert [row["name"] for row in rows] in ([], [pe.name]), rows
        return any(row["ready"] and row["observedGeneration"] == generation for row in rows)

    wait_until(holds, f"{kind} {name}-{pe.name} ready", SEEN_S, every_s=1.0)


def silent(source: Pe, target: str) -> None:
    wait_until(lambda: not ping(source.node, target), f"no answer of {target}", SEEN_S, 0.5)


def test_type_5_pings_follow_creation_edit_and_deletion(
    fabric: Fabric, server: ApiServer, say: Callable[[str], None]
) -> None:
    pe1, pe2 = fabric.pes
    if pe1.plan.datapath is Datapath.DPDK:
        touch_memory(grout_socket(pe1.plan), vrfs=2)
        fabric.wait_for_overlay(90.0)
    for pe in fabric.pes:
        for kind, name in (("ul", "underlay"), ("l3", "red"), ("l2", "stretched")):
            ready(server, kind, name, pe, 1)
    if pe1.plan.datapath is Datapath.DPDK:
        wait_for_ping(pe1.routed.namespace, pe2.routed.v4)
        keep_neighbors(pe1.routed.namespace)
    before = times_established(pe1)
    with flows(
        (pe1.routed.namespace, pe2.routed.v4), (pe1.bridged.namespace, pe2.bridged.v6)
    ) as results:
        since = time.monotonic()

        def mark(what: str) -> None:
            say(f"{time.monotonic() - since:.1f} s: {what}")

        add_second(fabric, server)
        mark("the second tenant is there")

        server.apply(*bad(pe1))
        wait_until(
            lambda: refused(server, f"l3/bad-{pe1.name}", "VNI 100 is already used"),
            "the bad one's status",
            SEEN_S,
            every_s=1.0,
        )
        second_tenant_pings(fabric)

        mark("its hosts reach one another")
        server.kubectl("patch", "l3", "second-pe2", "--type=merge", "-p", OTHER_RT)
        silent(pe1, "10.202.0.4")
        mark("its route target is another")
        ready(server, "l3", "second", pe2, 2)
        server.kubectl("patch", "l3", "second-pe2", "--type=merge", "-p", TENANT_RT)
        second_tenant_pings(fabric)

        mark("its route target is as before")
        server.kubectl("delete", "l3", "second-pe1", "bad-pe1")
        silent(pe2, "10.201.0.3")
        mark("it is gone from pe1")
        server.kubectl("delete", "l3", "second-pe2")
        wait_until(lambda: "blue" not in pe1.view.masters().values(), "blue is gone", SEEN_S)
        mark("it is gone")
    assert times_established(pe1) == before
    assert [result.lost for result in results] == [0, 0], [str(result) for result in results]


def bad(pe: Pe) -> list[apiobjects.Object]:
    """Return a VRF with the VNI of another one."""
    text = tenant(pe, vrf="violet", vni=100).replace("name: second", "name: bad")
    return list(apiobjects.objects(pe.plan, text))


def refused(server: ApiServer, resource: str, text: str) -> bool:
    rows = status(server, resource)
    return [row["ready"] for row in rows] == [False] and text in rows[0]["message"]


def test_type_2_pings_follow_edit_deletion_and_creation(fabric: Fabric, server: ApiServer) -> None:
    pe1, pe2 = fabric.pes
    with flows((pe1.routed.namespace, pe2.routed.v4)) as results:
        server.kubectl("patch", "l2", "stretched-pe2", "--type=merge", "-p", OTHER_RT)
        stranded(pe1, pe2)
        server.kubectl("patch", "l2", "stretched-pe2", "--type=merge", "-p", NO_RT)
        pe1.bridged.wait_for_ping(pe2.bridged.v4, SEEN_S)
        pe1.bridged.wait_for_ping(pe2.bridged.v6, SEEN_S)

        server.kubectl("delete", "l2", "stretched-pe2")
        stranded(pe1, pe2)
        server.apply(*(found for found in standard(pe2.plan) if found["kind"] == "L2VNI"))
        wait_until(lambda: is_attached(pe2), "the host is at the bridge", SEEN_S, every_s=0.5)
        pe1.bridged.wait_for_ping(pe2.bridged.v4, SEEN_S)
        pe1.bridged.wait_for_ping(pe2.bridged.v6, SEEN_S)
        ready(server, "l2", "stretched", pe2, 1)
    assert results[0].lost == 0, results


def is_attached(pe: Pe) -> bool:
    """Attach the bridged host again, as a CNI plugin does once the bridge is there."""
    if not pe.node.has_link(HOST_BRIDGE):
        return False
    pe.node.ip("link", "set", pe.plan.bridged, "master", HOST_BRIDGE)
    return True


def stranded(source: Pe, target: Pe) -> None:
    for address in (target.bridged.v4, target.bridged.v6):
        unanswered = lambda address=address: not source.bridged.ping(address)  # noqa: E731
        wait_until(unanswered, f"no answer of {address}", SEEN_S, every_s=0.5)


@pytest.mark.long
def test_node_that_reboots_while_the_api_is_away_starts_from_its_disk(
    fabric: Fabric, server: ApiServer
) -> None:
    reboot_without_api(fabric, server, 0.0)


@pytest.mark.long
def test_node_that_reboots_forwards_for_ten_minutes_without_the_api(
    fabric: Fabric, server: ApiServer, say: Callable[[str], None]
) -> None:
    say(reboot_without_api(fabric, server, AWAY_S))


def reboot_without_api(fabric: Fabric, server: ApiServer, away_s: float) -> str:
    """Reboot pe2 while the API server is dead for at least `away_s`; return what was seen."""
    pe1, pe2 = fabric.pes
    add_second(fabric, server)
    server.kill()
    since = time.monotonic()
    fabric.reboot(pe2)
    fabric.wait_for_overlay(120.0)
    second_tenant_pings(fabric)
    back_s = time.monotonic() - since
    assert "API server" in pe2.dualpath_json("status")["degraded"]
    with flows((pe1.routed.namespace, pe2.routed.v4), (pe2.node, pe1.routed.v6)) as results:
        time.sleep(max(0.0, since + away_s - time.monotonic()))
        server.start()
        away = time.monotonic() - since
        server.kubectl("delete", "l3", "second-pe2")
        silent(pe1, "10.202.0.4")
        server.kubectl("delete", "l3", "second-pe1")
        followed_s = time.monotonic() - since - away
        wait_until(lambda: "blue" not in pe2.view.masters().values(), "blue is gone", SEEN_S)
        ready(server, "l3", "red", pe2, 1)
        wait_until(
            lambda: not pe2.dualpath_json("status")["degraded"], "nothing is degraded", SEEN_S
        )
    assert [result.lost for result in results] == [0, 0], results
    return (
        f"pings {back_s:.0f} s after the reboot began; API away for {away:.0f} s; a deletion "
        f"followed {followed_s:.0f} s after its return; {results[0]}"
    )
