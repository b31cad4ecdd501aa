"""The output of `dualpath status`: the daemon at a glance.

It must not look broken when all is well: unmanaged rows do not count as missing, a start is shown
as a start, and a host need not speak BGP.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Collection, Iterable, Mapping

from controller.cli.client import CALL_S, Stub
from controller.cli.columns import age_text, kind_text, span_text
from controller.cli.options import Output
from controller.cli.output import print_message
from controller.cli.table import Column, columns_of, print_table
from controller.cli.terminal import echo
from dualpath.model.words import counted
from dualpath.pb import inspect_pb2 as pb

START_S = 180.0
"""A daemon that is not ready yet is starting: FRR may need its whole hold time, 150 s."""

COUNTS = (
    Column("ROWS", lambda count: kind_text(count.kind)),
    Column("DESIRED", lambda count: str(count.desired)),
    Column("PROGRAMMED", lambda count: str(count.programmed)),
    Column("UNMANAGED", lambda count: str(count.unmanaged)),
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
    Column("BFD", lambda session: session.bfd or "-"),
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

PLANES = (
    Column("PLANE", lambda plane: plane.name),
    Column("ROLE", lambda plane: pb.PlaneRole.Name(plane.role).removeprefix("PLANE_ROLE_").lower()),
    Column("DESIRED", lambda plane: str(plane.desired)),
    Column("PROGRAMMED", lambda plane: str(plane.programmed)),
    Column("FAILED", lambda plane: str(plane.failed)),
    Column("TRAFFIC OF", lambda plane: ", ".join(plane.ports) or "-"),
    Column("PROBLEM", lambda plane: plane.problem or "-"),
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

NO_BGP = "the host does not speak BGP; nothing to do unless it should"
NEVER_SPOKE = ("Waiting for", "No path to", "No AFI/SAFI")
"""What bgpd says of a peer that was never up, other than what such a peer did."""

WAITING = {
    "frr-bridge is not connected": "waiting for frr-bridge",
    "zebra is not connected": "waiting for zebra",
    "BGP has not converged": "waiting for BGP to converge",
}


def show(stub: Stub, output: Output) -> None:
    """Ask the daemon, and print its answer."""
    answer = stub.Status(pb.StatusRequest(), timeout=CALL_S)
    if output in (Output.JSON, Output.YAML):
        print_message(answer, output)
        return
    if answer.vnis:
        vteps = _vteps(stub)
        for vni in answer.vnis:
            vni.vteps = vteps.get(vni.vni, vni.vteps)
    silent = any(session.state != "Established" for session in answer.sessions)
    explain_hosts(answer.sessions, _hosts(stub) if silent else ())
    for name, value in facts(answer):
        echo(f"{name:<12}{value}")
    about = answer.datapath_status
    tables = [
        (PLANES, answer.datapaths),
        (COUNTS, [count for count in answer.counts if _is_counted(count)]),
        (RESOURCES, answer.resources),
        (SESSIONS, answer.sessions),
        (VNIS, answer.vnis),
        (FACTS, about.facts),
        (FIBS, about.fibs),
    ]
    if output is Output.WIDE:
        tables.append((NODES, [node for node in about.nodes if node.batches]))
    for shown, rows in tables:
        if rows:
            echo()
            print_table(columns_of(shown, wide=output is Output.WIDE), rows)


def _vteps(stub: Stub) -> Mapping[int, int]:
    """Return the number of VTEPs of each VNI, as in `vnis`: zebra counts those of L2VNIs only."""
    messages = stub.ListVnis(pb.ListRequest(), timeout=CALL_S)
    return {row.vni: len(row.vteps) for message in messages for row in message.vnis}


def _hosts(stub: Stub) -> Collection[str]:
    """Return the addresses of the hosts behind host legs."""
    messages = stub.ListPorts(pb.ListRequest(), timeout=CALL_S)
    ports = [row for message in messages for row in message.ports]
    return {str(ipaddress.ip_interface(a).ip) for port in ports for a in port.host.addresses}


def explain_hosts(sessions: Iterable[pb.BgpSessionState], hosts: Collection[str]) -> None:
    """Explain that a host which never spoke BGP need not do so."""
    for session in sessions:
        silent = session.state != "Established" and not session.HasField("since")
        never = not session.reason or session.reason.startswith(NEVER_SPOKE)
        if silent and never and session.peer in hosts:
            session.reason = NO_BGP


def _is_counted(count: pb.KindCount) -> bool:
    return any((count.desired, count.programmed, count.unmanaged, count.failed, count.stale))


def facts(answer: pb.StatusResponse) -> list[tuple[str, str]]:
    """Return the first lines, each a name and a value."""
    found = [
        ("ready", _ready(answer)),
        ("degraded", answer.degraded or "no"),
        ("trial", answer.trial),
        ("version", answer.version),
        ("datapath", f"{answer.datapath} in {answer.netns}{_about(answer.datapath_status)}"),
        ("frr", f"in {answer.frr_netns or '-'}, bridge {answer.bridge}"),
        ("session", _session(answer)),
        ("up", age_text(answer.started_at)),
        ("repaired", counted(answer.repaired, "row")),
        *([("undecoded", counted(answer.undecoded, "message"))] if answer.undecoded else []),
        ("sequence", str(answer.sequence)),
    ]
    return [(name, value) for name, value in found if value]


def _ready(answer: pb.StatusResponse) -> str:
    if answer.ready:
        return "yes"
    up_s = max(0.0, time.time() - answer.started_at.seconds)
    if up_s > START_S or answer.datapath_status.unavailable:
        return f"no: {answer.not_ready}"
    why = WAITING.get(answer.not_ready, answer.not_ready)
    return f"starting: {why}, {up_s:.0f} s"


def _generation(resource: pb.ResourceStatus) -> str:
    if resource.applied_generation == resource.generation:
        return str(resource.generation)
    return f"{resource.applied_generation}, not {resource.generation}"


def _about(about: pb.DatapathStatus) -> str:
    if about.unavailable:
        return f", silent: {about.unavailable}"
    return f": {about.name} {about.version}" if about.name else ""


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.1f}" if whole else "-"


def _session(answer: pb.StatusResponse) -> str:
    if not answer.session:
        return "none yet: zebra has not connected"
    text = f"{answer.session} {answer.session_state}"
    if answer.reason:
        text += f": {answer.reason}"
    if answer.HasField("stale_after"):
        left = max(0.0, answer.stale_after.seconds - time.time())
        text += f" (held rows are removed in {span_text(left)})"
    return text
