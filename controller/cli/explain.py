"""The command that shows the path to an address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from controller.cli.client import CALL_S, connected
from controller.cli.columns import nexthop_text, standing_text
from controller.cli.command import Argument
from controller.cli.options import Output, OutputOption, Target, VrfOption
from controller.cli.output import print_message
from controller.cli.terminal import echo
from dualpath.pb import inspect_pb2 as pb

VIEWS = ("frr", "desired", "programmed", "observed")


def explain(
    target: Target,
    address: Annotated[str, Argument("ADDRESS", help="The destination of the packet.")],
    vrf: VrfOption = "default",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the path to an address, desired and programmed.

    One lookup when all views agree; all four when they do not, or with -o wide.

    Shows the longest match, nexthop, VTEP, VNI, inner MAC, outgoing port, and any disagreement.

    dualpath explain 10.2.3.4 --vrf red
    """
    request = pb.ExplainRequest(vrf=vrf, address=address)
    with connected(target) as stub:
        answer = stub.Explain(request, timeout=CALL_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
        return
    in_full = answer.problems or output is Output.WIDE
    for line in (_lines if in_full else _compact)(answer):
        echo(line)


def _compact(answer: pb.ExplainResponse) -> Iterator[str]:
    """Yield the one lookup in which all views agree."""
    route = answer.desired.route
    yield f"{answer.address} in VRF {answer.vrf}: {route.prefix}  {_standing(route)}"
    yield from _paths(answer.desired, 2)
    views = ["FRR", "desired", *(["programmed"] if answer.programmed.HasField("route") else [])]
    views += ["observed"] if answer.observed.HasField("route") else []
    yield f"no problems: {', '.join(views[:-1])} and {views[-1]} agree"
    if answer.not_observed:
        yield f"not observed: {answer.not_observed}"


def _standing(route: pb.Route) -> str:
    return f"{route.protocol}  {standing_text(route)}"


def _lines(answer: pb.ExplainResponse) -> Iterator[str]:
    yield f"{answer.address} in VRF {answer.vrf}"
    for name in VIEWS:
        if answer.HasField(name):
            yield ""
            yield from _lookup(name, getattr(answer, name))
    if answer.not_observed:
        yield ""
        yield f"{'observed':<12}{answer.not_observed}"
    yield ""
    yield "no problems" if not answer.problems else "problems"
    for problem in answer.problems:
        yield f"  - {problem}"


def _lookup(name: str, lookup: pb.Lookup) -> Iterator[str]:
    route = lookup.route
    if not lookup.HasField("route"):
        yield f"{name:<12}no route"
        return
    if name == "observed":
        what = route.prefix or ("(prefix unknown)" if lookup.paths else "the packet is dropped")
        yield f"{name:<12}{what}  {route.protocol}".rstrip()
    else:
        yield f"{name:<12}{route.prefix}  {_standing(route)}"
    yield from _paths(lookup, 12)


def _paths(lookup: pb.Lookup, indent: int) -> Iterator[str]:
    for path in lookup.paths:
        share = f"  weight {path.weight}" if len(lookup.paths) > 1 else ""
        yield f"{'':<{indent}}{nexthop_text(path.nexthop)}{share}"
        for detail in _details(path):
            yield f"{'':<{indent + 2}}{detail}"


def _details(path: pb.Path) -> Iterator[str]:
    if path.mac and not path.vtep:
        yield f"to MAC {path.mac}"
    if path.vtep:
        yield f"to VTEP {path.vtep} in VNI {path.vni}, inner MAC {path.mac or 'unknown'}"
    if path.underlay_prefix:
        yield f"underlay {path.underlay_prefix}"
    if path.ports:
        yield f"out of {', '.join(path.ports)}"
