"""Numbers for the versions of a resource, as Kubernetes has `metadata.generation`. Pure."""

from __future__ import annotations

from dataclasses import replace

from controller.intent.schema import Owner, Resources
from controller.model.view import ResourceStatus


class Generations:
    """Counts how often each resource's spec has changed, from 1 on."""

    def __init__(self) -> None:
        self._seen: dict[Owner, tuple[str, int]] = {}
        self._good: dict[Owner, int] = {}

    def note(self, resources: Resources) -> None:
        """Take what the files say now. A resource that is gone begins anew."""
        seen: dict[Owner, tuple[str, int]] = {}
        for owner, digest in resources.digests.items():
            before, number = self._seen.get(owner, ("", 0))
            seen[owner] = (digest, number + (digest != before))
        self._seen = seen
        self._good = {owner: number for owner, number in self._good.items() if owner in seen}

    def number(self, status: ResourceStatus) -> ResourceStatus:
        """Return a status with its resource's generation, and the one that is to be applied."""
        owner = (status.kind, status.name)
        generation = self._seen.get(owner, ("", 0))[1]
        if status.ready:
            self._good[owner] = generation
        return replace(
            status, generation=generation, applied_generation=self._good.get(owner, 0)
        )
