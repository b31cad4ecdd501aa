"""Commands about manifests: `render` and `validate` need no daemon, and `diff` may ask one."""

from __future__ import annotations

import difflib
import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.client import CALL_S, USAGE, connected, fail
from controller.cli.options import UINT32, Output, OutputOption, taken_by
from controller.cli.output import to_yaml
from controller.cli.table import Column, print_table
from controller.intent import layout
from controller.intent.difference import DeviceChange, compare
from controller.intent.documents import ManifestError
from controller.intent.layout import UNDERLAY_MTU, Intent
from controller.intent.loader import load
from controller.intent.node import NodeOverrides
from controller.intent.passwords import SECRETS, PasswordReader
from controller.intent.schema import Resources, rejected
from controller.intent.show import show
from controller.manifests.numbering import looking
from dualpath.model.frr import FrrSettings, from_json
from dualpath.model.plan import Plan, PlannedDevice
from dualpath.model.view import ResourceStatus
from dualpath.model.violation import Violation
from dualpath.model.words import counted
from dualpath.pb import inspect_pb2 as pb
from dualpath.process.options import node_name as valid_name
from frr_bridge.frr_config import render as render_frr

DIFFERENT = 1
"""Exit code, as of diff(1): 0 is the same, and 2 is trouble."""

DEVICES = (
    Column("KIND", lambda device: device.kind.lower()),
    Column("NAME", lambda device: device.name),
    Column("RESOURCE", lambda device: device.resource),
    Column("IS", lambda device: _attributes(device.attributes)),
)
RESOURCES = (
    Column("RESOURCE", lambda status: f"{status.kind}/{status.name}"),
    Column("READY", lambda status: "yes" if status.ready else f"no: {status.reason}"),
    Column("MESSAGE", lambda status: status.message),
)

VALIDATED = (
    *RESOURCES[:2],
    Column("MESSAGE", lambda status: _counted(status.violations) or status.message),
)

Paths = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Manifests: files and directories.")
]
NodeName = Annotated[
    str | None,
    typer.Option(
        "--node-name", metavar="NAME", parser=taken_by(valid_name), help="Which node this is."
    ),
]
NodeIndex = Annotated[
    int | None, typer.Option("--node-index", min=0, max=UINT32, help="Its number.")
]
Secrets = Annotated[
    Path,
    typer.Option("--secrets", metavar="DIR", file_okay=False, help="Where passwordSecret are."),
]
Mtu = Annotated[
    int, typer.Option("--underlay-mtu", min=1280, max=65535, help="Of the narrowest NIC.")
]


@dataclass(frozen=True, slots=True)
class _Source:
    """What is compiled, and for which node."""

    paths: Sequence[Path]
    overrides: NodeOverrides
    secrets: Path
    mtu: int = UNDERLAY_MTU

    def compiled(self) -> Intent:
        """Compile; a manifest that cannot be read at all ends the command."""
        return self._compiled(self._found())

    def startable(self) -> Intent:
        """Compile; manifests with which the controller would not start end the command, too."""
        found = self._found()
        if not (found.items or found.rejected):
            fail(f"{', '.join(map(str, self.paths))}: there is no resource in it", USAGE)
        return self._compiled(found)

    def _found(self) -> Resources:
        try:
            return self.read()
        except ManifestError as error:
            *others, last = error.violations
            for violation in others:
                typer.echo(f"dualpath: {violation}", err=True)
            fail(str(last), USAGE)

    def read(self) -> Resources:
        """Read the manifests. Raises ManifestError."""
        return load(self.paths, self.overrides, PasswordReader(self.secrets), looking())

    def _compiled(self, found: Resources) -> Intent:
        return layout.compile(found, found.node, self.mtu)


def render(
    paths: Paths,
    node_name: NodeName = None,
    node_index: NodeIndex = None,
    secrets: Secrets = SECRETS,
    underlay_mtu: Mtu = UNDERLAY_MTU,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show frr.conf and the devices that manifests ask for; touch nothing, ask no daemon.

    Passwords are masked. Exits with 1 when a resource is rejected; the rest is shown.

    \b
    dualpath render /etc/dualpath --node-index 3
    dualpath render pe1.yaml -o json | jq -r .frr_conf
    """
    source = _Source(paths, NodeOverrides(node_name, node_index), secrets, underlay_mtu)
    intent = source.compiled()
    plan, text = show(intent), _frr_conf(show(intent).frr)
    if output in (Output.JSON, Output.YAML):
        _print_tree(
            {
                "resources": [_status(status) for status in intent.statuses],
                "devices": [asdict(device) for device in plan.devices],
                "frr_conf": text,
            },
            output,
        )
    else:
        _print_table(DEVICES, plan.devices)
        sys.stdout.write(f"\n{text}")
        _complain(intent)
    raise typer.Exit(0 if _good(intent) else DIFFERENT)


def validate(
    paths: Paths,
    node_name: NodeName = None,
    node_index: NodeIndex = None,
    secrets: Secrets = SECRETS,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say which resources would be taken on a node, and why others would not; ask no daemon.

    Shows all errors, each as FILE:LINE:COLUMN: KIND NAME: FIELD: what is wrong. Exits with 1 when a
    resource is rejected, with 2 when a manifest cannot be read at all or none has a resource.

    \b
    dualpath validate new.yaml --node-index 3 && mv new.yaml /etc/dualpath/node.yaml
    """
    source = _Source(paths, NodeOverrides(node_name, node_index), secrets)
    in_full = output in (Output.JSON, Output.YAML)
    try:
        source.read()
    except ManifestError as error:
        if in_full:
            _print_tree(_broken(error), output)
            raise typer.Exit(USAGE) from None
    intent = source.startable()
    if in_full:
        _print_tree([_validated(status) for status in intent.statuses], output)
    else:
        _print_table(VALIDATED, intent.statuses)
        for violation in (v for status in intent.statuses for v in status.violations):
            typer.echo(str(violation))
    raise typer.Exit(0 if _good(intent) else DIFFERENT)


def diff(
    context: typer.Context,
    paths: Paths,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", metavar="PATH", help="Other manifests, instead of the daemon."),
    ] = None,
    node_name: NodeName = None,
    node_index: NodeIndex = None,
    secrets: Secrets = SECRETS,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what applying manifests would change, of devices and of frr.conf.

    Compares with what the running daemon was told, or with other manifests. A password that
    changes is not shown. Exits with 0 when nothing differs, 1 when something does, 2 on trouble.

    \b
    dualpath diff /etc/dualpath.new
    dualpath diff new.yaml --against old.yaml --node-index 1
    """
    given = NodeOverrides(node_name, node_index)
    if against:
        old = show(_Source(against, given, secrets).compiled())
        intent = _Source(paths, given, secrets).compiled()
    else:
        old, datapath = _running(context)
        known = NodeOverrides(
            old.node_name or None if given.name is None else given.name,
            old.node_index if given.index is None else given.index,
        )
        intent = _Source(paths, known, secrets, old.underlay_mtu).compiled()
        intent = intent if datapath == "dpdk" else layout.without_dpdk(intent)
    new = show(intent)
    theirs = old.frr
    frr = replace(new.frr, fpm_address=theirs.fpm_address, fpm_port=theirs.fpm_port)
    devices, lines = compare(old, new), _frr_difference(theirs, frr)
    if output in (Output.JSON, Output.YAML):
        _print_tree({"devices": [asdict(d) for d in devices], "frr_conf": lines}, output)
    else:
        _print_difference(devices, lines)
        _complain(intent)
    raise typer.Exit(DIFFERENT if devices or lines else 0)


def _running(context: typer.Context) -> tuple[Plan, str]:
    """Return the daemon's plan, and its datapath."""
    try:
        with connected(context) as stub:
            answer: pb.IntentResponse = stub.Intent(pb.IntentRequest(), timeout=CALL_S)
    except typer.Exit as ended:
        raise typer.Exit(USAGE if ended.exit_code == 1 else ended.exit_code) from None
    devices = (
        PlannedDevice(d.kind, d.name, d.resource, dict(d.attributes)) for d in answer.devices
    )
    plan = Plan(
        node_name=answer.node_name,
        node_index=answer.node_index,
        node_labels=dict(answer.node_labels),
        forwarding=answer.forwarding,
        control=answer.control,
        underlay_mtu=answer.underlay_mtu,
        devices=tuple(devices),
        frr=from_json(answer.frr_settings.encode()),
    )
    return plan, answer.datapath


def _frr_conf(settings: FrrSettings) -> str:
    return render_frr(replace(settings, hostname=settings.hostname or socket.gethostname()))


def _frr_difference(old: FrrSettings, new: FrrSettings) -> list[str]:
    """Return what differs, in the manner of diff -u and without its head."""
    before, after = _frr_conf(old).splitlines(), _frr_conf(new).splitlines()
    return [line.rstrip("\n") for line in difflib.unified_diff(before, after, n=2, lineterm="")][2:]


def _print_difference(devices: Sequence[DeviceChange], lines: Sequence[str]) -> None:
    sign = {"added": "+", "removed": "-", "changed": "~"}
    for d in devices:
        typer.echo(f"{sign[d.change]} {d.kind.lower()} {d.name} ({d.resource}){_changed(d)}")
    if devices and lines:
        typer.echo("")
    for line in lines:
        typer.echo(line)


def _changed(device: DeviceChange) -> str:
    if device.change != "changed":
        return f": {_attributes(device.after or device.before)}"
    names = dict.fromkeys((*device.before, *device.after))
    parts = (f"{n} {device.before.get(n, '-')} -> {device.after.get(n, '-')}" for n in names)
    return ": " + ", ".join(parts)


def _attributes(attributes: Any) -> str:  # noqa: ANN401 - a mapping of text
    return ", ".join(f"{name} {text}" for name, text in attributes.items())


def _status(status: ResourceStatus) -> dict[str, Any]:
    names = ("kind", "name", "ready", "reason", "message")
    return {name: getattr(status, name) for name in names}


def _validated(status: ResourceStatus) -> dict[str, Any]:
    return {**_status(status), "errors": [asdict(violation) for violation in status.violations]}


def _broken(error: ManifestError) -> list[dict[str, Any]]:
    """Return the errors of manifests that cannot be read as those of what they are in."""
    found: dict[tuple[str, str], list[Violation]] = {}
    for v in error.violations:
        owner = (v.kind, v.name) if v.kind else ("Manifest", v.file)
        found.setdefault(owner, []).append(v)
    return [_validated(rejected(*owner, violations)) for owner, violations in found.items()]


def _counted(violations: Sequence[Violation]) -> str:
    return f"{counted(len(violations), 'error')}, below" if violations else ""


def _good(intent: Intent) -> bool:
    return all(status.ready for status in intent.statuses)


def _complain(intent: Intent) -> None:
    for status in intent.statuses:
        if status.ready:
            continue
        for violation in status.violations:
            typer.echo(f"dualpath: {violation}", err=True)
        if not status.violations:
            typer.echo(f"dualpath: {status.kind} {status.name}: {status.message}", err=True)


def _print_table(columns: Sequence[Column], rows: Sequence[Any]) -> None:
    if not print_table(columns, rows):
        typer.echo("nothing to show", err=True)


def _print_tree(tree: object, output: Output) -> None:
    text = json.dumps(tree, indent=2) + "\n" if output is Output.JSON else to_yaml(tree)
    sys.stdout.write(text)


COMMANDS = (render, validate, diff)
