"""IS-IS in the underlay: the fields of an Underlay, and the settings for FRR. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from controller.intent.fields import InterfaceName, number
from controller.intent.rules import Complaint, Strict, refusal, repeated, rule
from dualpath.model import frr as model

INSTANCE = "underlay"
LOOPBACK = "lo"
SYSTEM_ID_BITS = 48  # ISO 10589 section 7.1.1, and six bytes in practice

_NET = re.compile(r"(?P<area>[0-9a-f]{2}\.[0-9a-f]{4})\.(?P<system>([0-9a-f]{4}\.){3})00")


def _net(value: str) -> str:
    if _NET.fullmatch(value):
        return value
    if _NET.fullmatch(f"{value[:-2]}00"):
        raise refusal(
            f"{value!r} ends in {value[-2:]}, but a NET must end in 00: FRR accepts no other"
        )
    raise refusal(
        f"{value!r} is not a NET such as 49.0001.0000.0000.0000.00: "
        "area, system ID and 00, in lower case"
    )


Net = Annotated[str, AfterValidator(_net), WithJsonSchema({"type": "string", "format": "net"})]


class IsisInterface(Strict):
    """Settings of one interface that differ from the defaults; also of `lo`."""

    name: InterfaceName
    ip_family: Literal["IPv4", "IPv6", "DualStack"] = "DualStack"
    features: Annotated[tuple[Literal["passive"], ...], Field(max_length=32)] = ()


class Isis(Strict):
    """IS-IS on every interface of the Underlay; `lo` advertises the VTEP."""

    base_net: Net
    level: Annotated[int, number(1, 2)] | None = None
    features: Annotated[tuple[Literal["advertisePassiveOnly"], ...], Field(max_length=32)] = ()
    interfaces: Annotated[tuple[IsisInterface, ...], Field(max_length=128)] = ()

    @rule
    def _interfaces_are_distinct(self) -> Iterator[Complaint]:
        for index, name in repeated(interface.name for interface in self.interfaces):
            yield Complaint(("interfaces", index, "name"), f"interface {name} is given twice")

    def net(self, node_index: int) -> str:
        """Return the node's NET: the system ID plus the node's number. Raises ValueError."""
        match = _NET.fullmatch(self.base_net)
        assert match is not None
        system = int(match["system"].replace(".", ""), 16) + node_index
        if system >> SYSTEM_ID_BITS:
            raise ValueError(f"isis.baseNet {self.base_net} has no system ID for this node")
        digits = f"{system:012x}"
        return f"{match['area']}.{digits[:4]}.{digits[4:8]}.{digits[8:]}.00"


def settings(isis: Isis, nics: list[str], node_index: int) -> model.Isis:
    """Return the IS-IS circuits: `lo`, these NICs, and any other interface with settings."""
    return model.Isis(
        name=INSTANCE,
        net=isis.net(node_index),
        level=isis.level or 0,
        advertise_passive_only="advertisePassiveOnly" in isis.features,
        interfaces=tuple(_interfaces(isis, nics)),
    )


def _interfaces(isis: Isis, nics: list[str]) -> Iterator[model.IsisInterface]:
    given = {interface.name: interface for interface in isis.interfaces}
    for name in sorted({LOOPBACK, *nics, *given}, key=_natural):
        interface = given.get(name, IsisInterface(name=name))
        yield model.IsisInterface(
            name,
            ipv4=interface.ip_family != "IPv6",
            ipv6=interface.ip_family != "IPv4",
            passive=name == LOOPBACK or "passive" in interface.features,
        )


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names as FRR does: eth2 before eth10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
