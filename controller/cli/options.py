"""Options that several commands share."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from controller.cli.command import Option
from dualpath.process import options
from dualpath.rpc.connect import BadAddress, check

DEFAULT_CONNECT = "unix:/run/dualpath/inspect.sock"
CONNECT_VARIABLE = "DUALPATH_CONNECT"
UINT32, UINT64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF  # of a field, in protobuf


@dataclass(frozen=True, slots=True)
class Target:
    """The daemon's address, and the client's certificate; the files are for mutual TLS."""

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


class ChangeState(StrEnum):
    """States that a change may have."""

    PROGRAMMED = "programmed"
    FAILED = "failed"
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


def address(text: str) -> str:
    """Accept a daemon's address: unix:/PATH or ADDRESS:PORT."""
    try:
        check(text, secured=True)
    except BadAddress as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def device_name(text: str) -> str:
    """Accept the name of a VRF or of another device."""
    if text and not re.fullmatch(r"[^/:\s-][^/:\s]{0,14}", text):
        raise ArgumentTypeError(
            f"{text!r}: a device's name has up to 15 characters, no / : or blank"
        )
    return text


def names_of(which: str) -> Callable[[Target], Iterable[str]]:
    """Return a function that asks the daemon for the names of its VRFs, VNIs or ports."""

    def ask(target: Target) -> Iterable[str]:
        from controller.cli import names

        found: Iterable[str] = getattr(names, which)(target)
        return found

    return ask


StateDirOption = Annotated[
    Path,
    Option(
        "--state-dir",
        help="The controller's --state-dir.",
        metavar="PATH",
        parse=options.state_dir,
    ),
]
VrfOption = Annotated[
    str,
    Option(
        "--vrf", metavar="NAME", parse=device_name, complete=names_of("vrfs"), help="Only this VRF."
    ),
]
VniOption = Annotated[
    int | None,
    Option("--vni", low=1, high=0xFF_FFFF, complete=names_of("vnis"), help="Only this VNI."),
]
FamilyOption = Annotated[Family | None, Option("--family", help="Only this address family.")]
StatesOption = Annotated[
    list[State] | None, Option("--state", help="Only this state; may be repeated.")
]
WatchStatesOption = Annotated[
    list[ChangeState] | None, Option("--state", help="Only this state; may be repeated.")
]
LimitOption = Annotated[
    int | None, Option("--limit", low=1, high=UINT32, help="Print at most this number of rows.")
]
OutputOption = Annotated[Output, Option("--output", "-o", help="Output format.")]


@dataclass(frozen=True, slots=True)
class Where:
    """The filters that lists and `watch` share."""

    vrf: VrfOption = ""
    vni: VniOption = None
    family: FamilyOption = None

    def request(self, states: Sequence[StrEnum] | None) -> dict[str, Any]:
        """Return the fields that all requests for rows share."""
        return {
            "vrf": self.vrf,
            "vni": self.vni or 0,
            "family": f"FAMILY_{self.family.name}" if self.family else None,
            "states": [f"ROW_STATE_{state.name}" for state in states or ()],
        }


@dataclass(frozen=True, slots=True)
class Listed(Where):
    """The options of every list."""

    state: StatesOption = None
    limit: LimitOption = None
    output: OutputOption = Output.TABLE

    def filters(self) -> dict[str, Any]:
        return {**self.request(self.state), "limit": self.limit or 0}


def kind_names(kinds: list[Kind] | None) -> list[str]:
    return [f"KIND_{kind.name}" for kind in kinds or ()]
