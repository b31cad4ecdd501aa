"""Upgrades of the chart and work on a node, under pings through both nodes."""

from __future__ import annotations

import pytest

from tests.kubelet.cluster import NODES, KubectlError, is_true
from tests.kubelet.site import NAMESPACE, PARTS, Site

pytestmark = [pytest.mark.images, pytest.mark.long]

LAST_GOOD = "FRR starts with the last good configuration"
"""The pods of router and controller are replaced at once, and neither waits for the other."""

WITHIN = f"--namespace={NAMESPACE}"


def has_failed(here: Site) -> bool:
    statuses = [
        status
        for pod in here.pods("dualpath")
        for status in pod["status"].get("containerStatuses", ())
    ]
    return any(status["restartCount"] > 1 for status in statuses)


def test_wrong_version_stops_at_the_first_node_without_a_lost_packet(here: Site) -> None:
    before = here.uids("dualpath")
    with here.no_packet_lost():
        here.install("controller.extraArgs={--no-such-option}")
        here.cluster.until(lambda: has_failed(here), "the wrong version runs")
        status = ("rollout", "status", "daemonset/dualpath", WITHIN, "--timeout=20s")
        with pytest.raises(KubectlError, match="timed out"):
            here.cluster.kubectl(*status)
        kept = before & here.uids("dualpath")
        assert len(kept) == len(NODES) - 1
        here.cluster.kubectl("rollout", "undo", "daemonset/dualpath", WITHIN)
        here.cluster.until(
            lambda: here.are_ready("dualpath") and not has_failed(here), "it was not undone"
        )
        assert kept <= here.uids("dualpath")
    for node in NODES:
        assert here.is_node_ready(node)


@pytest.mark.skipif(len(NODES) < 2, reason="needs a node for what is drained")
def test_drained_node_keeps_its_router(here: Site) -> None:
    node = NODES[-1]
    kept = here.uids("dualpath", "dualpath-router")
    with here.no_packet_lost():
        options = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=100s")
        here.cluster.kubectl("drain", node, *options)
        operators = here.pods("dualpath-operator")
        assert not any(pod["spec"].get("nodeName") == node for pod in operators)
        here.cluster.kubectl("uncordon", node)
        here.wait_for("dualpath-operator")
    assert kept == here.uids("dualpath", "dualpath-router")
    assert is_true("Ready", here.cluster.get("node", node))


def test_next_version_reaches_node_after_node_without_a_lost_packet(here: Site) -> None:
    """The images have another tag, as those of a release, so every pod of the chart is replaced."""
    before = here.uids(*PARTS)
    with here.no_packet_lost():
        here.release("next")
        here.install("image.tag=next")
        here.wait_for(*PARTS, but=before)
    for node in NODES:
        assert here.is_node_ready(node)
        assert LAST_GOOD in here.logs(here.pod("dualpath-router", node))
    images = {pod["spec"]["containers"][0]["image"] for part in PARTS for pod in here.pods(part)}
    assert {image.rpartition(":")[2] for image in images} == {"next"}
