"""labs/clab in this lab: the file that containerlab reads, with real FRR and real pings.

The commands are those of docs/LABS.md, with `docker exec` done by the lab.
"""

import shlex
from collections.abc import Iterator

import pytest

from tests.lab import clab
from tests.lab.clab import Topology
from tests.lab.containers import Container, deployed
from tests.lab.documented import CHECKOUT, CLAB, NOT_RUN, block
from tests.lab.ping import flows
from tests.lab.processes import CommandFailed
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

TOPOLOGY = CHECKOUT / "labs/clab/dualpath.clab.yml"
CONVERGED_S = 480.0  # watchfrr begins anew on a machine that is too busy
FRR_IS_BACK_S = 180.0

Nodes = dict[str, Container]


@pytest.fixture(scope="module")
def topology() -> Topology:
    return clab.read(TOPOLOGY)


@pytest.fixture
def nodes(lab: Scenario, topology: Topology) -> Iterator[Nodes]:
    with deployed(lab, topology) as found:
        yield found


def documented(first: str, topology: Topology) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a block of docs/LABS.md, and the node that runs it."""
    (key,) = [key for key, why in NOT_RUN.items() if why == CLAB and first in key[1]]
    for line in block(key).commands.splitlines():
        docker, verb, container, *command = shlex.split(line)
        assert (docker, verb) == ("docker", "exec")
        yield container.removeprefix(f"clab-{topology.name}-"), command


def answers(node: Container, target: str) -> bool:
    try:
        node.run("ping", "-n", "-q", "-c", "1", "-W", "1", target)
    except CommandFailed:
        return False
    return True


def wait_for_answer(node: Container, target: str) -> None:
    wait_until(lambda: answers(node, target), f"{node.node.name}: {target}", CONVERGED_S, 0.5)


def test_topology_of_containerlab_forwards_while_frr_is_killed(
    nodes: Nodes, topology: Topology
) -> None:
    host1 = nodes["host1"]
    look = list(documented("ping -c 3", topology))
    targets = [command[-1] for _, command in look if command[0] == "ping"]
    assert len(targets) == 4  # both segments, both families
    for target in targets:
        wait_for_answer(host1, target)
    wait_until(lambda: live(nodes["pe1"]), "pe1 is live", CONVERGED_S, 1.0)
    kill, status = documented("kill -9", topology)
    with flows(*((host1.namespace, target) for target in targets)) as results:
        before = daemons(nodes["pe1"])
        nodes[kill[0]].run(*kill[1])
        wait_until(lambda: daemons(nodes["pe1"]) - before, "FRR is back", FRR_IS_BACK_S, 0.5)
        wait_until(lambda: live(nodes["pe1"]), "pe1 is live again", CONVERGED_S, 1.0)
    assert [result.lost for result in results] == [0] * len(targets), results
    assert nodes[status[0]].run(*status[1])

    printed = {
        (name, *command[:2]): nodes[name].run(*command, timeout_s=120.0) for name, command in look
    }
    assert "10.120.0.0/24" in printed["pe1", "dualpath", "routes"]
    assert "via 100.64.0.2 vni 100" in printed["pe1", "dualpath", "routes"]
    assert "Total number of neighbors 2" in printed["spine", "vtysh", "-c"]


def live(node: Container) -> bool:
    """Return whether the node is ready, and its FPM session is live."""
    shown = dict(
        line.split(maxsplit=1)
        for line in node.run("dualpath", "status").splitlines()
        if " " in line
    )
    return shown.get("ready") == "yes" and shown.get("session", "").endswith("live")


def daemons(node: Container) -> set[str]:
    """Return the process ids of bgpd and zebra; none where one is missing."""
    try:
        return set(node.run("bash", "-c", "pidof bgpd && pidof zebra").split())
    except CommandFailed:
        return set()
