"""The manifest files of a node that follows an API server, separate from the API's objects."""

from __future__ import annotations

from controller.intent.documents import ManifestError
from controller.kubernetes.statics import Files
from controller.manifests.files import ManifestFiles, Traces
from controller.settings import Settings


class StaticFiles:
    """Reads the files of --config again when one changed."""

    def __init__(self, settings: Settings, node: str) -> None:
        self._files = ManifestFiles(settings, settings.files, node)
        self._seen: Traces | None = None
        self._found = Files(index=settings.node_index)

    def read(self) -> Files:
        """Return the contents of the files; if they cannot be parsed, the previous contents."""
        seen = (*self._files.manifests(), *self._files.passwords())
        if seen != self._seen:
            self._found = self._load()
            self._seen = seen
        return self._found

    def _load(self) -> Files:
        try:
            found = self._files.load()
        except ManifestError:  # the controller reads the same files, and reports it
            return self._found
        index = found.node.index if found.node.numbered else None
        return Files(found.items, frozenset(s.owner for s in found.rejected), index)
