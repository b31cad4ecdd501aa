"""`kubectl dualpath`: the nodes of a cluster, from wherever kubectl works.

A plugin of kubectl is a program in PATH called kubectl-dualpath. It runs `kubectl` for everything,
so the user's context, credentials and rights apply. `status` reads the nodes' reports from the API;
the other commands run `dualpath` in the node's pod.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.cli.table import Column, print_table
from controller.cli.terminal import echo, fail
from dualpath.process.options import Parser, add_version, path

GROUPS = ("network.openperouter.io", "dualpath.io")
REPORT = "RouterNodeConfigurationStatus"
NODE_INDEX = "openpe.io/nodeindex"
SELECTOR = "app.kubernetes.io/name=dualpath"
NAMESPACE = "openperouter-system"  # of objects that are named without one
PODS = "dualpath-system"  # the namespace of the pods
KUBECTL_S = 60.0
EXEC_S = 300.0
BUNDLE = (
    'd=$(mktemp -d) && dualpath support-bundle --file "$d/bundle" >&2 && cat "$d/bundle"; '
    'code=$?; rm -rf "$d"; exit $code'
)
"""A shell in the pod runs it: the bundle goes to stdout, messages to stderr."""

_EXAMPLES = """examples:
  kubectl dualpath status
  kubectl dualpath status node-1 -o json
  kubectl dualpath explain node-1 10.1.0.5 --vrf red
  kubectl dualpath exec node-1 -- routes --vrf red
  kubectl dualpath support-bundle node-1
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A node's report about one object, or about itself."""

    node: str
    resource: str  # KIND/NAME, or KIND/NAMESPACE/NAME
    ready: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node, and how many objects it reports."""

    name: str
    index: str
    state: str  # "yes", "no", or "-" for a node that reports nothing
    in_force: int
    failed: int


def main() -> None:
    arguments = _parser().parse_args()
    sys.exit(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="kubectl dualpath",
        description="The nodes of a cluster that run Dualpath.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    status = commands.add_parser("status", help="what each node reports")
    status.add_argument("node", nargs="?", help="only this node")
    status.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="output format (%(default)s)",
    )
    status.set_defaults(run=_status)
    explain = commands.add_parser("explain", help="the path of a packet on a node")
    _on_a_node(explain)
    explain.add_argument("address")
    explain.add_argument("--vrf", metavar="NAME", help="the VRF (default: the fabric's routing)")
    explain.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="output format (%(default)s)",
    )
    explain.set_defaults(run=_explain)
    run = commands.add_parser("exec", help="any command of dualpath on a node")
    _on_a_node(run)
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    run.set_defaults(run=_exec)
    bundle = commands.add_parser("support-bundle", help="a node's state, logs and manifests")
    _on_a_node(bundle)
    bundle.add_argument(
        "--file",
        type=path,
        metavar="PATH",
        help="the file to write (default: dualpath-NODE.tar.gz)",
    )
    bundle.set_defaults(run=_bundle)
    for command in (status, explain, run, bundle):
        command.add_argument("--context", metavar="NAME", help="kubectl's context")
    return parser


def _on_a_node(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("node", help="the node's name")
    add("-n", "--namespace", default=PODS, help="namespace of Dualpath's pods (%(default)s)")
    add("-l", "--selector", default=SELECTOR, help="labels of Dualpath's pods (%(default)s)")
    add("-c", "--container", default="controller", help="the controller's container (%(default)s)")


# -- what the nodes report --------------------------------------------------------------------


def _status(given: argparse.Namespace) -> int:
    nodes, rows = _reported(given.context)
    if given.node:
        nodes = [node for node in nodes if node["metadata"]["name"] == given.node]
        rows = [row for row in rows if row.node == given.node]
        if not nodes:
            fail(f"there is no node {given.node}")
    found = [_summed(node, rows) for node in nodes]
    bad = [row for row in rows if not row.ready]
    if given.output == "json":
        tree = {"nodes": [asdict(node) for node in found], "resources": [asdict(r) for r in rows]}
        echo(json.dumps(tree, indent=2))
        return 0
    print_table(_NODES, found)
    if bad:
        echo()
        print_table(_ROWS, bad, key=lambda row: (row.node, row.resource))
    return 0


_NODES = (
    Column("NODE", lambda node: node.name),
    Column("INDEX", lambda node: node.index),
    Column("READY", lambda node: node.state),
    Column("IN FORCE", lambda node: str(node.in_force)),
    Column("FAILED", lambda node: str(node.failed)),
)
_ROWS = (
    Column("NODE", lambda row: row.node),
    Column("RESOURCE", lambda row: row.resource),
    Column("REASON", lambda row: row.reason),
    Column("MESSAGE", lambda row: row.message),
)


def _reported(context: str | None) -> tuple[list[Any], list[Row]]:
    """Return the Nodes, and the rows of every object. A node's own report adds missing rows."""
    nodes = _items(_kubectl(context, "get", "nodes", "-o", "json"))
    kinds = [
        name
        for group in GROUPS
        for name in _kubectl(context, "api-resources", f"--api-group={group}", "-o", "name").split()
    ]
    if not kinds:
        fail("the cluster has no kind of Dualpath or OpenPERouter: apply deploy/crds first")
    items = _items(_kubectl(context, "get", ",".join(kinds), "-A", "-o", "json"))
    rows = [row for item in items for row in _rows(item)]
    given = {(row.node, row.resource) for row in rows}
    own = [row for item in items for row in _own(item) if (row.node, row.resource) not in given]
    return nodes, rows + own


def _rows(item: Any) -> Iterator[Row]:  # noqa: ANN401 - what an API server answers
    metadata, status = item["metadata"], item.get("status") or {}
    for row in status.get("nodes") or ():
        yield Row(
            _text(row.get("name")),
            _named(item["kind"], metadata.get("namespace") or "", metadata["name"]),
            row.get("ready") is True,
            _text(row.get("reason")),
            _text(row.get("message")),
        )


def _own(item: Any) -> Iterator[Row]:  # noqa: ANN401
    """Yield the contents of OpenPERouter's report of a node: its failed resources, and itself."""
    if item["kind"] != REPORT:
        return
    node, status = item["metadata"]["name"], item.get("status") or {}
    for failed in status.get("failedResources") or ():
        kind = _text(failed.get("kind")).replace("FrrConfiguration", "RawFRRConfig")
        resource = f"{kind}/{_text(failed.get('name'))}"
        yield Row(node, resource, False, _text(failed.get("reason")), _text(failed.get("message")))
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Ready":
            ready = condition.get("status") == "True"
            reason, message = _text(condition.get("reason")), _text(condition.get("message"))
            yield Row(node, f"Node/{node}", ready, reason, message)


def _text(value: object) -> str:
    """Return a text without terminal control sequences: anybody may write a status."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def _named(kind: str, namespace: str, name: str) -> str:
    """Return the name of a resource as in `dualpath status`: without a usual namespace."""
    usual = namespace in ("", "default", NAMESPACE)
    return f"{kind}/{name}" if usual else f"{kind}/{namespace}/{name}"


def _summed(node: Any, rows: Sequence[Row]) -> NodeRow:  # noqa: ANN401
    metadata = node["metadata"]
    mine = [row for row in rows if row.node == metadata["name"]]
    objects = [row for row in mine if not row.resource.startswith("Node/")]
    failed = sum(not row.ready for row in objects)
    state = "-" if not mine else "yes" if all(row.ready for row in mine) else "no"
    index = (metadata.get("annotations") or {}).get(NODE_INDEX, "-")
    return NodeRow(metadata["name"], _text(index), state, len(objects) - failed, failed)


# -- what runs on a node ----------------------------------------------------------------------


def _explain(given: argparse.Namespace) -> int:
    vrf = ["--vrf", given.vrf] if given.vrf else []
    output = ["-o", given.output] if given.output != "text" else []
    return _run(given, ["dualpath", "explain", given.address, *vrf, *output])


def _exec(given: argparse.Namespace) -> int:
    arguments = given.arguments[1:] if given.arguments[:1] == ["--"] else given.arguments
    if not arguments:
        fail("give a command of dualpath, such as `-- status`", 2)
    return _run(given, ["dualpath", *arguments])


def _bundle(given: argparse.Namespace) -> int:
    file = given.file or Path(f"dualpath-{given.node}.tar.gz")
    command = _exec_command(given, ["sh", "-c", BUNDLE])
    partial = file.with_name(f"{file.name}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            code = subprocess.run(command, stdout=opened, check=False, timeout=EXEC_S).returncode
        if code == 0:
            partial.replace(file)
    except subprocess.TimeoutExpired:
        fail(f"{given.node}: no bundle within {EXEC_S:.0f} s")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    finally:
        partial.unlink(missing_ok=True)
    if code == 0:
        echo(f"{file}: {file.stat().st_size:,} bytes")
    return code


def _run(given: argparse.Namespace, command: Sequence[str]) -> int:
    """Run a program in the node's pod, with our own stdout; return its exit code."""
    try:
        return subprocess.run(_exec_command(given, command), check=False).returncode
    except OSError as error:
        fail(f"kubectl: {error.strerror}")


def _exec_command(given: argparse.Namespace, command: Sequence[str]) -> list[str]:
    within = ["-n", given.namespace, "-c", given.container]
    return [*_program(given.context), "exec", *within, _pod(given), "--", *command]


def _pod(given: argparse.Namespace) -> str:
    """Return the name of the running pod of Dualpath on a node."""
    where = ["-n", given.namespace, "-l", given.selector]
    on = f"--field-selector=spec.nodeName={given.node}"
    items = _items(_kubectl(given.context, "get", "pods", *where, on, "-o", "json"))
    running = [p for p in items if (p.get("status") or {}).get("phase") == "Running"]
    if not running:
        fail(
            f"no running pod on node {given.node} in namespace {given.namespace} has the label "
            f"{given.selector}: give --namespace and --selector, or log in there"
        )
    return str(running[0]["metadata"]["name"])


def _kubectl(context: str | None, *arguments: str) -> str:
    """Run kubectl and return its output. Exits with kubectl's message if it fails."""
    command = [*_program(context), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=KUBECTL_S
        )
    except subprocess.TimeoutExpired:
        fail(f"`kubectl {arguments[0]}` did not end within {KUBECTL_S:.0f} s")
    except OSError as error:
        fail(f"kubectl: {error.strerror}")
    if done.returncode != 0:
        fail(done.stderr.strip() or f"`kubectl {arguments[0]}` failed")
    return done.stdout


def _program(context: str | None) -> list[str]:
    return ["kubectl", *([f"--context={context}"] if context else [])]


def _items(text: str) -> list[Any]:
    """Return the items of a list that kubectl printed."""
    try:
        items = json.loads(text).get("items")
    except (ValueError, AttributeError):
        items = None
    if not isinstance(items, list):
        fail("kubectl printed no list of objects")
    return [i for i in items if isinstance(i, dict) and isinstance(i.get("metadata"), dict)]


if __name__ == "__main__":
    main()
