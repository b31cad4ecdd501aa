"""A failure changes the status of its own resource and of no other."""

from __future__ import annotations

import pytest

from controller.intent.layout import Intent
from controller.intent.remarks import EXPERIMENT
from controller.intent.schema import OUR_GROUP
from controller.intent.verdicts import Outcome, blamed, in_force, verdicts
from dualpath.model.kinds import Kind
from dualpath.model.view import ResourceStatus
from tests.unit.controller.intent.build import intent, manifest, session, underlay
from tests.unit.controller.intent.rulebook import rule

BLUE = manifest(
    "L3VNI", "blue", vrf="azure", vni=200, hostSession=session(localCIDR={"ipv4": "10.101.0.0/24"})
)
ALL = intent(
    underlay(),
    manifest("L3VNI", "red"),
    BLUE,
    manifest("L2VNI", "segment"),
    manifest("RawFRRConfig", "mine"),
)


def reasons(result: Intent, outcome: Outcome) -> dict[str, str]:
    return {s.name: s.reason for s in verdicts(result, outcome) if not s.ready}


@rule("L2VNI.routingDomain.missing", "Layout.failure", "Status.reasons")
def test_failed_device_fails_its_resource_and_its_dependants() -> None:
    outcome = Outcome()
    outcome.blame(Kind.VRF, "red", "EOPNOTSUPP: no VRF devices")
    assert reasons(ALL, outcome) == {
        "red": "OverlayAttachmentFailed",
        "segment": "DependencyFailed",
    }
    messages = {s.name: s.message for s in verdicts(ALL, outcome)}
    assert messages["red"] == "VRF red: EOPNOTSUPP: no VRF devices"
    assert messages["segment"] == "L3VNI red: VRF red: EOPNOTSUPP: no VRF devices"


@rule("Manifest.isolation", "Layout.failure")
def test_failed_leg_fails_its_own_resource_only() -> None:
    outcome = Outcome()
    outcome.blame(Kind.PORT, "pe-e-110", "ENOENT: there is no bridge br0")
    outcome.blame(Kind.PORT, "pe-e-110", "something that came of it")
    assert reasons(ALL, outcome) == {"segment": "OverlayAttachmentFailed"}
    assert outcome.failed
    assert not outcome.problem


@rule("Layout.failure", "Status.reasons")
def test_failed_nic_fails_the_underlay() -> None:
    outcome = Outcome()
    outcome.blame(Kind.PORT, "eth1", "ENODEV")
    assert reasons(ALL, outcome) == {"underlay": "UnderlayFailed"}


def test_failed_removal_of_a_device_fails_no_resource() -> None:
    outcome = Outcome()
    outcome.blame(Kind.PORT, "eth9", "EEXIST: cannot give it back")
    assert reasons(ALL, outcome) == {}


def test_general_problem_is_the_reason_of_every_resource_without_its_own() -> None:
    outcome = Outcome("frr-bridge is not there")
    outcome.blame(Kind.PORT, "pe-e-110", "ENOENT")
    assert set(reasons(ALL, outcome).values()) == {"NotInForce", "OverlayAttachmentFailed"}


@rule("Status.reasons")
def test_frr_error_is_reported_for_its_resource() -> None:
    refused = Outcome(frr={("RawFRRConfig", "mine"): "unknown command"})
    assert reasons(ALL, refused) == {"mine": "FrrConfigurationFailed"}
    remarked = Outcome(remarks={("RawFRRConfig", "mine"): "spelt differently"})
    (mine,) = (s for s in verdicts(ALL, remarked) if s.name == "mine")
    assert (mine.ready, mine.message) == (True, f"{EXPERIMENT}; spelt differently")
    underlay = Outcome(remarks={("Underlay", "underlay"): "spelt differently"})
    assert verdicts(ALL, underlay)[0].message == "spelt differently"


@pytest.mark.parametrize(
    ("section", "owner"),
    [
        ("", None),
        ("vrf azure", ("L3VNI", "blue")),
        ("vrf nowhere", None),
        ("RawFRRConfig mine", ("RawFRRConfig", "mine")),
        ("router bgp", ("Underlay", "underlay")),
    ],
)
def test_section_of_frr_conf_belongs_to_its_resource(section: str, owner: object) -> None:
    assert blamed(ALL, section) == owner


@rule("Status.generation")
def test_generation_stays_in_force_until_the_next_one_is() -> None:
    def status(name: str, ready: bool, generation: int) -> ResourceStatus:
        return ResourceStatus("L3VNI", name, ready, generation=generation)

    first = in_force([status("red", True, 1), status("blue", False, 1)], {})
    assert first == {("L3VNI", "red"): 1, ("L3VNI", "blue"): 0}
    assert in_force([status("red", False, 2)], first) == {("L3VNI", "red"): 1}


@rule("Underlay.datapath")
def test_the_underlay_is_not_in_force_until_its_datapath_forwards() -> None:
    named = intent(underlay(datapath="dpdk"), manifest("L3VNI", "red"))
    assert (named.datapath, named.datapath_owner) == ("dpdk", ("Underlay", "underlay"))
    (found,) = [s for s in verdicts(named, Outcome(), "switching to dpdk: begins") if not s.ready]
    assert (found.owner, found.reason) == (named.datapath_owner, "NotInForce")
    assert found.message == "switching to dpdk: begins"
    assert all(s.ready for s in verdicts(named, Outcome()))
    assert not intent(underlay()).datapath


@rule("Node.datapath", "Underlay.datapath")
def test_the_datapath_of_the_node_wins_and_has_a_status_of_its_own() -> None:
    node = {"apiVersion": OUR_GROUP, "kind": "Node", "metadata": {"name": "pe1"}}
    named = intent({**node, "spec": {"datapath": "kernel"}}, underlay(datapath="dpdk"))
    assert (named.datapath, named.datapath_owner) == ("kernel", ("Node", "pe1"))
    bad = [s.owner for s in verdicts(named, Outcome(), "switching to kernel") if not s.ready]
    assert bad == [("Node", "pe1")]


def test_a_rejected_underlay_keeps_its_own_reason_during_a_switch() -> None:
    named = intent(underlay(datapath="dpdk"))
    outcome = Outcome(problem="FRR does not answer")
    assert {s.message for s in verdicts(named, outcome, "switching to dpdk")} == {
        "FRR does not answer"
    }
