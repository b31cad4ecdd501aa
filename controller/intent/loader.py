"""Loads manifests from files, as the only part of `intent` that reads files. It judges no resource.

A file that is not YAML is an error of the whole set, because its resources are unknown. A resource
that breaks a rule is rejected by name, and the others are not affected.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from controller.intent import schema
from controller.intent.accepted import Accepted
from controller.intent.aliases import modernise
from controller.intent.documents import Document, ManifestError, Reader
from controller.intent.fields import Spec
from controller.intent.node import (
    NO_OVERRIDES,
    Look,
    Node,
    NodeOverrides,
    NodeSpec,
    Unnumbered,
    api_node,
    choose,
    nowhere,
)
from controller.intent.passwords import PasswordReader
from controller.intent.rules import Complaint, Complaints, closest, complaints_of
from controller.intent.schema import InvalidSpec, Origin, Owner, Resource, Resources
from controller.intent.validate import also_wrong
from dualpath.model.violation import Violation

SUFFIXES = (".yaml", ".yml", ".json")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes has it
CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # as Kubernetes writes it
USUAL_NAMESPACES = ("", "default", "openperouter-system")
MANIFEST_FIELDS = {"apiVersion", "kind", "metadata", "spec", "status"}
METADATA_FIELDS = {"namespace", "labels", "annotations"}
NODE_CONFIG_FIELDS = {"nodeIndex", "nodeIndexInterfaceName", "nodeName", "logLevel"}

# OpenPERouter's static files: lists of specs, each with a name beside its fields.
STATIC_LISTS = {
    "underlays": "Underlay",
    "l3vnis": "L3VNI",
    "l2vnis": "L2VNI",
    "l3vpns": "L3VPN",
    "rawfrrconfigs": "RawFRRConfig",
}
STATIC_PASSTHROUGH = "bgppassthrough"


def load(
    paths: Iterable[Path],
    overrides: NodeOverrides = NO_OVERRIDES,
    passwords: PasswordReader | None = None,
    look: Look = nowhere,
    reader: Reader | None = None,
) -> Resources:
    """Read files and directories (manifests sorted by name) and merge them, each file once.

    Objects of an API server come after manifests without a time of creation, in the order of these
    times. Raises ManifestError when a file cannot be read or parsed.
    """
    return merge(documents_of(paths, reader), overrides, passwords, look)


def merge(
    documents: Iterable[Document],
    overrides: NodeOverrides = NO_OVERRIDES,
    passwords: PasswordReader | None = None,
    look: Look = nowhere,
) -> Resources:
    """Build resources from documents. Raises ManifestError when this node cannot be identified."""
    collector = _Collector(passwords or PasswordReader())
    found: list[Document] = []
    try:
        for document in documents:
            found.append(document)  # noqa: PERF402 - those before an error are kept
    except ManifestError as error:  # errors of one file; the other files have been parsed
        collector.broken += error.violations
    for document in sorted(found, key=lambda d: created(d.value)):
        collector.add(document)
    if collector.broken:
        between = _between(collector, overrides)
        raise ManifestError(*collector.broken, *_all(collector.rejected), *between)
    try:
        node = choose(collector.nodes, overrides, look)
    except Unnumbered as error:
        violation = collector.violation_of(error.node, str(error))
        raise ManifestError(violation, *_all(collector.rejected)) from None
    except ValueError as error:
        raise ManifestError(str(error), *_all(collector.rejected)) from None
    return Resources(
        tuple(collector.items),
        tuple(schema.rejected(*owner, found) for owner, found in collector.rejected.items()),
        tuple(collector.partial),
        node,
        collector.digests,
        empty=not collector.documents,
    )


def _all(rejected: Mapping[Owner, Sequence[Violation]]) -> Iterator[Violation]:
    return (violation for violations in rejected.values() for violation in violations)


def _between(collector: _Collector, overrides: NodeOverrides) -> Iterator[Violation]:
    """Yield conflicts between the readable resources, although other files are unreadable."""
    try:
        node = choose(collector.nodes, overrides, nowhere)
    except ValueError:
        return
    found = (*collector.items, *collector.partial)
    for _, violations in also_wrong(Accepted(node), found, complete=False):
        yield from violations


def documents_of(paths: Iterable[Path], reader: Reader | None = None) -> Iterator[Document]:
    """Yield the documents of all files that can be read. Raises ManifestError with all errors."""
    broken: list[Violation] = []
    paths, reader = list(paths), reader or Reader()
    found = dict.fromkeys(file for path in paths for file in _files(path, broken))
    reader.forget_others(list(map(str, found)))
    for file in found:
        try:
            text = _text(file)
        except ManifestError as error:
            if file in paths or os.path.lexists(file):  # else deleted after its directory was read
                broken += error.violations
            continue
        try:
            yield from reader.read(text, str(file))
        except ManifestError as error:
            broken += error.violations
    if broken:
        raise ManifestError(*broken)


def _files(path: Path, broken: list[Violation]) -> list[Path]:
    try:
        return files(path)
    except OSError as error:
        broken.append(Violation(str(path), message=error.strerror or "cannot be read"))
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ManifestError(Violation(str(file), message="not text in UTF-8")) from None
    except OSError as error:
        raise ManifestError(Violation(str(file), message=error.strerror or "")) from None


def files(path: Path) -> list[Path]:
    """Return the manifests below a path, sorted. Raises OSError.

    It includes a dangling link, so that the link is an error: its resources were not deleted.
    """
    if not path.is_dir():
        return [path]
    found = (entry for entry in path.iterdir() if entry.suffix in SUFFIXES)
    return sorted(
        entry
        for entry in found
        if not entry.name.startswith(".")
        and (entry.is_file() or (entry.is_symlink() and not entry.exists()))
    )


class _Collector:
    """Sorts documents into resources, rejections and descriptions of nodes."""

    def __init__(self, passwords: PasswordReader) -> None:
        self._passwords = passwords
        self.items: list[Resource[Spec]] = []
        self.partial: list[Resource[Spec]] = []  # valid fields of rejected specs
        self.rejected: dict[Owner, list[Violation]] = {}
        self.broken: list[Violation] = []  # errors of the whole set
        self.nodes: list[Node] = []
        self._node_places: list[Origin] = []
        self.digests: dict[Owner, str] = {}
        self.documents = 0
        self._sources: dict[tuple[str, str], str] = {}
        self._alone: dict[tuple[str, str], str] = {}  # names that omit their namespace
        self._unnamed = 0

    def add(self, document: Document) -> None:
        self.documents += 1
        keys = document.value.keys()
        if keys & {"apiVersion", "kind"}:
            self._add_manifest(document)
        elif keys <= NODE_CONFIG_FIELDS:
            self._add_node(document, "")
        elif {str(key).lower() for key in keys} <= {*STATIC_LISTS, STATIC_PASSTHROUGH}:
            self._add_static(document)
        else:
            self._doubt(document, _unknown_document(document))

    def _add_manifest(self, document: Document) -> None:
        value = document.value
        if value.get("kind") == "List" and isinstance(value.get("items"), list):
            items = value["items"]
            for index in sorted(range(len(items)), key=lambda i: created(items[i])):
                if isinstance(items[index], dict):
                    self._add_manifest(document.part("items", index))
                else:
                    self._doubt(document, Complaint(("items", index), "not a manifest"))
            return
        kind, group = str(value.get("kind", "")), value.get("apiVersion")
        if not NAME.fullmatch(kind):
            at = Complaint(("kind",), "missing or not a name")
            self._reject("Manifest", document.source("kind"), document, at)
            return
        metadata = value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if kind == "Node" and group == schema.OUR_GROUP:
            self._add_our_node(document, name)
            return
        if kind == "Node" and group == "v1":
            self._add_api_node(document, metadata)
            return
        complaints = [*_problems_of(kind, group), *_unknown_fields(document)]
        if not isinstance(name, str) or not NAME.fullmatch(name):
            complaints.append(_bad_name(metadata))
            name = ""
        namespace = _namespace(metadata)
        if namespace is None:
            complaints.append(Complaint(("metadata", "namespace"), "not the name of a namespace"))
        name = self._within(kind, name, namespace or "") if name else document.source()
        if complaints:
            self._reject(kind, name, document, *complaints)
        if kind in schema.KINDS:
            spec = value.get("spec", {})
            usable = not complaints
            home = namespace or ""
            self._add_resource(kind, name, spec, document, ("spec",), usable=usable, namespace=home)

    def _within(self, kind: str, name: str, namespace: str) -> str:
        """Return the name of a resource that is unique across namespaces: `team-a/red`.

        In the usual namespaces it is the plain name, unless another resource has that.
        """
        if namespace not in USUAL_NAMESPACES:
            return f"{namespace}/{name}"
        if self._alone.setdefault((kind, name), namespace) == namespace:
            return name
        return f"{namespace or 'default'}/{name}"

    def _add_static(self, document: Document) -> None:
        for key, value in document.value.items():
            if key.lower() == STATIC_PASSTHROUGH:
                if value:
                    self._add_inline("L3Passthrough", value, document, (key,))
                continue
            if not isinstance(value, list | None):
                self._doubt(document, Complaint((key,), "must be a list"))
                continue
            for index, spec in enumerate(value or ()):
                self._add_inline(STATIC_LISTS[key.lower()], spec, document, (key, index))

    def _add_inline(
        self, kind: str, spec: object, document: Document, path: tuple[str | int, ...]
    ) -> None:
        """Add a spec that has its own name, or gets one from its place in the file."""
        name = f"static-{kind.lower()}-{self._unnamed}"
        if isinstance(spec, dict) and "name" in spec:
            spec = dict(spec)
            name = str(spec.pop("name"))
        else:
            self._unnamed += 1
        complaints = [Complaint((*path, *c.path), c.message) for c in _problems_of(kind)]
        if not NAME.fullmatch(name):
            complaints.append(Complaint((*path, "name"), "not a name"))
            name = document.source(*path)
        if complaints:
            self._reject(kind, name, document, *complaints)
        if kind in schema.KINDS:
            self._add_resource(kind, name, spec, document, path, usable=not complaints)

    def _add_resource(
        self,
        kind: str,
        name: str,
        spec: object,
        document: Document,
        path: tuple[str | int, ...],
        *,
        usable: bool,
        namespace: str = "",
    ) -> None:
        """Check a spec, and add it if the rest of its manifest is `usable`."""
        source = document.source(*path)
        if (earlier := self._sources.get((kind, name))) is not None:
            at = ("metadata", "name") if path == ("spec",) else path
            self._reject(kind, name, document, Complaint(at, f"already defined at {earlier}"))
            return
        self._sources[kind, name] = source
        self.digests[kind, name] = _digest(spec)
        complaints = Complaints()
        whole = self._passwords.resolve(spec, Path(document.path).parent, complaints)
        self.digests[kind, name] = _digest(whole)
        modern = modernise(kind, whole, complaints)
        parsed: Spec | None
        try:
            parsed = schema.parse(kind, modern)
        except InvalidSpec as error:
            # A part that was left out above may look missing here, or change a rule's result.
            before = {c.path for c in complaints.found}
            complaints.found += (c for c in error.complaints if not _follows(c, before))
            parsed, usable = error.partial, False
        if parsed is not None:
            origin = Origin(document, path)
            resource = Resource(kind, name, parsed, source, whole, origin, namespace)
            (self.items if usable and not complaints.found else self.partial).append(resource)
        if complaints.found:
            self._reject(kind, name, document, *complaints.found, path=path)

    def _add_our_node(self, document: Document, name: object) -> None:
        if not isinstance(name, str | None):
            self._doubt(document, Complaint(("metadata", "name"), "not a name"))
        for complaint in _unknown_fields(document):
            self._doubt(document, complaint)
        self._add_node(document, name if isinstance(name, str) else "", "spec")

    def _add_api_node(self, document: Document, metadata: object) -> None:
        try:
            self.nodes.append(api_node(metadata if isinstance(metadata, dict) else {}))
            self._node_places.append(Origin(document, ("metadata",)))
        except ValueError as error:
            self._doubt(document, Complaint(("metadata",), str(error)))

    def _add_node(self, document: Document, name: str, *path: str) -> None:
        spec: object = document.value
        for key in path:
            spec = document.value.get(key, {})
        try:
            self.nodes.append(NodeSpec.model_validate(spec).node(name))
            self._node_places.append(Origin(document, path))
        except ValidationError as error:
            for complaint in complaints_of(error):
                self._doubt(document, complaint, *path)

    def violation_of(self, node: Node, message: str) -> Violation:
        """Return the error in a node's number, with its position."""
        number = next(n for n, known in enumerate(self.nodes) if known is node)
        document, path = self._node_places[number].document, self._node_places[number].path
        older = "nodeIndexInterfaceName"
        field = older if older in document.value else "nodeIndex"
        kind = str(document.value.get("kind", ""))
        return document.violation(Complaint((field,), message), path, kind, node.name)

    def _doubt(self, document: Document, complaint: Complaint, *path: str) -> None:
        """Note an error of the whole set: the node is unknown, or a file cannot be parsed."""
        kind = str(document.value.get("kind", ""))
        metadata = document.value.get("metadata")
        name = str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
        self.broken.append(document.violation(complaint, path, kind, name))

    def _reject(
        self,
        kind: str,
        name: str,
        document: Document,
        *complaints: Complaint,
        path: tuple[str | int, ...] = (),
    ) -> None:
        found = self.rejected.setdefault((kind, name), [])
        shown = (
            "" if name.startswith(f"{document.path}:") else name
        )  # the position is shown separately
        found += (document.violation(c, path, kind, shown) for c in complaints)


def created(manifest: object) -> str:
    """Return when the API server made an object, RFC 3339 in UTC; "" for a manifest of a file.

    Sorted by it, files come first, and a younger object never disturbs an older one.
    """
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    time = metadata.get("creationTimestamp") if isinstance(metadata, dict) else None
    return time if isinstance(time, str) and CREATED.fullmatch(time) else ""


def _follows(complaint: Complaint, before: set[tuple[str | int, ...]]) -> bool:
    """Return whether a complaint may only follow from a part that an earlier one left out."""
    if not before:
        return False
    return complaint.message == "required, but missing" or not complaint.path


def _unknown_fields(document: Document) -> Iterator[Complaint]:
    for key in document.value.keys() - MANIFEST_FIELDS:
        yield Complaint((key,), "unknown field", closest(key, MANIFEST_FIELDS))


def _unknown_document(document: Document) -> Complaint:
    known = [*MANIFEST_FIELDS, *NODE_CONFIG_FIELDS, *STATIC_LISTS, STATIC_PASSTHROUGH]
    text = "neither a manifest with apiVersion and kind, nor a static configuration file"
    for key in document.value:
        if str(key).lower() not in map(str.lower, known) and (meant := closest(key, known)):
            return Complaint((key,), f"unknown field; {text}", meant)
    return Complaint((), text)


def _namespace(metadata: object) -> str | None:
    """Return the Kubernetes namespace; "" without one, None if it is not a valid name."""
    given = metadata.get("namespace") if isinstance(metadata, dict) else None
    if given is None:
        return ""
    return given if isinstance(given, str) and NAMESPACE.fullmatch(given) else None


def _bad_name(metadata: object) -> Complaint:
    text = "missing or not a name"
    if not isinstance(metadata, dict) or "name" in metadata:
        return Complaint(("metadata", "name"), text)
    for key in metadata:
        if key not in METADATA_FIELDS and closest(key, ["name"]):
            return Complaint(("metadata", key), "unknown field, and no name", "name")
    return Complaint(("metadata", "name"), text)


def _digest(spec: object) -> str:
    """Return a digest of a spec, for comparing versions. It is never shown."""
    return hashlib.sha256(repr(spec).encode()).hexdigest()


def _problems_of(kind: str, group: object = schema.GROUP) -> Iterator[Complaint]:
    """Yield why resources of this kind are refused, if so."""
    groups = [schema.GROUP, schema.OLD_GROUP, schema.OUR_GROUP]
    if group not in groups:
        text = f"{group!r} is not {schema.GROUP}"
        yield Complaint(("apiVersion",), text, closest(group, groups))
    if kind in schema.REFUSED_KINDS:
        yield Complaint(("kind",), schema.REFUSED_KINDS[kind])
    elif kind not in schema.KINDS:
        meant = closest(kind, [*schema.KINDS, "Node"])
        yield Complaint(("kind",), f"there is no kind {kind!r}", meant)
