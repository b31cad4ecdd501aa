"""Derives the status of each resource from its devices and from frr.conf. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.intent.layout import DeviceKey, Intent
from controller.intent.reasons import Reason
from controller.intent.schema import Owner
from dualpath.model.kinds import Kind
from dualpath.model.links import Vni
from dualpath.model.view import ResourceStatus


@dataclass(slots=True)
class Outcome:
    """The result of one round."""

    problem: str = ""  # the reason why the whole intent is not in force
    devices: dict[DeviceKey, str] = field(default_factory=dict)  # devices that failed, and why
    frr: dict[Owner, str] = field(default_factory=dict)  # FRR's errors, by resource
    remarks: dict[Owner, str] = field(default_factory=dict)  # FRR's warnings, by resource

    @property
    def failed(self) -> bool:
        return bool(self.problem or self.devices or self.frr)

    def blame(self, kind: Kind, key: object, why: str) -> None:
        """Note why a device failed; the first reason stays."""
        self.devices.setdefault((kind, key), why)


def blamed(intent: Intent, section: str) -> Owner | None:
    """Return the resource that a section of frr.conf comes from."""
    kind, _, name = section.partition(" ")
    if kind == "RawFRRConfig":
        return kind, name
    if kind == "vrf":
        return intent.owners.get((Kind.VRF, name))
    return next((o for o in intent.owners.values() if o[0] == "Underlay"), None) if kind else None


def verdicts(intent: Intent, outcome: Outcome, switching: str = "") -> list[ResourceStatus]:
    """Return the current status of every resource, without the generations in force.

    `switching` is why the datapath that the manifests name does not forward yet.
    """
    failed = _failed_owners(intent, outcome)
    found = [_verdict(status, failed, outcome) for status in intent.statuses]
    if not switching:
        return found
    return [_unswitched(s, switching) if s.owner == intent.datapath_owner else s for s in found]


def in_force(statuses: Sequence[ResourceStatus], before: Mapping[Owner, int]) -> dict[Owner, int]:
    """Return the generation of each resource that is in force, given those before."""
    return {s.owner: s.generation if s.ready else before.get(s.owner, 0) for s in statuses}


def _verdict(
    status: ResourceStatus, failed: Mapping[Owner, tuple[Reason, str]], outcome: Outcome
) -> ResourceStatus:
    if not status.ready:
        return status
    if status.owner in failed:
        reason, message = failed[status.owner]
        return replace(status, ready=False, reason=reason, message=message)
    if outcome.problem:
        return replace(status, ready=False, reason=Reason.NOT_IN_FORCE, message=outcome.problem)
    if remark := outcome.remarks.get(status.owner):
        return replace(status, message=f"{status.message}; {remark}".removeprefix("; "))
    return status


def _unswitched(status: ResourceStatus, why: str) -> ResourceStatus:
    if not status.ready:
        return status
    return replace(status, ready=False, reason=Reason.NOT_IN_FORCE, message=why)


def _failed_owners(intent: Intent, outcome: Outcome) -> dict[Owner, tuple[Reason, str]]:
    failed = {owner: (Reason.FRR_CONFIGURATION_FAILED, why) for owner, why in outcome.frr.items()}
    for key, why in outcome.devices.items():
        if owner := intent.owners.get(key):
            reason = (
                Reason.UNDERLAY_FAILED
                if owner[0] == "Underlay"
                else Reason.OVERLAY_ATTACHMENT_FAILED
            )
            failed.setdefault(owner, (reason, f"{_named(key)}: {why}"))
    for owner, domain in _dependants(intent, outcome):
        if domain in failed and owner != domain:
            failed[owner] = (
                Reason.DEPENDENCY_FAILED,
                f"{domain[0]} {domain[1]}: {failed[domain][1]}",
            )
    return failed


def _dependants(intent: Intent, outcome: Outcome) -> Iterator[tuple[Owner, Owner]]:
    """Yield the resource of every VNI in a VRF, with the resource of that VRF.

    A VRF without an L3VNI belongs to its first L2VNI; the others depend on that device only.
    """
    for vni in intent.vnis:
        key = (Kind.VRF, vni.vrf)
        owner, domain = _owner(intent, vni), intent.owners.get(key)
        if owner and domain and (domain[0] != "L2VNI" or key in outcome.devices):
            yield owner, domain


def _owner(intent: Intent, vni: Vni) -> Owner | None:
    return intent.owners.get((vni.kind, vni.key))


def _named(key: DeviceKey) -> str:
    kind, name = key
    return str(name) if kind is Kind.PORT else f"{kind.name} {name}"
