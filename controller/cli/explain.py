"""The command that follows an address."""

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


def explain(
    target: Target,
    address: Annotated[str, Argument("ADDRESS", help="Where the packet is to go.")],
    vrf: VrfOption = "default",
    output: OutputOption = Output.TABLE,
) -> None:
    """Follow an address, as FRR wants it and as programmed.

    Shows the longest match, nexthop, VTEP, VNI, inner MAC, outgoing port, and any disagreement.

    dualpath explain 10.2.3.4 --vrf red
    """
    request = pb.ExplainRequest(vrf=vrf, address=address)
    with connected(target) as stub:
        answer = stub.Explain(request, timeout=CALL_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
        return
    for line in _lines(answer):
        echo(line)


def _lines(answer: pb.ExplainResponse) -> Iterator[str]:
    yield f"{answer.address} in VRF {answer.vrf}"
    for name in ("frr", "desired", "programmed", "observed"):
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
        what = route.prefix or ("(prefix not said)" if lookup.paths else "the packet is dropped")
        yield f"{name:<12}{what}  {route.protocol}".rstrip()
    else:
        yield f"{name:<12}{route.prefix}  {route.protocol}  {standing_text(route)}"
    for path in lookup.paths:
        share = f"  weight {path.weight}" if len(lookup.paths) > 1 else ""
        yield f"{'':<12}{nexthop_text(path.nexthop)}{share}"
        for detail in _details(path):
            yield f"{'':<14}{detail}"


def _details(path: pb.Path) -> Iterator[str]:
    if path.mac and not path.vtep:
        yield f"to MAC {path.mac}"
    if path.vtep:
        yield f"to VTEP {path.vtep} in VNI {path.vni}, inner MAC {path.mac or 'unknown'}"
    if path.underlay_prefix:
        yield f"underlay {path.underlay_prefix}"
    if path.ports:
        yield f"out of {', '.join(path.ports)}"
