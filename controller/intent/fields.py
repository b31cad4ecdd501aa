"""Field types of the resource models, and the parts that every model has. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from controller.intent.rules import Complaint, Strict, refusal, rule


def _route_target(value: str) -> str:
    """Check a route target: 2 bytes of AS and 4 of number, or 4 and 2 (RFC 4360 section 4).

    Return it as FRR writes it, without leading zeros.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+\.[0-9]+\.[0-9]+)?):([0-9]{1,10})", value)
    if match is None or int(match[2]) > _target_limit(match[1]):
        raise refusal(
            f"{value!r} is not a route target: AS:number or address:number, six bytes in all"
        )
    administrator = match[1] if "." in match[1] else int(match[1])
    return f"{administrator}:{int(match[2])}"


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a duplicate route target: FRR refuses the whole command that repeats one."""
    return tuple(dict.fromkeys(values))


def _target_limit(administrator: str) -> int:
    """Return the highest number that an administrator allows; -1 if it is no administrator."""
    if "." in administrator:
        return 0xFFFF if _is_ipv4(administrator) else -1
    if int(administrator) <= 0xFFFF:
        return 0xFFFF_FFFF
    return 0xFFFF if int(administrator) <= 0xFFFF_FFFF else -1


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _interface_name(value: str) -> str:
    if not 1 <= len(value) <= 15 or re.search(r"[/:\s]", value) or value in (".", ".."):
        raise refusal(f"{value!r} is not an interface name: up to 15 characters, no / : or space")
    if not re.fullmatch(r"[!-~]+", value):
        raise refusal(f"{value!r} is not an interface name: it has characters beyond ASCII")
    if value.startswith("-"):  # otherwise programs would parse it as an option
        raise refusal(f"{value!r} is not an interface name: it begins with -")
    return value


def _capitalized(value: object) -> object:
    """Accept `internal` and `external` in lower case, as in the API's own sample."""
    return value.capitalize() if value in ("internal", "external") else value


def or_none(value: object) -> object:
    """Treat an empty text as an absent field, as Go does."""
    return None if value == "" else value


def number(low: int, high: int) -> Any:  # noqa: ANN401 - metadata for Annotated
    return Field(ge=low, le=high, strict=True)


RouteTarget = Annotated[
    str,
    StringConstraints(max_length=21),
    AfterValidator(_route_target),
    WithJsonSchema({"type": "string", "format": "route-target"}),
]
RouteTargets = Annotated[tuple[RouteTarget, ...], Field(max_length=100), AfterValidator(_distinct)]
InterfaceName = Annotated[
    str,
    AfterValidator(_interface_name),
    WithJsonSchema({"type": "string", "format": "interface"}),
]
DeviceName = Annotated[
    str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9._-]*$", min_length=1, max_length=15)
]
VrfName = Annotated[
    str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]*$", min_length=1, max_length=15)
]
Asn = Annotated[int, number(1, 0xFFFF_FFFF)]
VniNumber = Annotated[int, number(1, 0xFF_FFFF)]
UdpPort = Annotated[int, number(1, 0xFFFF)]
Namespace = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]+$", max_length=4096)]
PeerType = Annotated[Literal["External", "Internal"], BeforeValidator(_capitalized)]
AddressFamily = Literal["IPv4", "IPv6"]


class Requirement(Strict):
    """A Kubernetes label selector requirement."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    @rule
    def _values_fit_the_operator(self) -> Iterator[Complaint]:
        if self.operator in ("In", "NotIn") and not self.values:
            yield Complaint((), f"a node selector with `{self.operator}` needs `values`")
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            text = f"a node selector with `{self.operator}` takes no `values`"
            yield Complaint(("values",), text)

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


Forwarder = Literal["kernel", "dpdk"]
"""A datapath, as `dualpath switch` names it."""


class NodeSelector(Strict):
    """Selects the nodes that a resource is for; an empty selector selects all."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(k) == v for k, v in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )


class Spec(Strict):
    """The fields that the spec of every kind has."""

    node_selector: NodeSelector = NodeSelector()


class LegSpec(Spec):
    """The fields that the spec of every kind with a host leg has."""

    host_netns: Namespace | None = None
    """Our extension: the namespace of the host end, if not the node's host namespace."""
