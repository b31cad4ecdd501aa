"""The work of the commands about manifests: compile, show and compare. Its import is slow."""

from __future__ import annotations

import difflib
import json
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from controller.cli.client import CALL_S, connected
from controller.cli.options import Output, Target
from controller.cli.output import to_yaml
from controller.cli.table import Column, print_table
from controller.cli.terminal import (
    BOLD,
    CYAN,
    FAILED,
    GREEN,
    RED,
    USAGE,
    coloured,
    echo,
    fail,
    has_colours,
    warn,
)
from controller.intent import layout
from controller.intent.difference import DeviceChange, compare
from controller.intent.documents import ManifestError
from controller.intent.layout import UNDERLAY_MTU, Intent
from controller.intent.loader import load
from controller.intent.node import NodeOverrides
from controller.intent.passwords import PasswordReader
from controller.intent.schema import Resources, rejected
from controller.intent.show import show
from controller.manifests.numbering import looking
from dualpath.model.frr import FrrSettings, from_json
from dualpath.model.plan import Plan, PlannedDevice
from dualpath.model.view import ResourceStatus
from dualpath.model.violation import Violation
from dualpath.model.words import counted
from dualpath.pb import inspect_pb2 as pb
from frr_bridge.frr_config import render as render_frr

NONE = "/dev/null"  # in a diff: the file does not exist
STDIN = Path("/dev/stdin")  # the name of standard input
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


@dataclass(frozen=True, slots=True)
class _Source:
    """The input of a compilation, and the node to compile for."""

    paths: Sequence[Path]
    overrides: NodeOverrides
    secrets: Path
    mtu: int = UNDERLAY_MTU

    def compiled(self) -> Intent:
        """Compile; end the command if a manifest cannot be read at all."""
        try:
            return self._compiled(self.read())
        except ManifestError as error:
            _end_unreadable(error)

    def startable(self, found: Resources) -> Intent:
        """Compile manifests; end the command if they contain no resource."""
        if not (found.items or found.rejected):
            fail(f"{', '.join(map(str, self.paths))}: no resource found", USAGE)
        return self._compiled(found)

    def read(self) -> Resources:
        """Read the manifests. Raises ManifestError."""
        paths = [STDIN if path == Path("-") else path for path in self.paths]
        return load(paths, self.overrides, PasswordReader(self.secrets), looking())

    def _compiled(self, found: Resources) -> Intent:
        return layout.compile(found, found.node, self.mtu)


def render(
    paths: Sequence[Path],
    node_name: str | None,
    node_index: int | None,
    secrets: Path,
    underlay_mtu: int,
    output: Output,
) -> None:
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
    raise SystemExit(0 if _good(intent) else DIFFERENT)


def validate(
    paths: Sequence[Path],
    node_name: str | None,
    node_index: int | None,
    secrets: Path,
    output: Output,
) -> None:
    source = _Source(paths, NodeOverrides(node_name, node_index), secrets)
    in_full = output in (Output.JSON, Output.YAML)
    try:
        found = source.read()
    except ManifestError as error:
        if not in_full:
            _end_unreadable(error)
        _print_tree(_broken(error), output)
        raise SystemExit(USAGE) from None
    intent = source.startable(found)
    if in_full:
        _print_tree([_validated(status) for status in intent.statuses], output)
    else:
        _print_table(VALIDATED, intent.statuses)
        for violation in (v for status in intent.statuses for v in status.violations):
            echo(str(violation))
    raise SystemExit(0 if _good(intent) else DIFFERENT)


def diff(
    target: Target,
    paths: Sequence[Path],
    against: Sequence[Path] | None,
    node_name: str | None,
    node_index: int | None,
    secrets: Path,
    output: Output,
) -> None:
    given = NodeOverrides(node_name, node_index)
    if against:
        old = show(_Source(against, given, secrets).compiled())
        intent = _Source(paths, given, secrets).compiled()
    else:
        old, datapath = _running(target)
        known = NodeOverrides(
            old.node_name or None if given.name is None else given.name,
            old.node_index if given.index is None else given.index,
        )
        intent = _Source(paths, known, secrets, old.underlay_mtu).compiled()
        intent = intent if datapath == "dpdk" else layout.without_dpdk(intent)
    new = show(intent)
    theirs = old.frr
    frr = replace(new.frr, fpm_address=theirs.fpm_address, fpm_port=theirs.fpm_port)
    devices = compare(old, new)
    lines = unified("frr.conf", _frr_conf(theirs).splitlines(), _frr_conf(frr).splitlines())
    if output in (Output.JSON, Output.YAML):
        _print_tree({"devices": [asdict(d) for d in devices], "frr_conf": lines[2:]}, output)
    else:
        _print_difference([*_device_difference(devices), *lines])
        _complain(intent)
    raise SystemExit(DIFFERENT if devices or lines else 0)


def _running(target: Target) -> tuple[Plan, str]:
    """Return the daemon's plan, and its datapath."""
    try:
        with connected(target) as stub:
            answer: pb.IntentResponse = stub.Intent(pb.IntentRequest(), timeout=CALL_S)
    except SystemExit as ended:
        raise SystemExit(USAGE if ended.code == FAILED else ended.code) from None
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


def unified(name: str, before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return the lines of a unified diff; none when nothing differs."""
    heads = f"now/{name}" if before else NONE, f"then/{name}" if after else NONE
    return list(difflib.unified_diff(before, after, *heads, n=2, lineterm=""))


def _device_difference(changes: Sequence[DeviceChange]) -> Iterator[str]:
    """Yield a unified diff of each device that changes, as of a file with its attributes."""
    for d in changes:
        before = [] if d.change == "added" else _device(d, d.before)
        after = [] if d.change == "removed" else _device(d, d.after)
        yield from unified(f"{d.kind.lower()} {d.name}", before, after)


def _device(device: DeviceChange, attributes: Mapping[str, str]) -> list[str]:
    head = f"{device.kind.lower()} {device.name} ({device.resource})"
    return [head, *(f"  {name} {text}" for name, text in attributes.items())]


def _print_difference(lines: Sequence[str]) -> None:
    styles = {"---": BOLD, "+++": BOLD, "@@": CYAN, "+": GREEN, "-": RED}
    in_colour = has_colours(sys.stdout)
    for line in lines:
        style = next((styles[sign] for sign in styles if line.startswith(sign)), "")
        echo(coloured(line, style) if in_colour else line)


def _attributes(attributes: Any) -> str:  # noqa: ANN401 - a mapping of text
    return ", ".join(f"{name} {text}" for name, text in attributes.items())


def _status(status: ResourceStatus) -> dict[str, Any]:
    names = ("kind", "name", "ready", "reason", "message")
    return {name: getattr(status, name) for name in names}


def _validated(status: ResourceStatus) -> dict[str, Any]:
    return {**_status(status), "errors": [asdict(violation) for violation in status.violations]}


def _broken(error: ManifestError) -> list[dict[str, Any]]:
    """Return the errors of unreadable manifests, grouped by resource or file."""
    found: dict[tuple[str, str], list[Violation]] = {}
    for v in error.violations:
        owner = (v.kind, v.name) if v.kind else ("Manifest", v.file)
        found.setdefault(owner, []).append(v)
    return [_validated(rejected(*owner, violations)) for owner, violations in found.items()]


def _counted(violations: Sequence[Violation]) -> str:
    return f"{counted(len(violations), 'error')}, below" if violations else ""


def _good(intent: Intent) -> bool:
    return all(status.ready for status in intent.statuses)


def _end_unreadable(error: ManifestError) -> NoReturn:
    *others, last = error.violations
    for violation in others:
        warn(str(violation))
    fail(str(last), USAGE)


def _complain(intent: Intent) -> None:
    for status in intent.statuses:
        if status.ready:
            continue
        for violation in status.violations:
            warn(f"{violation}")
        if not status.violations:
            warn(f"{status.kind} {status.name}: {status.message}")


def _print_table(columns: Sequence[Column], rows: Sequence[Any]) -> None:
    if not print_table(columns, rows):
        warn("nothing to show")


def _print_tree(tree: object, output: Output) -> None:
    text = json.dumps(tree, indent=2) + "\n" if output is Output.JSON else to_yaml(tree)
    sys.stdout.write(text)
