"""Reads the manifests of many nodes for `dualpath validate --fleet`, and shows the conflicts.

DIR/
  common.yaml          manifests without a Node: each node has them
  pe1/*.yaml           a directory is a node
  pe2.yaml             a file with one Node is a node
  rack7.yaml           a file with several: each has all of its manifests that select it
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from controller.cli.options import Output
from controller.cli.output import to_yaml
from controller.cli.terminal import FAILED, USAGE, echo, fail, warn
from controller.intent import fleet, layout
from controller.intent.documents import Document, ManifestError
from controller.intent.fields import Spec
from controller.intent.fleet import Finding, Site
from controller.intent.loader import NODE_CONFIG_FIELDS, documents_of, files, merge
from controller.intent.node import NODE_INDEX, NodeOverrides
from controller.intent.passwords import PasswordReader
from controller.intent.schema import OUR_GROUP, Origin, Resource, Resources
from dualpath.model.violation import Violation
from dualpath.model.words import counted

MANIFEST, RESOURCE = "manifest", "resource"  # rules: a file cannot be read, one node rejects
PLACEHOLDER = "password"


class _Unread(PasswordReader):
    """Reads no password file: those of other nodes are not on this machine."""

    def _read(self, key: str, path: Path) -> str:
        return PLACEHOLDER


class _Judged:
    """Checks resources by themselves, once for all nodes with the same resource."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, ...], Resources] = {}

    def resources(
        self, described: Document | None, others: Sequence[Document], name: str
    ) -> Resources:
        """Return the resources for a node that a document describes. Raises ManifestError."""
        node, overrides = [described] if described else [], NodeOverrides(name=name)
        key = tuple(map(id, others))
        if key not in self._found:
            self._found[key] = merge([*node, *others], overrides, _Unread())
        return replace(self._found[key], node=merge(node, overrides, _Unread()).node)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Documents of one node, or of the nodes that are described among them."""

    name: str  # of the file or the directory
    documents: Sequence[Document]

    def nodes(self) -> list[Document]:
        return [document for document in self.documents if _is_node(document)]


def validate(directory: Path, output: Output) -> NoReturn:
    findings: list[Finding] = []
    sites = list(_sites(directory, findings))
    if not (sites or findings):
        fail(f"{directory}: no node found; give each a file or a directory", USAGE)
    unreadable = bool(findings)
    findings += _rejected(sites)
    compared = fleet.check([site for site, _ in sites])
    findings = list({_key(finding): finding for finding in (*findings, *compared)}.values())
    if output in (Output.JSON, Output.YAML):
        rows = [_row(finding) for finding in findings]
        text = json.dumps(rows, indent=2) + "\n" if output is Output.JSON else to_yaml(rows)
        sys.stdout.write(text)
    else:
        for finding in findings:
            echo(str(finding))
        warn(f"{counted(len(sites), 'node')}, {counted(len(findings), 'error')}")
    raise SystemExit(USAGE if unreadable else FAILED if findings else 0)


def _sites(directory: Path, broken: list[Finding]) -> Iterator[tuple[Site, Sequence[Any]]]:
    """Yield each node with the statuses of its resources; add unreadable files to `broken`."""
    judged = _Judged()
    for unit, shared in _units(directory, broken):
        described: Sequence[Document | None] = unit.nodes()
        plain = [d for d in (*unit.documents, *shared) if not _is_node(d)]
        for document in described or (None,):
            name = _name(document) or unit.name
            try:
                found = judged.resources(document, plain, name)
            except ManifestError as error:
                broken += (Finding(MANIFEST, name, violation) for violation in error.violations)
                continue
            accepted, statuses = layout.judge(found, found.node)
            of_node = _described(document, name)
            yield Site(found.node, of_node, accepted, _numbered_by(document)), statuses


def _units(directory: Path, broken: list[Finding]) -> Iterator[tuple[_Unit, Sequence[Document]]]:
    """Yield the nodes' documents, with those that all nodes have."""
    try:
        below = sorted(path for path in directory.iterdir() if path.is_dir())
        beside = [(path, _read([path], path.stem, broken)) for path in files(directory)]
    except OSError as error:
        fail(f"{directory}: {error.strerror}", USAGE)
    shared = [d for _, found in beside if not any(map(_is_node, found)) for d in found]
    own = [_Unit(path.stem, found) for path, found in beside if any(map(_is_node, found))]
    seen = [path for path in below if not path.name.startswith(".")]
    own += [_Unit(path.name, _read([path], path.name, broken)) for path in seen]
    for unit in sorted(own, key=lambda unit: unit.name):
        if unit.documents:
            yield unit, shared


def _read(paths: Sequence[Path], name: str, broken: list[Finding]) -> list[Document]:
    found: list[Document] = []
    try:
        for document in documents_of(paths):
            found.append(document)  # noqa: PERF402 - those before an error are kept
    except ManifestError as error:
        broken += (Finding(MANIFEST, name, violation) for violation in error.violations)
    return found


def _is_node(document: Document) -> bool:
    keys = document.value.keys()
    return document.value.get("kind") == "Node" or (bool(keys) and keys <= NODE_CONFIG_FIELDS)


def _name(document: Document | None) -> str:
    if document is None:
        return ""
    metadata = document.value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else document.value.get("nodeName")
    return name if isinstance(name, str) else ""


def _described(document: Document | None, name: str) -> Resource[Spec]:
    """Return the node's description as a resource, for its place."""
    if document is None:
        return Resource("Node", name, Spec())
    return Resource("Node", name, Spec(), origin=Origin(document, ()))


def _numbered_by(document: Document | None) -> tuple[str, ...]:
    """Return the file or option that gives a node its number."""
    if document is None or "kind" not in document.value:
        return ("nodeIndex",)
    if document.value.get("apiVersion") == OUR_GROUP:
        return ("spec", "nodeIndex")
    return ("metadata", "annotations", NODE_INDEX)


def _rejected(sites: Sequence[tuple[Site, Sequence[Any]]]) -> Iterator[Finding]:
    """Yield the resources that each node rejects by itself."""
    for site, statuses in sites:
        for status in statuses:
            for violation in status.violations:
                yield Finding(RESOURCE, site.name, violation)


def _key(finding: Finding) -> tuple[str, Violation]:
    """Return a key that is equal for a manifest that many nodes share."""
    return finding.rule, finding.violation


def _row(finding: Finding) -> dict[str, Any]:
    return {"rule": finding.rule, "node": finding.node, **asdict(finding.violation)}
