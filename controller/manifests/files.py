"""The manifest files of one node, and the password files that they name: loaded and watched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from controller.intent.documents import Reader
from controller.intent.loader import files, load
from controller.intent.node import NodeOverrides
from controller.intent.passwords import PasswordReader
from controller.intent.schema import Resources
from controller.manifests.numbering import looking
from controller.settings import Settings

Trace = tuple[str, int, int, int]
"""What changes when a file does: its path, inode, modification time and size."""
Traces = tuple[Trace, ...]


class ManifestFiles:
    """All files that --config names, or some of them."""

    def __init__(
        self, settings: Settings, paths: Sequence[Path] | None = None, node: str | None = None
    ) -> None:
        """`node` is the name of this node if the command line does not give it."""
        self._paths = settings.config if paths is None else tuple(paths)
        self._secrets = settings.secrets
        self._addresses = looking(settings.netns)
        self._reader = Reader()
        self._passwords: set[Path] = set()  # files that the last load looked for
        self.overrides = NodeOverrides(settings.node_name or node, settings.node_index)
        self.named = ", ".join(map(str, self._paths))

    def load(self) -> Resources:
        """Read everything. Raises ManifestError when a file cannot be understood."""
        passwords = PasswordReader(self._secrets)
        try:
            return load(self._paths, self.overrides, passwords, self._addresses, self._reader)
        finally:
            self._passwords = passwords.consulted

    def manifests(self) -> Traces:
        """Return the traces of the manifests; an absent file has one, too."""
        return tuple(_trace(file) for path in self._paths for file in _files(path))

    def passwords(self) -> Traces:
        """Return the traces of the password files that the last load looked for."""
        return tuple(map(_trace, sorted(self._passwords)))


def _files(path: Path) -> list[Path]:
    try:
        return files(path)
    except OSError:
        return [path]


def _trace(file: Path) -> Trace:
    try:
        seen = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), seen.st_ino, seen.st_mtime_ns, seen.st_size
