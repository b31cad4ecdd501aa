"""Commands that list rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any

from google.protobuf.message import Message

from controller.cli import columns
from controller.cli.client import Stub, connected, existing
from controller.cli.command import Argument, Option
from controller.cli.options import (
    UINT32,
    FamilyOption,
    LimitOption,
    Output,
    OutputOption,
    StatesOption,
    Target,
    VniOption,
    VrfOption,
    filters,
    names_of,
)
from controller.cli.output import print_rows
from controller.cli.table import Column
from controller.cli.terminal import fail, warn
from dualpath.pb import inspect_pb2 as pb


def routes(
    target: Target,
    prefix: Annotated[str, Argument("PREFIX", help="Only this prefix or host address.")] = "",
    longer: Annotated[
        bool, Option("--longer", help="And all prefixes that lie within it.")
    ] = False,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    nexthop: Annotated[
        int, Option("--nexthop", low=0, high=UINT32, help="Only with this nexthop id.")
    ] = 0,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List routes.

    Each with its state: whether the datapath has it as FRR wants it.

    dualpath routes --vrf red
    dualpath routes 10.0.0.0/8 --longer --vrf red
    dualpath routes --state failed -o wide
    dualpath routes -o json | jq -r '.[] | select(.state == "ROW_STATE_STALE").prefix'
    """
    request = pb.ListRoutesRequest(
        prefix=prefix,
        longer=longer,
        nexthop_id=nexthop,
        **filters(vrf, vni, family, state),
        limit=limit or 0,
    )
    with connected(target) as stub:
        rows = existing(stub, _rows(stub.ListRoutes(request), "routes"), vrf, vni)
        print_rows(rows, output, columns.ROUTES, columns.route_key)


def _listing(
    name: str, shown: Sequence[Column], key: Callable[[Any], Any], text: str
) -> Callable[..., None]:
    """Return the command `dualpath NAME`, which calls `ListName`; `text` is its help."""

    def command(
        target: Target,
        vrf: VrfOption = "",
        vni: VniOption = None,
        family: FamilyOption = None,
        state: StatesOption = None,
        limit: LimitOption = None,
        output: OutputOption = Output.TABLE,
    ) -> None:
        request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
        with connected(target) as stub:
            found = _rows(_call(stub, f"List{name.capitalize()}", request), name)
            rows = existing(stub, found, vrf, vni)
            print_rows(rows, output, shown, key)

    command.__name__, command.__doc__ = name, text
    return command


def _call(stub: Stub, method: str, request: pb.ListRequest) -> Iterator[Any]:
    stream: Iterator[Any] = getattr(stub, method)(request)
    return stream


def _rows(stream: Iterator[Any], field: str) -> Iterator[Message]:
    """Yield the rows of every message; say on stderr what the table cannot."""
    for message in stream:
        yield from getattr(message, field)
        if getattr(message, "unavailable", ""):
            warn(f"{message.unavailable}")
        if message.next_page_token:
            warn("there are more rows, see --limit")


nexthops = _listing(
    "nexthops",
    columns.NEXTHOPS,
    lambda row: row.nexthop.id,
    """List nexthops and groups.

    dualpath nexthops --vni 100
    """,
)
macs = _listing(
    "macs",
    columns.MACS,
    lambda row: (row.vni, row.mac),
    """List remote MACs of L2VNIs.

    --family is that of the VTEP.

    dualpath macs --vni 210
    """,
)
neighbors = _listing(
    "neighbors",
    columns.NEIGHBORS,
    lambda row: (row.vni, columns.address_key(row.address)),
    """List remote hosts' addresses and MACs.

    They serve ARP and ND suppression.

    dualpath neighbors --vni 210 --family ipv6
    """,
)
vteps = _listing(
    "vteps",
    columns.VTEPS,
    lambda row: (row.vni, columns.address_key(row.vtep), row.role),
    """List remote VTEPs.

    Those that get flooded frames, and those with a router MAC.

    dualpath vteps --vni 210
    """,
)
vnis = _listing(
    "vnis",
    columns.VNIS,
    lambda row: row.vni,
    """List VNIs.

    --family is that of the local VTEP.

    dualpath vnis --vrf red -o wide
    """,
)
vrfs = _listing(
    "vrfs",
    columns.VRFS,
    lambda row: row.name,
    """List VRFs.

    --vni is that of the L3VNI; a VRF has no --family.

    dualpath vrfs
    """,
)


def ports(
    target: Target,
    name: Annotated[str, Argument("PORT", help="Only this port.", complete=names_of("ports"))] = "",
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List ports and their links.

    The link is what the datapath reports now.

    dualpath ports -o wide
    dualpath ports eth1 -o json
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    with connected(target) as stub:
        found = existing(stub, _rows(stub.ListPorts(request), "ports"), vrf, vni)
        print_rows(_called(name, found), output, columns.PORTS, lambda row: row.name)


def _called(name: str, rows: Iterable[Any]) -> Iterable[Any]:
    """Return the rows with a name; ends the command when there are others only."""
    if not name:
        return rows
    rows = list(rows)
    if not (found := [row for row in rows if row.name == name]):
        there = ", ".join(sorted(row.name for row in rows)) or "none"
        fail(f"no port is called {name!r}; there are: {there}")
    return found


lsps = _listing(
    "lsps",
    columns.LSPS,
    lambda row: row.label,
    """List MPLS label bindings.

    They are shown, not programmed. None has a VRF, VNI or family.

    dualpath lsps
    """,
)
