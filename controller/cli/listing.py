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
from controller.pb import inspect_pb2 as pb


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


def nexthops(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List nexthops and groups.

    \b
    dualpath nexthops --vni 100
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListNexthops", request, output, columns.NEXTHOPS, lambda r: r.nexthop.id)


def macs(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List remote MACs of L2VNIs. --family is that of the VTEP.

    \b
    dualpath macs --vni 210
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListMacs", request, output, columns.MACS, lambda r: (r.vni, r.mac))


def neighbors(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List remote hosts' addresses and MACs, for ARP and ND suppression.

    \b
    dualpath neighbors --vni 210 --family ipv6
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListNeighbors", request, output, columns.NEIGHBORS, _neighbor_key)


def vteps(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List remote VTEPs: who gets flooded frames, and router MACs.

    \b
    dualpath vteps --vni 210
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListVteps", request, output, columns.VTEPS, _vtep_key)


def vnis(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List VNIs. --family is that of the local VTEP.

    \b
    dualpath vnis --vrf red -o wide
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListVnis", request, output, columns.VNIS, lambda r: r.vni)


def vrfs(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List VRFs. --vni is that of the L3VNI; a VRF has no --family.

    \b
    dualpath vrfs
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListVrfs", request, output, columns.VRFS, lambda r: r.name)


def ports(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List ports, with the link as the datapath has it.

    \b
    dualpath ports -o wide
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListPorts", request, output, columns.PORTS, lambda r: r.name)


def lsps(
    context: typer.Context,
    vrf: VrfOption = "",
    vni: VniOption = None,
    family: FamilyOption = None,
    state: StatesOption = None,
    limit: LimitOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List MPLS label bindings: shown, not programmed. None has a VRF, VNI or family.

    \b
    dualpath lsps
    """
    request = pb.ListRequest(**filters(vrf, vni, family, state), limit=limit or 0)
    _show(context, "ListLsps", request, output, columns.LSPS, lambda r: r.label)


def _show(
    context: typer.Context,
    method: str,
    request: pb.ListRequest,
    output: Output,
    shown: Sequence[Column],
    key: Callable[[Any], Any],
) -> None:
    field = method.removeprefix("List").lower()
    with connected(context) as stub:
        print_rows(_rows(_call(stub, method, request), field), output, shown, key)


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


def _neighbor_key(row: pb.Neighbor) -> tuple[int, tuple[int, int, int]]:
    return row.vni, columns.address_key(row.address)


def _vtep_key(row: pb.Vtep) -> tuple[int, tuple[int, int, int], int]:
    return row.vni, columns.address_key(row.vtep), row.role


COMMANDS = (routes, nexthops, macs, neighbors, vteps, vnis, vrfs, ports, lsps)
