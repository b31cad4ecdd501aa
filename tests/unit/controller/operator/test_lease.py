"""Who may take a Lease, and until when its holder leads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controller.operator import LEASE_S, LONGEST_LEASE_S, lease
from controller.operator.lease import Lease, Seen

AT = datetime(2026, 11, 30, 12, 0, 0, 250000, UTC)


def item(version: str = "7", **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"metadata": {"name": "l", "resourceVersion": version}, "spec": spec}


def test_a_lease_that_does_not_exist_can_be_taken_at_once() -> None:
    assert lease.wait_s(lease.see(Seen(), None, 100.0), "a", 100.0) == 0


def test_a_candidate_waits_from_the_last_change_that_it_saw() -> None:
    seen = lease.see(Seen(), item(holderIdentity="b", leaseDurationSeconds=15), 100.0)
    assert lease.wait_s(seen, "a", 104.0) == 11.0
    same = lease.see(seen, item(holderIdentity="b", leaseDurationSeconds=15), 104.0)
    assert lease.wait_s(same, "a", 104.0) == 11.0
    renewed = lease.see(seen, item("8", holderIdentity="b", leaseDurationSeconds=15), 104.0)
    assert lease.wait_s(renewed, "a", 104.0) == 15.0
    assert lease.wait_s(renewed, "a", 119.0) == 0


def test_the_times_in_a_lease_are_not_compared_with_any_clock() -> None:
    old = item(holderIdentity="b", leaseDurationSeconds=15, renewTime="1970-01-01T00:00:00Z")
    assert lease.wait_s(lease.see(Seen(), old, 5.0), "a", 5.0) == 15.0


def test_the_holder_and_anybody_after_a_release_wait_for_nothing() -> None:
    held = lease.see(Seen(), item(holderIdentity="a"), 1.0)
    assert lease.wait_s(held, "a", 1.0) == 0
    free = lease.see(Seen(), item(holderIdentity=""), 1.0)
    assert lease.wait_s(free, "b", 1.0) == 0


def test_a_leader_stops_before_a_candidate_that_saw_its_request_at_once_may_begin() -> None:
    sent_s = 50.0
    assert lease.leads_until(sent_s, LEASE_S) < sent_s + LEASE_S - lease.RENEW_S


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"holderIdentity": 5, "leaseDurationSeconds": "x", "leaseTransitions": -1},
        {"holderIdentity": None, "leaseDurationSeconds": 0, "leaseTransitions": True},
        {"leaseDurationSeconds": -3},
    ],
)
def test_nonsense_in_a_lease_is_as_if_it_were_absent(spec: dict[str, Any]) -> None:
    assert lease.read(item(**spec)) == Lease(version="7")


def test_a_lease_of_years_keeps_nobody_out_for_years() -> None:
    found = lease.read(item(holderIdentity="b", leaseDurationSeconds=10**9))
    assert found.duration_s == LONGEST_LEASE_S


def test_taking_a_lease_counts_a_transition_and_renewing_it_does_not() -> None:
    before = Lease("b", 15, 3, "7")
    taken = lease.body("ns", "l", before, "a", 15, AT)
    assert taken["metadata"] == {"namespace": "ns", "name": "l", "resourceVersion": "7"}
    assert taken["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 4,
        "acquireTime": "2026-11-30T12:00:00.250000Z",
        "renewTime": "2026-11-30T12:00:00.250000Z",
    }
    renewed = lease.body("ns", "l", Lease("a", 15, 4, "8"), "a", 15, AT)["spec"]
    assert renewed["leaseTransitions"] == 4
    assert "acquireTime" not in renewed


def test_a_new_lease_has_no_version_to_compare() -> None:
    made = lease.body("ns", "l", Lease(), "a", 15, AT)
    assert "resourceVersion" not in made["metadata"]
    assert made["spec"]["leaseTransitions"] == 0


def test_a_released_lease_names_nobody() -> None:
    spec = lease.released("ns", "l", Lease("a", 15, 4, "8"), AT)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)
