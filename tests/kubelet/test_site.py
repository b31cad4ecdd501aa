"""Dualpath in a whole Kubernetes: its pods run with its roles, and no packet depends on them."""

from __future__ import annotations

import pytest

from tests.kubelet.cluster import NODES, KubectlError, is_true
from tests.kubelet.site import KINDS, NAMESPACE, PARTS, Site

pytestmark = [pytest.mark.images, pytest.mark.long]

NODE_AGENT = f"system:serviceaccount:{NAMESPACE}:dualpath"


@pytest.mark.parametrize("name", PARTS)
def test_no_pod_of_the_chart_was_started_twice(here: Site, name: str) -> None:
    statuses = [status for pod in here.pods(name) for status in pod["status"]["containerStatuses"]]
    assert [status["restartCount"] for status in statuses] == [0] * len(statuses)


@pytest.mark.parametrize("name", PARTS)
def test_roles_of_the_chart_suffice(here: Site, name: str) -> None:
    for pod in here.pods(name):
        logs = here.logs(pod)
        assert "forbidden" not in logs.lower()
        assert "(403)" not in logs


@pytest.mark.parametrize(
    ("verb", "what"), [("delete", "nodes"), ("patch", "nodes"), ("list", "pods"), ("get", "leases")]
)
def test_node_agent_has_no_other_rights(here: Site, verb: str, what: str) -> None:
    asked = ("auth", "can-i", verb, what, f"--namespace={NAMESPACE}", f"--as={NODE_AGENT}")
    with pytest.raises(KubectlError):
        here.cluster.kubectl(*asked)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_ready_by_node_and_operator(here: Site, kind: str) -> None:
    def ready() -> bool:
        found = here.cluster.get(kind, f"--namespace={NAMESPACE}")["items"]
        rows = [row for each in found for row in each.get("status", {}).get("nodes", ())]
        if not all(is_true("Ready", each) for each in found):
            return False
        return sorted((row["name"], row["ready"]) for row in rows) == [(n, True) for n in NODES]

    here.cluster.until(ready, f"{kind} are not Ready")


def test_objects_of_both_groups_are_listed_by_their_category(here: Site) -> None:
    """The name of a kind alone means group dualpath.io, which comes first."""
    assert not here.cluster.get("underlays", "-A")["items"]
    names = {item["metadata"]["name"] for item in here.cluster.get("dualpath", "-A")["items"]}
    assert names == {f"{name}-{n}" for name in ("fabric", "host") for n in range(1, len(NODES) + 1)}


def test_api_server_asks_the_operator_about_a_change(here: Site) -> None:
    wrong = here.cluster.get(KINDS[1], f"--namespace={NAMESPACE}")["items"][0]
    wrong["metadata"] = {"name": "second", "namespace": NAMESPACE}
    with pytest.raises(KubectlError, match="a node can have one L3Passthrough only"):
        here.cluster.apply([wrong])


def test_pod_of_the_router_is_deleted_without_a_lost_packet(here: Site) -> None:
    with here.no_packet_lost():
        before = here.pod("dualpath-router")
        here.delete(before)
        here.wait_for("dualpath-router", but=frozenset({before["metadata"]["uid"]}))
        here.wait_for("dualpath")


def test_container_of_the_router_is_killed_without_a_lost_packet(here: Site) -> None:
    """As the kernel kills it when it takes too much memory; kubelet starts it again."""
    with here.no_packet_lost():
        here.cluster.here.run("kill", "-KILL", here.cluster.pid_of(here.pod("dualpath-router")))
        here.cluster.until(
            lambda: here.pod("dualpath-router")["status"]["containerStatuses"][0]["restartCount"],
            "kubelet did not start the router again",
        )
        here.wait_for("dualpath-router", "dualpath")


def test_pod_of_the_controller_is_deleted_without_a_lost_packet(here: Site) -> None:
    with here.no_packet_lost():
        before = here.pod("dualpath")
        here.delete(before)
        here.wait_for("dualpath", but=frozenset({before["metadata"]["uid"]}))
    assert here.is_node_ready()
