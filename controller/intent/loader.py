"""Manifests from files: the one part of intent that reads. What it finds is judged elsewhere.

A file that is not YAML is an error of the whole, since nobody can tell what it would have said; a
resource that breaks a rule is rejected by name and leaves the others alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from controller.intent import schema
from controller.intent.aliases import modernise
from controller.intent.documents import Document, ManifestError, read
from controller.intent.fields import Spec
from controller.intent.node import NO_OVERRIDES, Node, NodeOverrides, NodeSpec, choose
from controller.intent.passwords import PasswordReader
from controller.intent.schema import InvalidSpec, Owner, Resource, Resources
from controller.model.view import ResourceStatus

SUFFIXES = (".yaml", ".yml", ".json")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
MANIFEST_FIELDS = {"apiVersion", "kind", "metadata", "spec", "status"}
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
) -> Resources:
    """Read files and directories (their manifests sorted by name) and merge them, each file once.

    Raises ManifestError when one cannot be read or understood at all.
    """
    return merge(_documents(paths), overrides, passwords)


def merge(
    documents: Iterable[Document],
    overrides: NodeOverrides = NO_OVERRIDES,
    passwords: PasswordReader | None = None,
) -> Resources:
    """Make resources of documents. Raises ManifestError when the node is in doubt."""
    collector = _Collector(passwords or PasswordReader())
    for document in documents:
        collector.add(document)
    try:
        node = choose(collector.nodes, overrides)
    except ValueError as error:
        raise ManifestError(str(error)) from None
    return Resources(
        tuple(collector.items),
        tuple(collector.rejected),
        node,
        collector.digests,
        empty=not collector.documents,
    )


def _documents(paths: Iterable[Path]) -> Iterator[Document]:
    try:
        for file in dict.fromkeys(file for path in paths for file in files(path)):
            yield from read(_text(file), str(file))
    except OSError as error:
        raise ManifestError(f"{error.filename}: {error.strerror}") from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ManifestError(f"{file}: not text in UTF-8") from None


def files(path: Path) -> list[Path]:
    """Return the manifests that a path means, sorted. Raises OSError.

    A link that leads nowhere is among them, so that it is an error: what it stood for is not gone.
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
        self.rejected: list[ResourceStatus] = []
        self.nodes: list[Node] = []
        self.digests: dict[Owner, str] = {}
        self.documents = 0
        self._sources: dict[tuple[str, str], str] = {}
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
            raise ManifestError(
                f"{document.source()}: neither a manifest with apiVersion and kind, nor a static "
                f"configuration file"
            )

    def _add_manifest(self, document: Document) -> None:
        value = document.value
        if value.get("kind") == "List" and isinstance(value.get("items"), list):
            for index, item in enumerate(value["items"]):
                if not isinstance(item, dict):
                    raise ManifestError(f"{document.source('items', index)}: not a manifest")
                self._add_manifest(document.part("items", index))
            return
        kind, group = str(value.get("kind", "")), value.get("apiVersion")
        if not NAME.fullmatch(kind):
            self._reject("Manifest", document.source("kind"), "kind: missing or not a name")
            return
        metadata = value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if kind == "Node" and group == schema.OUR_GROUP:
            self._add_our_node(document, name)
        elif not isinstance(name, str) or not NAME.fullmatch(name):
            self._reject(kind, document.source(), "metadata.name: missing or not a name")
        elif (problem := _problem_of(kind, group)) is not None:
            self._reject(kind, name, f"{problem} ({document.source('kind')})")
        elif unknown := value.keys() - MANIFEST_FIELDS:
            first = min(map(str, unknown))
            self._reject(kind, name, f"{first}: no such field ({document.source(first)})")
        else:
            self._add_resource(kind, name, value.get("spec", {}), document, ("spec",))

    def _add_static(self, document: Document) -> None:
        for key, value in document.value.items():
            if key.lower() == STATIC_PASSTHROUGH:
                if value:
                    self._add_inline("L3Passthrough", value, document, (key,))
                continue
            if not isinstance(value, list | None):
                raise ManifestError(f"{document.source(key)}: `{key}` is not a list")
            for index, spec in enumerate(value or ()):
                self._add_inline(STATIC_LISTS[key.lower()], spec, document, (key, index))

    def _add_inline(
        self, kind: str, spec: object, document: Document, path: tuple[str | int, ...]
    ) -> None:
        """Add a spec that carries its own name, or is given one by its place."""
        name = f"static-{kind.lower()}-{self._unnamed}"
        if isinstance(spec, dict) and "name" in spec:
            spec = dict(spec)
            name = str(spec.pop("name"))
        else:
            self._unnamed += 1
        if (problem := _problem_of(kind, schema.GROUP)) is not None:
            self._reject(kind, name, f"{problem} ({document.source(*path)})")
        elif not NAME.fullmatch(name):
            self._reject(kind, document.source(*path), "name: not a name")
        else:
            self._add_resource(kind, name, spec, document, path)

    def _add_resource(
        self, kind: str, name: str, spec: object, document: Document, path: tuple[str | int, ...]
    ) -> None:
        source = document.source(*path)
        if (earlier := self._sources.get((kind, name))) is not None:
            self._reject(kind, name, f"already defined at {earlier} ({source})")
            return
        self._sources[kind, name] = source
        self.digests[kind, name] = _digest(spec)
        try:
            whole = self._passwords.resolve(spec, Path(document.path).parent)
            self.digests[kind, name] = _digest(whole)
            parsed = schema.parse(kind, modernise(kind, whole))
        except PydanticCustomError as error:
            self._reject(kind, name, f"spec: {error.message()} ({source})")
        except InvalidSpec as error:
            self._reject(kind, name, f"{error} ({document.source(*path, *error.path)})")
        else:
            self.items.append(Resource(kind, name, parsed, source, whole))

    def _add_our_node(self, document: Document, name: object) -> None:
        if not isinstance(name, str | None):
            raise ManifestError(f"{document.source('metadata', 'name')}: metadata.name: not a name")
        if unknown := document.value.keys() - MANIFEST_FIELDS:
            first = min(map(str, unknown))
            raise ManifestError(f"{document.source(first)}: {first}: no such field of a Node")
        self._add_node(document, name or "", "spec")

    def _add_node(self, document: Document, name: str, *path: str) -> None:
        spec: object = document.value
        for key in path:
            spec = document.value.get(key, {})
        try:
            self.nodes.append(NodeSpec.model_validate(spec).node(name))
        except ValidationError as error:
            problem = schema.invalid(error, path[0] if path else "node-config")
            where = document.source(*path, *problem.path)
            raise ManifestError(f"{where}: {problem}") from None

    def _reject(self, kind: str, name: str, message: str) -> None:
        self.rejected.append(ResourceStatus(kind, name, False, "ValidationFailed", message))


def _digest(spec: object) -> str:
    """Return what tells one version of a spec from another; nobody is shown it."""
    return hashlib.sha256(repr(spec).encode()).hexdigest()


def _problem_of(kind: str, group: object) -> str | None:
    """Return why no resource of this kind can be taken, if so."""
    if group not in (schema.GROUP, schema.OLD_GROUP):
        return f"apiVersion {group!r} is not {schema.GROUP}"
    if kind in schema.KINDS:
        return None
    return schema.REFUSED_KINDS.get(kind, f"there is no kind {kind!r}")
