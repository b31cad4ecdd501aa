"""Validates a change of one object on every node, with the node's own validator. Pure.

The API server's objects, and the one in the request, pass the pipeline for manifests:
`loader.merge`, then `layout.judge` per node. So `kubectl apply` reports the same errors as
`dualpath validate`.

A request is refused when

- the new object breaks a rule, alone or together with others on any node;
- an object that a node accepted becomes invalid, such as an L2VNI whose L3VNI is deleted.

It is admitted with a warning when the new object only lacks an object that may follow, such as an
L3VNI without an Underlay. Objects that were invalid before do not count.

Of nodes with the same objects only the one with the highest number is validated: a pool must have
room for it, and otherwise the number matters only in an Underlay (a neighbor with the address of
the node's own VTEP). A new Underlay is validated on every node.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controller.intent.documents import Document, ManifestError, read
from controller.intent.fields import NodeSelector
from controller.intent.layout import judge
from controller.intent.loader import USUAL_NAMESPACES, merge
from controller.intent.node import Node, api_node
from controller.intent.passwords import PasswordReader
from controller.intent.reasons import Reason
from controller.intent.rules import Complaints
from controller.intent.schema import GROUP, KINDS, Resources
from controller.kubernetes.objects import Key, Object, Objects, Target, effective
from controller.kubernetes.statics import is_static
from controller.operator.conditions import names
from dualpath.model.view import ResourceStatus
from dualpath.model.violation import Violation

PLACEHOLDER = "x"  # for a password of a Secret, which only nodes read
MOST_LINES = 20  # of a refusal; kubectl prints all


@dataclass(frozen=True, slots=True)
class Change:
    """A request's change of one object; `after` is None for a deletion."""

    target: Target
    after: Object | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a change is admitted; the lines have errors or warnings."""

    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Unreadable(Exception):
    """The object of a request is not a manifest."""


class Judge:
    """Validates changes; caches the syntax trees of objects."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, Key], tuple[Object, Document]] = {}

    def judge(self, objects: Objects, nodes: Iterable[Object], change: Change) -> Verdict:
        """Validate a change of `objects`. Raises Unreadable."""
        at = change.target.collection.kind, change.target.key
        before, after = _intent(objects), _intent(_changed(objects, change))
        had, has = (state.pop(at, None) for state in (before, after))
        if had == has:  # it shows a file, or the other group's object of that name counts
            return Verdict()
        others = list(self._documents(before))
        old, new = ([_document(at[0], one)] if one else [] for one in (had, has))
        # The new one comes last: of two conflicting objects it is refused.
        states = _merged([*others, *old]), _merged([*others, *new])
        concerned = _concerned(nodes, states, at[0])
        return _Comparison(*states, at, deleted=has is None).verdict(concerned)

    def _documents(self, items: Mapping[tuple[str, Key], Object]) -> Iterator[Document]:
        self._parsed = {at: parsed for at, parsed in self._parsed.items() if at in items}
        for at, item in items.items():
            parsed = self._parsed.get(at)
            if parsed is None or parsed[0] is not item:
                parsed = item, _document(at[0], item)
                self._parsed[at] = parsed
            yield parsed[1]


def _intent(objects: Objects) -> dict[tuple[str, Key], Object]:
    """Return the objects that nodes read as intent, in their order."""
    found = effective(objects)
    return {
        (kind, key): found[kind][key]
        for kind in KINDS
        for key in sorted(found.get(kind, {}))
        if not is_static(found[kind][key])
    }


def _changed(objects: Objects, change: Change) -> Objects:
    collection, key = change.target
    items = {at: item for at, item in objects.get(collection, {}).items() if at != key}
    if change.after is not None:
        items[key] = change.after
    return {**objects, collection: items}


class _Passwords(PasswordReader):
    """Assumes that every named Secret has a password."""

    def resolve(self, spec: object, beside: Path, complaints: Complaints) -> object:
        return super().resolve(_with_placeholders(spec), beside, complaints)


def _with_placeholders(spec: object) -> object:
    if not isinstance(spec, dict):
        return spec
    copy: dict[str, Any] = dict(spec)
    if isinstance(copy.get("hostSession"), dict):
        copy["hostSession"] = _with_placeholder(copy["hostSession"])
    if isinstance(neighbors := copy.get("neighbors"), list):
        copy["neighbors"] = [_with_placeholder(n) if isinstance(n, dict) else n for n in neighbors]
    return copy


def _with_placeholder(session: dict[str, Any]) -> dict[str, Any]:
    """Replace `passwordSecret` alone; beside `password` it must stay, because that is an error."""
    if isinstance(session.get("passwordSecret"), str) and "password" not in session:
        rest = {k: v for k, v in session.items() if k != "passwordSecret"}
        return {**rest, "password": PLACEHOLDER}
    return session


@dataclass(slots=True)
class _Comparison:
    """The verdicts before and after a change, node by node."""

    before: Resources
    after: Resources
    at: tuple[str, Key]  # of the object that changes
    deleted: bool
    refused: dict[str, list[str]] = field(default_factory=dict)  # a line, and the nodes with it
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def verdict(self, nodes: list[Node]) -> Verdict:
        for node in nodes:
            self._compare(node)
        every = {node.name for node in nodes}
        return Verdict(_lines(self.refused, every), _lines(self.warnings, every))

    def _compare(self, node: Node) -> None:
        _, after = judge(self.after, node)
        bad = [status for status in after if not status.ready]
        if not bad:
            return
        ours = self._ours(after)
        if ours is not None and not ours.ready:
            lacks = ours.reason == Reason.DEPENDENCY_FAILED
            lines = self.warnings if lacks else self.refused
            _note(lines, ours, node)
        broken = [s for s in bad if s is not ours]
        if broken:
            _, statuses = judge(self.before, node)
            good = {status.owner for status in statuses if status.ready}
            for status in broken:
                if status.owner in good:
                    _note(self.refused, status, node)

    def _ours(self, statuses: list[ResourceStatus]) -> ResourceStatus | None:
        """Return the status of the object that changes; None if it is deleted or not selected.

        The loader names a resource with its namespace, unless that is a usual one and the name is
        free: the object that changes comes last.
        """
        if self.deleted:
            return None
        kind, (namespace, name) = self.at
        plain = (name,) if namespace in USUAL_NAMESPACES else ()
        known = {status.name: status for status in statuses if status.kind == kind}
        called = (f"{namespace or 'default'}/{name}", *plain)
        return next((known[one] for one in called if one in known), None)


def _note(lines: dict[str, list[str]], status: ResourceStatus, node: Node) -> None:
    for violation in status.violations:
        lines.setdefault(_line(violation), []).append(node.name)


def _line(violation: Violation) -> str:
    """Return a violation as `dualpath validate` prints it, without the place in a file."""
    return str(replace(violation, file="", line=0, column=0))


def _lines(found: Mapping[str, list[str]], every: set[str]) -> tuple[str, ...]:
    """Return the lines; add node names to a line that does not apply to all validated nodes."""
    shown = [
        line if set(nodes) == every else f"{line} (on {names(sorted(nodes))})"
        for line, nodes in found.items()
    ]
    if len(shown) > MOST_LINES:
        shown = [*shown[:MOST_LINES], f"and {len(shown) - MOST_LINES} more"]
    return tuple(shown)


def _concerned(nodes: Iterable[Object], states: Iterable[Resources], kind: str) -> list[Node]:
    """Return the nodes on which to validate a change: see the module's docstring."""
    selectors = [selector for state in states for selector in _selectors(state)]
    groups: dict[tuple[bool, ...], list[Node]] = {}
    for node in (api_node(item["metadata"]) for item in nodes):
        matching = tuple(_matches(selector, node) for selector in selectors)
        groups.setdefault(matching, []).append(node)
    if kind == "Underlay":
        found = [node for group in groups.values() for node in group]
    else:
        found = [max(group, key=lambda node: node.index) for group in groups.values()]
    return found or [Node()]


def _selectors(resources: Resources) -> Iterator[NodeSelector]:
    """Yield the selectors that only some nodes match."""
    for resource in (*resources.items, *resources.partial):
        with suppress(AttributeError):  # the selector is what is wrong
            if (selector := resource.spec.node_selector) != NodeSelector():
                yield selector


def _matches(selector: NodeSelector, node: Node) -> bool:
    try:
        return selector.matches(node.selectable)
    except AttributeError:  # a part of it is wrong
        return False


def _merged(documents: list[Document]) -> Resources:
    try:
        return merge(documents, passwords=_Passwords())
    except ManifestError as error:
        raise Unreadable("; ".join(map(_line, error.violations))) from None


def _document(kind: str, item: Object) -> Document:
    """Return an object as a document, as the agent's mirror writes it. Raises Unreadable."""
    metadata = item["metadata"]
    given = {name: metadata[name] for name in ("name", "namespace") if metadata.get(name)}
    manifest = {
        "apiVersion": GROUP,
        "kind": kind,
        "metadata": given,
        "spec": item.get("spec") or {},
    }
    try:
        (found,) = read(json.dumps(manifest), "")
    except ManifestError as error:
        raise Unreadable("; ".join(map(_line, error.violations))) from None
    return found
