"""FRR in its pod's own namespace, and back, under pings through both nodes."""

from __future__ import annotations

import json

import pytest

from tests.kubelet.cluster import NODES
from tests.kubelet.site import NAMESPACE, NODE_PARTS, Pod, Site

pytestmark = [pytest.mark.images, pytest.mark.long]


def devices(here: Site, pod: Pod) -> set[str]:
    """Return the devices that FRR has in its pod."""
    name = pod["metadata"]["name"]
    command = ("exec", f"--namespace={NAMESPACE}", name, "--", "ip", "-json", "link")
    return {link["ifname"] for link in json.loads(here.cluster.kubectl(*command))}


def test_frr_moves_into_its_pods_namespace_without_a_lost_packet(here: Site) -> None:
    """The pods are found by CRI and get the twins of NICs while they run."""
    with here.no_packet_lost():
        before = here.uids(*NODE_PARTS)
        here.install("router.hostNetwork=false")
        here.wait_for(*NODE_PARTS, but=before)
        for node in NODES:
            assert {"eth0", "eth1"} <= devices(here, here.pod("dualpath-router", node))


def test_frr_moves_back_without_a_lost_packet_or_a_start_in_vain(here: Site) -> None:
    with here.no_packet_lost():
        before = here.uids(*NODE_PARTS)
        here.install()
        here.wait_for(*NODE_PARTS, but=before)
    restarts = [
        status["restartCount"]
        for name in NODE_PARTS
        for pod in here.pods(name)
        for status in pod["status"]["containerStatuses"]
    ]
    assert restarts == [0] * len(restarts)
