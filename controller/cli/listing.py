"""Commands that list rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from google.protobuf.message import Message

from controller.cli import columns
from controller.cli.client import connected, existing
from controller.cli.command import Argument, Option
from controller.cli.options import UINT32, Listed, Target, names_of
from controller.cli.output import print_rows
from controller.cli.table import Column
from controller.cli.terminal import fail, warn
from dualpath.pb import inspect_pb2 as pb


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows of one kind are shown."""

    columns: Sequence[Column]
    key: Callable[[Any], Any]  # of their order
    own: tuple[str, ...] = ()
    """Fields in which all rows of a long list differ; () if no list of them is long."""


def routes(
    target: Target,
    shown: Listed,
    prefix: Annotated[str, Argument("PREFIX", help="Only this prefix or host address.")] = "",
    longer: Annotated[bool, Option("--longer", help="Also all prefixes within it.")] = False,
    nexthop: Annotated[
        int, Option("--nexthop", low=0, high=UINT32, help="Only routes with this nexthop id.")
    ] = 0,
) -> None:
    """List routes.

    Each with its state: whether the datapath has it as FRR wants it.

    dualpath routes --vrf red
    dualpath routes 10.0.0.0/8 --longer --vrf red
    dualpath routes --state failed -o wide
    dualpath routes -o json | jq -r '.[] | select(.state == "ROW_STATE_STALE").prefix'
    """
    request = pb.ListRoutesRequest(
        prefix=prefix, longer=longer, nexthop_id=nexthop, **shown.filters()
    )
    _list(target, "routes", request, shown, ROUTES)


def ports(
    target: Target,
    shown: Listed,
    name: Annotated[str, Argument("PORT", help="Only this port.", complete=names_of("ports"))] = "",
) -> None:
    """List ports and their links.

    The link is what the datapath reports now.

    dualpath ports -o wide
    dualpath ports eth1 -o json
    """
    _list(target, "ports", pb.ListRequest(**shown.filters()), shown, PORTS, only=name)


def _listing(name: str, shape: Shape, text: str) -> Callable[..., None]:
    """Return the command `dualpath NAME`; `text` is its help."""

    def command(target: Target, shown: Listed) -> None:
        _list(target, name, pb.ListRequest(**shown.filters()), shown, shape)

    command.__name__, command.__doc__ = name, text
    return command


def _list(
    target: Target, name: str, request: Message, shown: Listed, shape: Shape, *, only: str = ""
) -> None:
    """Call `ListName`, and print its rows."""
    with connected(target) as stub:
        stream: Iterator[Any] = getattr(stub, f"List{name.capitalize()}")(request)
        rows = existing(stub, _rows(stream, name), shown.vrf, shown.vni)
        print_rows(_called(only, rows), shown.output, shape.columns, shape.key, shape.own)


def _rows(stream: Iterator[Any], field: str) -> Iterator[Message]:
    """Yield the rows of every message; write remarks that fit no table to stderr."""
    for message in stream:
        yield from getattr(message, field)
        if getattr(message, "unavailable", ""):
            warn(f"{message.unavailable}")
        if message.next_page_token:
            warn("there are more rows, see --limit")


def _called(name: str, rows: Iterable[Any]) -> Iterable[Any]:
    """Return the rows with a name; end the command if only others exist."""
    if not name:
        return rows
    rows = list(rows)
    if not (found := [row for row in rows if row.name == name]):
        there = ", ".join(sorted(row.name for row in rows)) or "none"
        fail(f"no port is called {name!r}; there are: {there}")
    return found


ROUTES = Shape(columns.ROUTES, columns.route_key, ("prefix",))
PORTS = Shape(columns.PORTS, lambda row: row.name)

nexthops = _listing(
    "nexthops",
    Shape(columns.NEXTHOPS, lambda row: row.nexthop.id, ("nexthop",)),
    """List nexthops and groups.

    dualpath nexthops --vni 100
    """,
)
macs = _listing(
    "macs",
    Shape(columns.MACS, lambda row: (row.vni, row.mac), ("mac",)),
    """List remote MACs of L2VNIs.

    --family is that of the VTEP.

    dualpath macs --vni 210
    """,
)
neighbors = _listing(
    "neighbors",
    Shape(
        columns.NEIGHBORS,
        lambda row: (row.vni, columns.address_key(row.address)),
        ("address", "mac"),
    ),
    """List remote hosts' addresses and MACs.

    They serve ARP and ND suppression.

    dualpath neighbors --vni 210 --family ipv6
    """,
)
vteps = _listing(
    "vteps",
    Shape(columns.VTEPS, lambda row: (row.vni, columns.address_key(row.vtep), row.role)),
    """List remote VTEPs.

    Those that get flooded frames, and those with a router MAC.

    dualpath vteps --vni 210
    """,
)
vnis = _listing(
    "vnis",
    Shape(columns.VNIS, lambda row: row.vni),
    """List VNIs.

    --family is that of the local VTEP.

    dualpath vnis --vrf red -o wide
    """,
)
vrfs = _listing(
    "vrfs",
    Shape(columns.VRFS, lambda row: row.name),
    """List VRFs.

    --vni is that of the L3VNI; a VRF has no --family.

    dualpath vrfs
    """,
)
lsps = _listing(
    "lsps",
    Shape(columns.LSPS, lambda row: row.label),
    """List MPLS label bindings.

    They are shown, not programmed. None has a VRF, VNI or family.

    dualpath lsps
    """,
)
