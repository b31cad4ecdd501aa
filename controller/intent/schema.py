"""The kinds of resources: supported and refused ones, and the check of a spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from pydantic import ValidationError

from controller.intent.documents import Document
from controller.intent.fields import Spec
from controller.intent.node import Node
from controller.intent.overlay import L2Vni, L3Passthrough, L3Vni, RawFrrConfig
from controller.intent.reasons import Reason
from controller.intent.rules import Complaint, complaints_of
from controller.intent.underlay import Underlay
from dualpath.model.view import ResourceStatus
from dualpath.model.violation import Violation

GROUP = "network.openperouter.io/v1alpha1"
OLD_GROUP = "openpe.openperouter.github.io/v1alpha1"
OUR_GROUP = "dualpath.io/v1alpha1"

KINDS: Mapping[str, type[Spec]] = {
    "Underlay": Underlay,
    "L3VNI": L3Vni,
    "L2VNI": L2Vni,
    "L3Passthrough": L3Passthrough,
    "RawFRRConfig": RawFrrConfig,
}

REFUSED_KINDS: Mapping[str, str] = {
    "L3VPN": "L3VPN (SRv6) is not supported yet; use an L3VNI",
    "OpenPERouter": "OpenPERouter is the configuration of an operator that does not run here",
    "RouterNodeConfigurationStatus": "RouterNodeConfigurationStatus is a report, not intent",
    "UnderlayNodeStatus": "UnderlayNodeStatus is a report, not intent",
}

Owner = tuple[str, str]
"""The kind and the name of a resource."""

S_co = TypeVar("S_co", bound=Spec, covariant=True)


@dataclass(frozen=True, slots=True)
class Origin:
    """The position of a spec: its document, and its path in the document."""

    document: Document
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Resource(Generic[S_co]):
    """A resource that passed the rules of its kind."""

    kind: str
    name: str
    spec: S_co
    source: str = ""  # where it was read: "pe.yaml:12"
    written: object = field(default=None, compare=False, repr=False)  # the spec, with passwords
    origin: Origin | None = field(default=None, compare=False, repr=False)
    namespace: str = field(default="", compare=False)  # of Kubernetes; "" is none

    @property
    def given_name(self) -> str:
        """The name without the namespace: other resources refer to it by this."""
        return self.name.rpartition("/")[2]

    @property
    def owner(self) -> Owner:
        return self.kind, self.name

    def violation(self, complaint: Complaint) -> Violation:
        """Return a complaint about a part of the spec, with its position."""
        if self.origin is None:
            return Violation(
                kind=self.kind,
                name=self.name,
                message=complaint.message,
                suggestion=complaint.suggestion,
            )
        document, path = self.origin.document, self.origin.path
        return document.violation(complaint, path, self.kind, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Resources:
    """The contents of the files: resources that are valid by themselves, and rejected ones."""

    items: tuple[Resource[Spec], ...] = ()  # in the order of the files; the first of two wins
    rejected: tuple[ResourceStatus, ...] = ()
    partial: tuple[Resource[Spec], ...] = ()  # of the rejected, with the valid fields only
    node: Node = field(default_factory=Node)
    digests: Mapping[Owner, str] = field(default_factory=dict)  # equal for equal specs
    empty: bool = True  # no document was found


class InvalidSpec(Exception):
    """A spec that breaks rules of its kind; `complaints` has all of them.

    `partial` has only the valid fields; reading another one raises AttributeError.
    """

    def __init__(self, complaints: Sequence[Complaint], partial: Spec | None) -> None:
        super().__init__("; ".join(c.message for c in complaints))
        self.complaints = tuple(complaints)
        self.partial = partial


def parse(kind: str, spec: object) -> Spec:
    """Check a spec against the rules of its kind. Raises InvalidSpec."""
    model = KINDS[kind]
    try:
        return model.model_validate(spec)
    except ValidationError as error:
        partial = model.salvaged(spec) if isinstance(spec, dict) else None
        raise InvalidSpec(complaints_of(error), partial) from None


def rejected(
    kind: str, name: str, violations: Sequence[Violation], reason: Reason = Reason.VALIDATION_FAILED
) -> ResourceStatus:
    """Return the status of a resource that breaks rules."""
    return ResourceStatus(
        kind, name, False, reason, _message(violations), violations=_sorted(violations)
    )


def also_rejected(status: ResourceStatus, violations: Sequence[Violation]) -> ResourceStatus:
    """Return the status of a rejected resource with further errors."""
    new = [v for v in violations if v not in status.violations]
    if not new:
        return status
    message = f"{_message(new)}; {status.message}"
    return replace(status, message=message, violations=_sorted((*status.violations, *new)))


def _message(violations: Sequence[Violation]) -> str:
    sentences = (
        f"{v.sentence} ({v.place})" if v.place else v.sentence for v in _sorted(violations)
    )
    return "; ".join(sentences)


def _sorted(violations: Sequence[Violation]) -> tuple[Violation, ...]:
    return tuple(sorted(violations, key=lambda v: (v.file, v.line, v.column)))
