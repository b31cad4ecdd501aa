"""The images as they were built, in containers: `make images`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from deploy.images.build import OUTPUT, TARGETS
from tests.images import parts
from tests.images.machine import Machine, machine
from tests.images.parts import IMAGE, PORT, VERSION
from tests.pods import waiting

pytestmark = pytest.mark.images

READY_S = 90.0
MANIFESTS = """
apiVersion: dualpath.io/v1alpha1
kind: Node
spec: {nodeIndex: 1, namespaces: {control: frr}}
---
apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {name: fabric}
spec:
  asn: 65001
  interfaces:
  - {type: NetworkDevice, networkDevice: {interfaceName: eth1}}
  neighbors:
  - {asn: 65000, address: 192.168.1.0}
  - {asn: 65000, address: "2001:db8:1::"}
  tunnelEndpoint: {cidrs: [100.64.0.0/24]}
"""
NETWORK = """
ip netns add spine
ip link add eth1 type veth peer name pe netns spine
ip addr add 192.168.1.1/31 dev eth1
ip addr add 2001:db8:1::1/127 dev eth1 nodad
ip link set eth1 up
ip -n spine addr add 192.168.1.0/31 dev pe
ip -n spine addr add 2001:db8:1::/127 dev pe nodad
ip -n spine link set pe up
"""


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("needs root: containers in namespaces of their own")
    with machine("dualpath-test") as found:
        yield found


def until(condition: Callable[[], bool], said: Callable[[], str]) -> None:
    waiting.until(condition, said, READY_S)


def probe(here: Machine, path: str) -> str:
    """Ask as a kubelet does, from the machine's network namespace; return status and body."""
    script = (
        "import sys, urllib.request as u, urllib.error as e\n"
        "try: r = u.urlopen(sys.argv[1], timeout=5)\n"
        "except e.HTTPError as error: r = error\n"
        "except OSError as error: sys.exit(str(error))\n"
        "print(r.status, r.read().decode().strip())"
    )
    return here.run("python3", "-c", script, f"http://127.0.0.1:{PORT}{path}", check=False).stdout


def start_controller(here: Machine, name: str = "controller") -> None:
    here.container(name, *parts.controller("/run/config", "--hold=2"))


def start_router(here: Machine, name: str = "router") -> None:
    here.container(name, *parts.router("--env=HOLD=2"))


@pytest.fixture(scope="module")
def node(here: Machine) -> Machine:
    """A controller and a router, as on a node, ready."""
    here.run("sh", "-ec", NETWORK)
    here.run("sh", "-ec", f"cat >/run/config/node.yaml <<'EOF'\n{MANIFESTS}\nEOF")
    start_router(here)  # it waits for the namespace
    start_controller(here)

    def said() -> str:
        return (
            probe(here, "/readyz")
            + here.podman("logs", "controller")
            + here.podman("logs", "router")
        )

    until(lambda: probe(here, "/readyz") == "200 ok\n", said)
    return here


@pytest.mark.parametrize(
    "program", ["controller", "dualpath-operator", "grout-agent", "dualpath", "kubectl-dualpath"]
)
def test_each_program_of_the_controller_image_runs(here: Machine, program: str) -> None:
    flag = "--help" if program == "kubectl-dualpath" else "--version"
    said = here.container("version", IMAGE["controller"], program, flag, detached=False)
    assert VERSION in said or "usage" in said


def test_controller_image_is_not_root(here: Machine) -> None:
    assert here.container("id", IMAGE["controller"], "id", "-u", detached=False) == "65532\n"


@pytest.mark.parametrize("target", list(TARGETS))
def test_image_is_no_machine(here: Machine, target: str) -> None:
    """An identity would be that of every container, and another one in each build."""
    shown = here.container("id", "--entrypoint=ls", IMAGE[target], "/etc", detached=False)
    assert "passwd" in shown.split()
    assert "machine-id" not in shown.split()


@pytest.mark.parametrize("target", ["controller", "router"])
def test_python_compiles_nothing_at_a_start(here: Machine, target: str) -> None:
    """Files have the time of the commit: bytecode that knows another time would be stale."""
    command = ("python3", "-v", "-c", "import asyncio, dualpath, sys")
    name = here.name("python")
    here.container("python", f"--entrypoint={command[0]}", IMAGE[target], *command[1:])
    here.run("podman", "wait", name)
    said = here.logs("python")
    here.podman("rm", "python")
    assert "asyncio" in said
    assert "bytecode is stale" not in said


def test_images_agree_on_the_number_of_user_frr(here: Machine) -> None:
    asked = ("--entrypoint=id",)
    users = {
        here.container("id", *asked, IMAGE[target], "frr", detached=False)
        for target in ("controller", "router")
    }
    assert users == {"uid=900(frr) gid=900(frr) groups=900(frr),901(frrvty)\n"}


@pytest.mark.parametrize("target", list(TARGETS))
def test_labels_tell_version_and_commit(target: str) -> None:
    shown = subprocess.run(
        ["podman", "image", "inspect", IMAGE[target]], capture_output=True, text=True, check=True
    )
    labels = json.loads(shown.stdout)[0]["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert len(labels["org.opencontainers.image.revision"]) == 40
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("controller", {"python3", "grpcio", "dualpath"}),
        ("router", {"frr", "grpcio", "dualpath"}),
        ("grout", {"grout"}),
    ],
)
def test_sbom_lists_what_is_inside(target: str, names: set[str]) -> None:
    document = json.loads((OUTPUT / f"{target}.spdx.json").read_text())
    assert names <= {package["name"] for package in document["packages"]}


def test_probes_are_answered(node: Machine) -> None:
    assert probe(node, "/livez") == "200 ok\n"
    for which in ("ready", "live"):
        assert node.exec("router", "router-check", which).returncode == 0


def test_frr_is_not_root_in_its_container(node: Machine) -> None:
    script = (
        "cd /proc; for p in [0-9]*; do grep -qs ^/usr/lib/frr $p/cmdline && stat -c %u $p; done; :"
    )
    users = set(node.exec("router", "bash", "-c", script).stdout.split())
    assert users == {"900", "2130706432"}


def start_pings(node: Machine) -> list[subprocess.Popen[str]]:
    """Ping the node from the fabric for as long as a container takes to come back."""
    ping = ("ip", "netns", "exec", "spine", "ping", "-q", "-i0.02", "-W1")
    return [node.start(*ping, address) for address in ("192.168.1.1", "2001:db8:1::1")]


def lost(pings: list[subprocess.Popen[str]]) -> list[str]:
    """End the pings; return the summaries of those that lost a packet."""
    for ping in pings:
        ping.send_signal(signal.SIGINT)
    said = [ping.communicate(timeout=READY_S)[0] for ping in pings]
    assert all(re.search(r"[1-9][0-9]{2,} packets transmitted", text) for text in said), said
    return [text for text in said if " 0% packet loss" not in text]


def test_router_that_is_killed_and_made_again_costs_no_packet(node: Machine) -> None:
    pings = start_pings(node)
    node.run("podman", "kill", node.name("router"))
    node.run("podman", "rm", node.name("router"))
    until(lambda: probe(node, "/readyz").startswith("503"), lambda: "ready without a router")
    start_router(node)
    until(lambda: probe(node, "/readyz") == "200 ok\n", lambda: node.logs("router"))
    assert lost(pings) == []


def test_router_stops_at_once(node: Machine) -> None:
    began = time.monotonic()
    node.podman("stop", "router")
    took = time.monotonic() - began
    node.podman("start", "router")
    until(lambda: probe(node, "/readyz") == "200 ok\n", lambda: node.logs("router"))
    assert took < 5  # podman kills after 10 s


def test_grout_starts_in_the_forwarding_namespace(node: Machine) -> None:
    node.container(
        "grout",
        *("--network=host", "--privileged", "--volume=/run/netns:/run/netns:rslave"),
        *(IMAGE["grout"], "--socket=/run/grout.sock", "--test-mode"),
    )
    asked = ("grcli", "-s", "/run/grout.sock", "interface", "show")
    until(
        lambda: node.exec("grout", *asked, check=False).returncode == 0,
        lambda: node.logs("grout"),
    )
    shown = node.exec("grout", "sh", "-c", "readlink /proc/$(pidof -s grout)/ns/net").stdout
    there = node.run("ip", "netns", "exec", "dualpath", "readlink", "/proc/self/ns/net").stdout
    assert shown == there


def test_hand_over_to_a_second_controller_and_router_costs_no_packet(node: Machine) -> None:
    """As from day 0 to the DaemonSets: the second ones wait, and adopt what the first ones made."""
    pings = start_pings(node)
    start_router(node, "router-2")
    start_controller(node, "controller-2")
    waiting = "another router runs on this node"
    until(lambda: waiting in node.logs("router-2"), lambda: node.logs("router-2"))
    node.podman("stop", "controller")
    node.podman("stop", "router")
    until(
        lambda: "FRR starts" in node.logs("router-2") and probe(node, "/readyz") == "200 ok\n",
        lambda: node.logs("controller-2") + node.logs("router-2"),
    )
    assert lost(pings) == []
