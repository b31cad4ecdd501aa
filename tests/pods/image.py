"""Makes an image of a few files: an OCI archive, without any builder.

The programs of a pod that tests start are a tree of the lab, mounted read-only into the container:
an image of the whole tree would take longer than the test.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(slots=True)
class Image:
    """What is in an image, besides `name`: paths are relative to its root."""

    name: str
    entrypoint: Sequence[str]
    files: dict[str, bytes] = field(default_factory=dict)
    programs: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)  # with the id of user and group

    def add_tree(self, source: Path, target: str) -> None:
        for path in sorted(source.rglob("*")):
            name = f"{target}/{path.relative_to(source)}"
            if path.is_symlink():
                self.links[name] = str(path.readlink())
            elif path.is_file():
                self.files[name] = path.read_bytes()

    def write(self, archive: Path) -> None:
        """Write an archive that `ctr images import` takes."""
        layer = self._layer()
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": list(self.entrypoint)},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _described(CONFIG, config),
                "layers": [_described(LAYER, layer)],
            }
        )
        named = {
            "org.opencontainers.image.ref.name": self.name,
            "io.containerd.image.name": self.name,
        }
        index = {"schemaVersion": 2, "manifests": [_described(MANIFEST, manifest, named)]}
        with tarfile.open(archive, "w") as tar:
            _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add(tar, "index.json", _json(index))
            for blob in (layer, config, manifest):
                _add(tar, f"blobs/{_digest(blob).replace(':', '/')}", blob)

    def _layer(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, owner in self.directories.items():
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                entry.uid = entry.gid = owner
                tar.addfile(entry)
            for name, target in self.links.items():
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                tar.addfile(entry)
            for name, content in self.files.items():
                _add(tar, name, content)
            for name, content in self.programs.items():
                _add(tar, name, content, 0o755)
        return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _described(
    kind: str, blob: bytes, annotations: Mapping[str, str] | None = None
) -> dict[str, object]:
    found: dict[str, object] = {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}
    return {**found, "annotations": dict(annotations)} if annotations else found


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
