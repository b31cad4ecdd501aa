"""labs/clab in real containers of the images, made as containerlab makes them.

This kernel may have no VRF devices. The underlay needs none, and so the sessions of the fabric are
what is looked at here; tests/lab/test_clab.py has the pings.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from tests.images.machine import Machine, machine
from tests.lab import clab
from tests.lab.clab import Node
from tests.lab.documented import CHECKOUT

pytestmark = pytest.mark.images

TOPOLOGY = clab.read(CHECKOUT / "labs/clab/dualpath.clab.yml")
CONVERGED_S = 90.0


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("needs root: containers in namespaces of their own")
    with machine("dualpath-clab") as found:
        for node in TOPOLOGY.nodes:
            start(found, node)
        for near, far in TOPOLOGY.links:
            words = ["ip", "link", "add", near.interface, "mtu", "9500", "netns"]
            peer = ["type", "veth", "peer", "name", far.interface, "mtu", "9500", "netns"]
            found.run(*words, pid(found, near.node), *peer, pid(found, far.node))
            for end in (near, far):
                found.exec(end.node, "ip", "link", "set", end.interface, "up")
        for node in TOPOLOGY.nodes:
            for command in node.exec:
                found.exec(node.name, *command)
        yield found


def start(here: Machine, node: Node) -> None:
    volumes = [f"--volume={b.source}:{b.target}:ro" for b in node.binds]
    entrypoint = f"--entrypoint={json.dumps(node.command)}"
    options = ["--privileged", "--network=none", f"--hostname={node.name}", entrypoint]
    here.container(node.name, *options, *volumes, node.image)


def pid(here: Machine, name: str) -> str:
    found = here.run("podman", "inspect", "--format={{.State.Pid}}", here.name(name)).stdout.strip()
    assert found != "0", here.logs(name)
    return found


def established(here: Machine) -> set[str]:
    """Return the names of the PEs with which the spine exchanges EVPN routes."""
    command = ("vtysh", "-c", "show bgp l2vpn evpn summary json")
    done = here.exec("spine", *command, check=False)
    peers = json.loads(done.stdout or "{}").get("peers", {})
    return {peer["hostname"] for peer in peers.values() if peer["state"] == "Established"}


def test_fabric_of_the_topology_comes_up(here: Machine) -> None:
    deadline = time.monotonic() + CONVERGED_S
    while established(here) != {"pe1", "pe2"}:
        assert time.monotonic() < deadline, here.logs("pe1") + here.logs("pe2")
        time.sleep(0.5)


@pytest.mark.parametrize("name", ["pe1", "pe2"])
def test_dualpath_answers_in_a_node(here: Machine, name: str) -> None:
    status = json.loads(here.exec(name, "dualpath", "status", "-o", "json").stdout)
    assert status["datapath"]
