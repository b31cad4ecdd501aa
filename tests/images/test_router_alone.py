"""A router that starts while no controller runs, behind an FRR that keeps its routes for a while.

machine: host leg 10.21.0.1 -- [forwarding namespace] -- eth1 ==== pe1 | spine, 10.9.0.1
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.images import parts
from tests.images.machine import Machine, machine
from tests.images.parts import IMAGE
from tests.pods import fabric
from tests.pods.fabric import FAR, PLAIN_FRR
from tests.pods.flows import no_packet_lost
from tests.pods.waiting import until

pytestmark = pytest.mark.images

READY_S = 90.0
RESTART_S = 30
"""How long the spine keeps routes: a controller needs longer to come back."""
NETWORK = f"""
ip netns add spine
{fabric.cables("ip -n spine", "spine")}
ip link set cable1 name eth1
{fabric.uplink(1)}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A node, and a spine without Dualpath."""

    here: Machine

    @property
    def name(self) -> str:
        return "machine"

    def inside(self, *argv: str) -> list[str]:
        return self.here.inside(*argv)

    def start_controller(self, name: str) -> None:
        self.here.container(name, *parts.controller("/run/config"))

    def start_router(self, name: str) -> None:
        self.here.container(name, *parts.router())

    def kill(self, name: str) -> None:
        self.here.podman("kill", name)
        self.here.run("podman", "rm", self.here.name(name))

    def vtysh(self, container: str, command: str) -> Any:  # noqa: ANN401 - JSON
        done = self.here.exec(container, "vtysh", "-c", f"{command} json", check=False)
        return json.loads(done.stdout or "{}")

    def has_fresh_routes(self) -> bool:
        """Tell whether the spine has the node's routes, and not only keeps them."""
        return all(map(self._is_fresh, ("ipv4 unicast 10.21.0.3", "ipv6 unicast 2001:db8:21::3")))

    def _is_fresh(self, route: str) -> bool:
        paths = self.vtysh("spine", f"show bgp {route}").get("paths", ())
        return bool(paths) and not any(path.get("stale") for path in paths)

    def is_ready(self, controller: str) -> bool:
        done = self.here.exec(controller, "dualpath", "status", "-o", "json", check=False)
        return bool(json.loads(done.stdout or "{}").get("ready"))

    def said(self) -> str:
        names = self.here.containers()
        return "\n".join(f"== {name}\n{self.here.logs(name)[-3000:]}" for name in names)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("needs root: containers in namespaces of their own")
    with machine("dualpath-alone") as here:
        found = Site(here)
        here.run("sh", "-ec", NETWORK)
        objects = fabric.objects(1)
        objects[0]["spec"]["gracefulRestart"]["restartTimeSeconds"] = RESTART_S
        manifests = yaml.safe_dump_all([fabric.node_manifest(1), *objects])
        here.run("sh", "-ec", f"cat >/run/config/node.yaml <<'EOF'\n{manifests}\nEOF")
        spine = ["--network=ns:/run/netns/spine", f"--env=CONFIGURATION={fabric.spine()}"]
        rights = [f"--cap-add={each}" for each in ("NET_ADMIN", "SYS_ADMIN", "NET_RAW")]
        command = ["--entrypoint=bash", IMAGE["router"], "-c", PLAIN_FRR]
        here.container("spine", *spine, *rights, *command)
        found.start_router("router")
        found.start_controller("controller")
        until(lambda: found.is_ready("controller"), found.said, READY_S)
        for far, leg in zip(FAR, fabric.legs(1), strict=True):
            here.run("ip", "route", "replace", far, "via", leg)
        until(lambda: all(reaches(here, far) for far in FAR), found.said, READY_S)
        until(found.has_fresh_routes, found.said, READY_S)
        yield found


def reaches(here: Machine, far: str) -> bool:
    return here.run("ping", "-c1", "-W1", far, check=False).returncode == 0


def test_router_that_starts_without_a_controller_costs_no_packet(site: Site) -> None:
    """As when kubelet replaces both pods, and needs minutes for that of the controller."""
    with no_packet_lost([site], FAR, site.said):
        site.kill("controller")
        site.kill("router")
        gone = time.monotonic()
        site.start_router("router-2")
        until(site.has_fresh_routes, site.said, RESTART_S)
        until(lambda: time.monotonic() > gone + RESTART_S + 5, site.said, READY_S)
        assert site.has_fresh_routes()
        site.start_controller("controller-2")
        until(lambda: site.is_ready("controller-2"), site.said, READY_S)
    assert "FRR starts with the last good configuration" in site.here.logs("router-2")
    assert "FRR's configuration was already in force" in site.here.logs("controller-2")
