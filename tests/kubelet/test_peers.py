"""FRR as MetalLB and BIRD as Calico, as pods that peer with the router by the host leg.

The host across the fabric is the pod "spine". A pod of the cluster is reached from there, and
reaches it, by routes that BGP alone has brought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.images.parts import IMAGE
from tests.kubelet.site import Site
from tests.lab import recipe, rootfs
from tests.lab.machine import CHECKOUT
from tests.pods.fabric import FAR

pytestmark = [pytest.mark.images, pytest.mark.long]

ZEBRA = "11"  # RTPROT_ZEBRA
SERVICE = ("10.30.0.1", "2001:db8:30::1")
FRR = """\
router bgp 65101
 bgp router-id 10.21.0.2
 no bgp ebgp-requires-policy
 neighbor 10.21.0.1 remote-as 65001
 neighbor 10.21.0.1 timers connect 1
 neighbor 2001:db8:21::1 remote-as 65001
 neighbor 2001:db8:21::1 timers connect 1
 address-family ipv4 unicast
  network 10.30.0.1/32
  network 10.244.0.0/24
  no neighbor 2001:db8:21::1 activate
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:30::1/128
  neighbor 2001:db8:21::1 activate
 exit-address-family
exit
"""
BIRD = """\
router id 10.21.0.2;
protocol device {}
protocol direct { ipv4; ipv6; interface "cni0", "lo"; }
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; }
template bgp router {
  local as 65101;
  connect retry time 1;
  connect delay time 1;
  error wait time 1, 2;
}
protocol bgp four from router {
  neighbor 10.21.0.1 as 65001;
  ipv4 { import all; export where net ~ [10.30.0.0/24+, 10.244.0.0/24]; };
}
protocol bgp six from router {
  neighbor 2001:db8:21::1 as 65001;
  ipv6 { import all; export where net ~ [2001:db8:30::/64+]; };
}
"""


def frr(here: Site) -> None:
    here.run_frr("speaker", FRR, hostNetwork=True)


def bird(here: Site) -> None:
    """Run BIRD of the lab's tree in the router's image."""
    trees = rootfs.prepare(recipe.read_project(CHECKOUT / "pyproject.toml"), print)
    script = (
        'printf "%s" "$CONFIGURATION" >/run/bird.conf'
        " && exec bird -f -s /run/bird.ctl -c /run/bird.conf"
    )
    container = {
        "name": "bird",
        "image": IMAGE["router"],
        "command": ["bash", "-c", script],
        "env": [{"name": "CONFIGURATION", "value": BIRD}],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "volumeMounts": [{"name": "usr", "mountPath": "/usr", "readOnly": True}],
    }
    usr: dict[str, Any] = {"name": "usr", "hostPath": {"path": str(trees.system / "usr")}}
    here.run_pod("speaker", container, hostNetwork=True, volumes=[usr])


@contextmanager
def only_bgp(here: Site) -> Iterator[None]:
    """Take the node's own routes to the fabric away for the length of a block."""
    run = here.cluster.here.run
    for far in FAR:
        run("ip", "route", "delete", far)
    try:
        yield
    finally:
        here.cluster.kubectl("delete", "pod", "speaker", "--ignore-not-found")
        # FRR that is killed leaves its routes, which go with their nexthops.
        run("ip", "nexthop", "flush", "proto", ZEBRA)
        here.add_routes()


@pytest.fixture(scope="module")
def address(here: Site) -> Iterator[str]:
    """Return the address of a pod; the node also has addresses as of a Service."""
    run = here.cluster.here.run
    for service in SERVICE:
        run("ip", "address", "add", service, "dev", "lo")
    container = {"name": "idle", "image": IMAGE["router"], "command": ["sleep", "infinity"]}
    yield here.run_pod("client", container)["status"]["podIP"]
    here.cluster.kubectl("delete", "pod", "client")
    for service in SERVICE:
        run("ip", "address", "delete", service, "dev", "lo")


@pytest.mark.parametrize("speaker", [frr, bird])
def test_pods_and_services_are_reached_across_the_fabric(
    here: Site, address: str, speaker: Callable[[Site], None]
) -> None:
    def pings(pod: str, to: str, source: str) -> Callable[[], bool]:
        command = ("exec", pod, "--", "ping", "-c1", "-W1", "-I", source, to)
        return lambda: here.cluster.succeeds(*command)

    ways = [("spine", service, far) for service, far in zip(SERVICE, FAR, strict=True)]
    ways += [("spine", address, FAR[0]), ("client", FAR[0], address)]
    with only_bgp(here):
        speaker(here)
        for way in ways:
            here.cluster.until(pings(*way), f"no answer: {way}")
        here.cluster.kubectl("delete", "pod", "speaker")
        here.cluster.until(lambda: not pings(*ways[0])(), "a route outlived its speaker")
