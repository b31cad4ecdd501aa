"""Options that several commands share."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dualpath.process import options

DEFAULT_CONNECT = "unix:/run/dualpath/inspect.sock"
CONNECT_VARIABLE = "DUALPATH_CONNECT"
UINT32, UINT64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF  # of a field, in protobuf


@dataclass(frozen=True, slots=True)
class Target:
    """Which daemon to ask, and how to prove who we are; the files belong to mutual TLS."""

    connect: str
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


class Output(StrEnum):
    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


class Family(StrEnum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class State(StrEnum):
    PROGRAMMED = "programmed"
    PENDING = "pending"
    FAILED = "failed"
    STALE = "stale"
    LEAVING = "leaving"
    UNMANAGED = "unmanaged"


class Kind(StrEnum):
    VRF = "vrf"
    VNI = "vni"
    PORT = "port"
    REMOTE_VTEP = "remote-vtep"
    FLOOD = "flood"
    MAC = "mac"
    NEIGHBOR = "neighbor"
    NEXTHOP = "nexthop"
    ROUTE = "route"
    LSP = "lsp"


def taken_by(check: Callable[[str], object]) -> Callable[[str], str]:
    """Return what makes typer refuse what the daemons' options refuse."""

    def parse(text: str) -> str:
        try:
            check(text)
        except ArgumentTypeError as error:
            raise typer.BadParameter(str(error)) from None
        return text

    return parse


def device_name(text: str) -> str:
    """Take the name of a VRF or of another device."""
    if text and not re.fullmatch(r"[^/:\s-][^/:\s]{0,14}", text):
        raise ArgumentTypeError(
            f"{text!r}: a device's name has up to 15 characters, no / : or blank"
        )
    return text


CertificateFile = partial(typer.Option, exists=True, dir_okay=False, readable=True)
StateDirOption = Annotated[
    str,
    typer.Option(
        "--state-dir",
        help="The controller's --state-dir.",
        metavar="PATH",
        parser=taken_by(options.state_dir),
    ),
]
NetnsOption = partial(typer.Option, metavar="NAME|PATH", parser=taken_by(options.namespace))
VrfOption = Annotated[
    str,
    typer.Option("--vrf", metavar="NAME", parser=taken_by(device_name), help="Only this VRF."),
]
VniOption = Annotated[
    int | None, typer.Option("--vni", min=1, max=0xFF_FFFF, help="Only this VNI.")
]
FamilyOption = Annotated[Family | None, typer.Option("--family", help="Only this address family.")]
StatesOption = Annotated[
    list[State] | None, typer.Option("--state", help="Only this state; may be repeated.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, max=UINT32, help="At most so many rows.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the output.")]


def filters(
    vrf: str, vni: int | None, family: Family | None, states: list[State] | None
) -> dict[str, Any]:
    """Return options as the fields that all requests for rows share."""
    return {
        "vrf": vrf,
        "vni": vni or 0,
        "family": f"FAMILY_{family.name}" if family else None,
        "states": [f"ROW_STATE_{state.name}" for state in states or ()],
    }


def kind_names(kinds: list[Kind] | None) -> list[str]:
    return [f"KIND_{kind.name}" for kind in kinds or ()]
