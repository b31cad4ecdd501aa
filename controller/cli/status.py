"""The command that shows the daemon at a glance."""

from __future__ import annotations

import time

from controller.cli.client import CALL_S, connected
from controller.cli.columns import age_text, kind_text, span_text
from controller.cli.options import Output, OutputOption, Target
from controller.cli.output import print_message
from controller.cli.table import Column, print_table
from controller.cli.terminal import echo
from dualpath.model.words import counted
from dualpath.pb import inspect_pb2 as pb

COUNTS = (
    Column("ROWS", lambda count: kind_text(count.kind)),
    Column("DESIRED", lambda count: str(count.desired)),
    Column("PROGRAMMED", lambda count: str(count.programmed)),
    Column("FAILED", lambda count: str(count.failed)),
    Column("STALE", lambda count: str(count.stale)),
)

RESOURCES = (
    Column("RESOURCE", lambda resource: f"{resource.kind}/{resource.name}"),
    Column("READY", lambda resource: "yes" if resource.ready else f"no: {resource.reason}"),
    Column("GENERATION", lambda resource: _generation(resource)),
    Column("MESSAGE", lambda resource: resource.message),
)

SESSIONS = (
    Column("VRF", lambda session: session.vrf),
    Column("BGP PEER", lambda session: session.peer),
    Column("AS", lambda session: str(session.remote_as)),
    Column("STATE", lambda session: session.state),
    Column("SINCE", lambda session: age_text(session.since) if session.HasField("since") else "-"),
    Column("RECEIVED", lambda session: str(session.received)),
    Column("SENT", lambda session: str(session.sent)),
    Column("REASON", lambda session: session.reason),
)

VNIS = (
    Column("VNI", lambda vni: str(vni.vni)),
    Column("LAYER", lambda vni: str(vni.layer)),
    Column("VRF", lambda vni: vni.vrf),
    Column("FRR HAS IT", lambda vni: "up" if vni.up else "down"),
    Column("MACS", lambda vni: str(vni.macs)),
    Column("NEIGHBORS", lambda vni: str(vni.neighbors)),
    Column("VTEPS", lambda vni: str(vni.vteps)),
)

FACTS = (
    Column("DATAPATH", lambda fact: fact.name),
    Column("VALUE", lambda fact: fact.value),
)

FIBS = (
    Column("FIB", lambda fib: fib.vrf),
    Column("FAMILY", lambda fib: pb.Family.Name(fib.family).removeprefix("FAMILY_").lower()),
    Column("ROUTES", lambda fib: str(fib.used)),
    Column("OF", lambda fib: str(fib.limit or "-")),
    Column("TBL8", lambda fib: str(fib.blocks or "-")),
)

NODES = (
    Column("NODE", lambda node: node.name),
    Column("PACKETS", lambda node: str(node.packets)),
    Column("BATCHES", lambda node: str(node.batches)),
    Column("PER BATCH", lambda node: _ratio(node.packets, node.batches)),
    Column("CYCLES/PACKET", lambda node: _ratio(node.cycles, node.packets)),
)


def status(target: Target, output: OutputOption = Output.TABLE) -> None:
    """Show the daemon at a glance.

    Ready or why not, the FPM session, counts of rows, resources, BGP sessions, VNIs, the datapath.

    dualpath status
    dualpath status -o wide                 # with the nodes of the packet graph
    dualpath status -o json | jq .ready
    """
    with connected(target) as stub:
        answer = stub.Status(pb.StatusRequest(), timeout=CALL_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
        return
    for name, value in _facts(answer):
        echo(f"{name:<12}{value}")
    said = answer.datapath_status
    tables = [
        (COUNTS, answer.counts),
        (RESOURCES, answer.resources),
        (SESSIONS, answer.sessions),
        (VNIS, answer.vnis),
        (FACTS, said.facts),
        (FIBS, said.fibs),
    ]
    if output is Output.WIDE:
        tables.append((NODES, [node for node in said.nodes if node.batches]))
    for shown, rows in tables:
        if rows:
            echo("")
            print_table(shown, rows)


def _facts(answer: pb.StatusResponse) -> list[tuple[str, str]]:
    return [
        ("ready", "yes" if answer.ready else f"no: {answer.not_ready}"),
        ("degraded", answer.degraded or "no"),
        ("version", answer.version),
        ("datapath", f"{answer.datapath} in {answer.netns}{_about(answer.datapath_status)}"),
        ("frr", f"in {answer.frr_netns}, bridge {answer.bridge}"),
        ("session", _session(answer)),
        ("up", age_text(answer.started_at)),
        ("repaired", counted(answer.repaired, "row")),
        *([("undecoded", counted(answer.undecoded, "message"))] if answer.undecoded else []),
        ("sequence", str(answer.sequence)),
    ]


def _generation(resource: pb.ResourceStatus) -> str:
    if resource.applied_generation == resource.generation:
        return str(resource.generation)
    return f"{resource.applied_generation}, not {resource.generation}"


def _about(said: pb.DatapathStatus) -> str:
    if said.unavailable:
        return f", silent: {said.unavailable}"
    return f": {said.name} {said.version}" if said.name else ""


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.1f}" if whole else "-"


def _session(answer: pb.StatusResponse) -> str:
    text = f"{answer.session} {answer.session_state}"
    if answer.reason:
        text += f": {answer.reason}"
    if answer.HasField("stale_after"):
        left = max(0.0, answer.stale_after.seconds - time.time())
        text += f" (what is held goes in {span_text(left)})"
    return text
