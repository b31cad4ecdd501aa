"""API objects as manifests in files: one file each, in a directory of the controller's own.

The controller reads that directory as it reads --config, so files and API objects go through one
pipeline, and a node that boots without an API server starts from the last mirror. Only root can
read passwords: a Secret is a file beside the manifests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.intent.node import NODE_INDEX as NODE_INDEX
from controller.intent.node import REVISION, annotated, permitted_revision
from controller.intent.schema import GROUP
from controller.kubernetes.objects import Key, Object

log = logging.getLogger(__name__)

SECRET_TYPE, SECRET_KEY = "kubernetes.io/basic-auth", "password"
LONGEST_NAME = 200  # bytes of a file's name, before the hash that replaces the rest
MODE = 0o600
NODE = "node.json"

Objects = Mapping[str, Mapping[Key, Object]]
"""The objects that count, by kind: `objects.effective`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The mirror's contents, as this run or an earlier one wrote them."""

    revision: str = ""  # "" where no rollout decides
    generations: Mapping[str, int] = field(default_factory=dict)  # of each object, by its uid
    exists: bool = False


def node_index(node: Object) -> int | None:
    """Return the number of a Node, None if it has none or it is invalid."""
    return annotated(node["metadata"].get("annotations") or {})


def manifests(objects: Objects, node: Object, secrets: Path, revision: str = "") -> dict[str, str]:
    """Return the text of every file by its name: one per object, the Node's last."""
    found = {_file(kind, key): _manifest(kind, item, secrets) for kind, key, item in _all(objects)}
    return found | {NODE: node_manifest(node, revision)}


def node_manifest(node: Object, revision: str) -> str:
    """Return a Node with the fields that `node.api_node` reads, without heartbeats."""
    metadata, index = node["metadata"], node_index(node)
    annotations = {} if index is None else {NODE_INDEX: str(index)}
    annotations |= {REVISION: revision} if revision else {}
    named = {"name": metadata["name"], "labels": metadata.get("labels") or {}}
    named |= {"annotations": annotations}
    return _text({"apiVersion": "v1", "kind": "Node", "metadata": named})


def taken(directory: Path) -> Taken:
    """Read the mirror; skip unreadable files."""
    revision, generations, exists = "", {}, False
    for path in sorted(directory.glob("*.json")):
        try:
            metadata = json.loads(path.read_bytes())["metadata"]
            if path.name == NODE:
                exists = True
                revision = permitted_revision(metadata.get("annotations") or {})
            elif type(metadata["generation"]) is int:
                generations[str(metadata["uid"])] = metadata["generation"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return Taken(revision, generations, exists)


def generations(objects: Objects) -> dict[str, int]:
    """Return the generation of each object, by its uid."""
    return {
        str(item["metadata"].get("uid")): item["metadata"].get("generation") or 0
        for _, _, item in _all(objects)
    }


def secrets_named(objects: Objects) -> set[Key]:
    """Return the namespaces and names of the Secrets to which objects refer."""
    return {
        (key[0], session["passwordSecret"])
        for _, key, item in _all(objects)
        for session in _sessions(item.get("spec"))
        if isinstance(session.get("passwordSecret"), str)
    }


def password(secret: Object) -> bytes | None:
    """Return the password in a Secret, None if it has none. Raises ValueError."""
    data = (secret.get("data") or {}).get(SECRET_KEY)
    return base64.b64decode(data, validate=True) if isinstance(data, str) else None


def write(directory: Path, files: Mapping[str, str | bytes]) -> bool:
    """Make a directory contain exactly these files; tell whether it changed. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    changed = False
    for name, text in files.items():
        data = text.encode() if isinstance(text, str) else text
        path = directory / name
        if not path.is_file() or path.read_bytes() != data:
            _replace(path, data)
            changed = True
    for path in directory.iterdir():
        if path.name not in files:
            path.unlink()
            changed = True
    return changed


def put(directory: Path, name: str, text: str) -> None:
    """Write one file of a directory. Raises OSError."""
    path = directory / name
    if not path.is_file() or path.read_text() != text:
        _replace(path, text.encode())


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    partial.replace(path)


def _all(objects: Objects) -> Iterator[tuple[str, Key, Object]]:
    for kind, items in objects.items():
        for key in sorted(items):
            yield kind, key, items[key]


def _manifest(kind: str, item: Object, secrets: Path) -> str:
    metadata = item["metadata"]
    # By the time of creation the loader orders; uid and generation are for `taken`.
    kept = ("name", "namespace", "creationTimestamp", "uid", "generation")
    names = {name: metadata[name] for name in kept if metadata.get(name)}
    spec = _with_files(item.get("spec") or {}, secrets / (metadata.get("namespace") or ""))
    return _text({"apiVersion": GROUP, "kind": kind, "metadata": names, "spec": spec})


def _with_files(spec: Any, secrets: Path) -> Any:  # noqa: ANN401 - whatever the API server holds
    """Return a spec with files in place of Secrets; it cannot name files of the node."""
    copy = json.loads(json.dumps(spec))
    for session in _sessions(copy):
        session.pop("passwordFile", None)
        if isinstance(session.get("passwordSecret"), str):
            session["passwordFile"] = str(secrets / short(session.pop("passwordSecret")))
    return copy


def _sessions(spec: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    if not isinstance(spec, dict):
        return
    found = spec.get("neighbors")
    neighbors = found if isinstance(found, list) else []
    yield from (s for s in (spec.get("hostSession"), *neighbors) if isinstance(s, dict))


def _file(kind: str, key: Key) -> str:
    return f"{short('.'.join((kind.lower(), *key)))}.json"


def short(name: str) -> str:
    """Return a valid file name that is as unique as the whole name."""
    if len(name) <= LONGEST_NAME and "/" not in name and not name.startswith("."):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[:LONGEST_NAME].replace('/', '_').lstrip('.')}-{digest}"


def _text(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
