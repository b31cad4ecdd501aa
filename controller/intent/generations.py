"""Numbers the versions of a resource, as Kubernetes does in `metadata.generation`. Pure."""

from __future__ import annotations

from dataclasses import replace

from controller.intent.schema import Owner, Resources
from dualpath.model.view import ResourceStatus


class Generations:
    """Counts the versions of each resource's spec, from 1."""

    def __init__(self) -> None:
        self._seen: dict[Owner, tuple[str, int]] = {}

    def note(self, resources: Resources) -> None:
        """Count the versions in the files. A resource that was deleted starts again at 1."""
        seen: dict[Owner, tuple[str, int]] = {}
        for owner, digest in resources.digests.items():
            before, number = self._seen.get(owner, ("", 0))
            seen[owner] = (digest, number + (digest != before))
        self._seen = seen

    def number(self, status: ResourceStatus) -> ResourceStatus:
        """Return a status with its resource's generation."""
        _, number = self._seen.get(status.owner, ("", 0))
        return replace(status, generation=number)
