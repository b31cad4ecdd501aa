"""The kinds of resource, by name: which there are, which are refused, and how one is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.intent.fields import Spec
from controller.intent.node import Node
from controller.intent.overlay import L2Vni, L3Passthrough, L3Vni, RawFrrConfig
from controller.intent.underlay import Underlay
from controller.model.view import ResourceStatus

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
class Resource(Generic[S_co]):
    """A resource that passed the rules of its kind."""

    kind: str
    name: str
    spec: S_co
    source: str = ""  # where it was read: "pe.yaml:12"
    written: object = field(default=None, compare=False, repr=False)  # the spec, passwords and all

    @property
    def owner(self) -> Owner:
        return self.kind, self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Resources:
    """What the files say: resources that are good by themselves, and those that are not."""

    items: tuple[Resource[Spec], ...] = ()  # in the order of the files; the first of two wins
    rejected: tuple[ResourceStatus, ...] = ()
    node: Node = field(default_factory=Node)
    digests: Mapping[Owner, str] = field(default_factory=dict)  # equal for an equal spec
    empty: bool = True  # there was no document at all


class InvalidSpec(Exception):
    """A spec that breaks a rule of its kind; `path` leads to where."""

    def __init__(self, message: str, path: Sequence[str | int]) -> None:
        super().__init__(message)
        self.path = tuple(path)


def parse(kind: str, spec: object) -> Spec:
    """Check a spec against the rules of its kind. Raises InvalidSpec with one sentence."""
    try:
        return KINDS[kind].model_validate(spec)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError, root: str = "spec") -> InvalidSpec:
    """Return the worst complaint as one sentence; never the value, which may be a secret."""
    found = error.errors(include_url=False, include_input=False)
    details = [d for d in found if not _is_short_of_bad_items(d, found)]
    worst = next((d for d in details if d["type"] == "rule"), details[0])
    where = root + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in worst["loc"])
    said = _SHOULD.sub("must ", worst["msg"]).replace(" after validation", "")
    message = _SENTENCES.get(worst["type"], said)
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return InvalidSpec(f"{where}: {message}{more}", worst["loc"])


def _is_short_of_bad_items(detail: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Say whether a list is too short only because items in it are bad, which is said of them."""
    where = detail["loc"]
    inside = (d["loc"] for d in found if len(d["loc"]) > len(where))
    return detail["type"] == "too_short" and any(loc[: len(where)] == where for loc in inside)


_SHOULD = re.compile(r"^(Input|String|Value|Tuple) should ")
_SENTENCES = {
    "extra_forbidden": "no such field",
    "missing": "required, but missing",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
}
