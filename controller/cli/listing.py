"""Commands that list rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer
from google.protobuf.message import Message

from controller.cli import columns
from controller.cli.client import Stub, connected
from controller.cli.options import (
    UINT32,
    FamilyOption,
    LimitOption,
    Output,
    OutputOption,
    StatesOption,
    VniOption,
    VrfOption,
    filters,
)
from controller.cli.output import print_rows
from controller.cli.table import Column
from dualpath.pb import inspect_pb2 as pb


def routes(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="Only this prefix or host address.")] = "",
    longer: Annotated[
        bool, typer.Option("--longer", help="And all prefixes that lie within it.")
    ] = False,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    nexthop: Annotated[
        int, typer.Option("--nexthop", min=0, max=UINT32, help="Only with this nexthop id.")
    ] = 0,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List routes: what FRR wants and what the datapath has.

    \b
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
    with connected(context) as stub:
        rows = _rows(stub.ListRoutes(request), "routes")
        print_rows(rows, output, columns.ROUTES, columns.route_key)


def _listing(
    name: str, shown: Sequence[Column], key: Callable[[Any], Any], text: str
) -> Callable[..., None]:
    """Return the command `dualpath NAME`, which calls `ListName`; `text` is its help."""

    def command(
        context: typer.Context,
        vrf: VrfOption = "",
        vni: VniOption = None,
        family: FamilyOption = None,
        state: StatesOption = None,
        limit: LimitOption = None,
        output: OutputOption = Output.TABLE,
    ) -> None:
        request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
        with connected(context) as stub:
            rows = _rows(_call(stub, f"List{name.capitalize()}", request), name)
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
            typer.echo(f"dualpath: {message.unavailable}", err=True)
        if message.next_page_token:
            typer.echo("dualpath: there are more rows, see --limit", err=True)


COMMANDS = (
    routes,
    _listing(
        "nexthops",
        columns.NEXTHOPS,
        lambda row: row.nexthop.id,
        """List nexthops and groups.

        \b
        dualpath nexthops --vni 100
        """,
    ),
    _listing(
        "macs",
        columns.MACS,
        lambda row: (row.vni, row.mac),
        """List remote MACs of L2VNIs. --family is that of the VTEP.

        \b
        dualpath macs --vni 210
        """,
    ),
    _listing(
        "neighbors",
        columns.NEIGHBORS,
        lambda row: (row.vni, columns.address_key(row.address)),
        """List remote hosts' addresses and MACs, for ARP and ND suppression.

        \b
        dualpath neighbors --vni 210 --family ipv6
        """,
    ),
    _listing(
        "vteps",
        columns.VTEPS,
        lambda row: (row.vni, columns.address_key(row.vtep), row.role),
        """List remote VTEPs: who gets flooded frames, and router MACs.

        \b
        dualpath vteps --vni 210
        """,
    ),
    _listing(
        "vnis",
        columns.VNIS,
        lambda row: row.vni,
        """List VNIs. --family is that of the local VTEP.

        \b
        dualpath vnis --vrf red -o wide
        """,
    ),
    _listing(
        "vrfs",
        columns.VRFS,
        lambda row: row.name,
        """List VRFs. --vni is that of the L3VNI; a VRF has no --family.

        \b
        dualpath vrfs
        """,
    ),
    _listing(
        "ports",
        columns.PORTS,
        lambda row: row.name,
        """List ports, with the link as the datapath has it.

        \b
        dualpath ports -o wide
        """,
    ),
    _listing(
        "lsps",
        columns.LSPS,
        lambda row: row.label,
        """List MPLS label bindings: shown, not programmed. None has a VRF, VNI or family.

        \b
        dualpath lsps
        """,
    ),
)
