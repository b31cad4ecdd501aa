"""OpenPERouter's report of a node, as its schema takes it."""

from __future__ import annotations

import pytest

from controller.intent.reasons import Reason
from controller.kubernetes.nodestatus import (
    ALL_WELL,
    KINDS,
    REASONS,
    SOME_FAILED,
    UNDERLAY_INVALID,
    body,
    node_status,
    report_of,
)
from controller.kubernetes.report import rotated
from dualpath.model.view import ResourceStatus

SCHEMA_KINDS = {"Underlay", "L2VNI", "L3VNI", "FrrConfiguration", "L3Passthrough"}
SCHEMA_REASONS = {
    "ValidationFailed",
    "DependencyFailed",
    "OverlayAttachmentFailed",
    "FrrConfigurationFailed",
}
"""The enums of `failedResources` in OpenPERouter's definition."""
KEY = ("openperouter-system", "node-1")


def failed(kind: str, reason: str = "ValidationFailed", message: str = "no") -> ResourceStatus:
    return ResourceStatus(kind, "x", False, reason, message)


def test_all_in_force_is_ready_and_not_degraded() -> None:
    told = node_status([ResourceStatus("L3VNI", "red", True)])
    assert (told.ready, told.reason, told.message) == (True, "ConfigurationSuccessful", ALL_WELL)
    conditions = body(KEY, told, {}, "now")["status"]["conditions"]
    assert [(c["type"], c["status"]) for c in conditions] == [
        ("Ready", "True"),
        ("Degraded", "False"),
    ]
    assert all({"reason", "message", "lastTransitionTime"} <= c.keys() for c in conditions)


def test_only_names_of_the_schema_are_used() -> None:
    assert set(KINDS.values()) == SCHEMA_KINDS
    assert set(REASONS.values()) == SCHEMA_REASONS
    beside = {Reason.CONFIGURATION_SUCCESSFUL, Reason.NOT_IN_FORCE}
    assert {*REASONS} | beside == {*Reason}


def test_an_underlay_that_is_rejected_has_openperouters_words() -> None:
    told = node_status([failed("Underlay", message="CNIDevice is not supported yet")])
    assert (told.reason, told.message) == ("UnderlayFailed", UNDERLAY_INVALID)
    assert told.failed == (("Underlay", "x", "ValidationFailed", "CNIDevice is not supported yet"),)


def test_another_resource_that_fails_has_openperouters_words() -> None:
    told = node_status([failed("RawFRRConfig", "FrrConfigurationFailed"), failed("L2VNI")])
    assert (told.ready, told.reason, told.message) == (False, "ConfigurationFailed", SOME_FAILED)
    assert [kind for kind, *_ in told.failed] == ["FrrConfiguration", "L2VNI"]


@pytest.mark.parametrize("status", [failed("L3VPN"), failed("Manifests"), failed("Manifest")])
def test_what_has_no_kind_of_theirs_is_in_the_conditions(status: ResourceStatus) -> None:
    told = node_status([status])
    assert not told.ready
    assert told.failed == ()
    assert status.kind in told.message


def test_a_problem_of_the_whole_is_told_once_and_is_nobody_s_failure() -> None:
    told = node_status([failed(k, "NotInForce", "FRR does not answer") for k in ("L2VNI", "L3VNI")])
    assert (told.reason, told.message) == ("ConfigurationFailed", "FRR does not answer")
    assert told.failed == ()


def test_messages_and_names_fit_the_schema() -> None:
    long = ResourceStatus("L3VNI", "n" * 300, False, "ValidationFailed", "ä" * 501)
    empty = failed("L2VNI", message="")
    (first, second) = node_status([long, empty]).failed
    assert (len(first[1]), len(first[3])) == (253, 500)
    assert second[3] == "ValidationFailed"
    assert len(node_status([failed("L3VPN", message="x" * 40000)]).message) <= 32768


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    bad, worse = node_status([failed("L2VNI")]), node_status([failed("Underlay")])
    item = {"status": body(KEY, bad, {}, "before")["status"]}
    has, before = report_of(item)
    assert has == bad
    times = [
        c["lastTransitionTime"] for c in body(KEY, worse, before, "now")["status"]["conditions"]
    ]
    assert times == ["before", "before"]
    good = body(KEY, node_status([]), before, "now")["status"]["conditions"]
    assert [c["lastTransitionTime"] for c in good] == ["now", "now"]


@pytest.mark.parametrize(
    "status",
    [
        None,
        {"conditions": "x", "failedResources": 5},
        {"conditions": [5, {"type": "Ready"}]},
        {"conditions": [{"type": "Ready", "status": "True"}], "failedResources": ["x"]},
    ],
)
def test_a_report_that_somebody_spoiled_is_written_again(status: object) -> None:
    assert report_of({"status": status})[0] != node_status([])


def test_every_node_writes_all_rows_and_begins_with_another() -> None:
    rows = list(range(20))
    orders = [rotated(rows, f"worker-{number}") for number in range(50)]
    assert all(sorted(order) == rows for order in orders)
    assert len({order[0] for order in orders}) > 10
    assert rotated([], "worker-0") == []
