"""Which version of the manifests is in force. Pure.

Dualpath keeps four versions, because an edit may be rejected, refused by FRR, or not confirmed:

    files      what the files say now
    in_force   the same, but with the earlier version of each resource that is rejected or refused
    good       the last `in_force` that FRR accepted; with --confirm-within, that somebody confirmed
    pending    what becomes `good` when somebody confirms the change on trial

For example: FRR accepted L3VNI red with vni 100, so that is `good`. An edit to vni 0 is rejected:
`files` has no red but its rejection, `in_force` and `good` have red with vni 100. An edit to vni
200 is in force at once, and good when FRR has accepted it.

Rejected: one version, with an edit refused as a whole. One typing error would keep every other
tenant's change out.
"""

from __future__ import annotations

from dataclasses import replace

from controller.intent.lastgood import keep_last_good, reject, settle
from controller.intent.reasons import Reason
from controller.intent.schema import Owner, Resources
from controller.intent.written import encode


class Versions:
    """The versions of one node's manifests."""

    def __init__(self) -> None:
        self.files = Resources()
        self.in_force = Resources()
        self.good = Resources()
        self.pending: Resources | None = None
        self._refused: dict[Owner, str] = {}  # by FRR, and why

    @property
    def changed(self) -> bool:
        """Return whether the manifests in force differ from the last good ones."""
        return encode(self.in_force) != encode(self.good)

    @property
    def in_force_is_pending(self) -> bool:
        """Return whether the manifests in force are those that wait for a confirmation."""
        return self.pending is not None and encode(self.in_force) == encode(self.pending)

    def begin(self, files: Resources, good: Resources) -> None:
        """Start with what the files say, and what was good in an earlier run."""
        self.files, self.good = files, good
        self.in_force = settle(good, files, files.node)

    def edit(self, found: Resources) -> None:
        """Replace what the files say. FRR may accept what it refused once that is edited."""
        before = self.files.digests
        self._refused = {
            owner: why
            for owner, why in self._refused.items()
            if found.digests.get(owner) == before.get(owner)
        }
        self.files = found
        self._settle()

    def refuse(self, owner: Owner, why: str) -> None:
        """Leave out a resource that FRR refuses; its last good version comes first."""
        if owner in self._refused:  # what FRR refused now was the last good version
            items = tuple(r for r in self.good.items if r.owner != owner)
            self.good = replace(self.good, items=items)
        self._refused[owner] = why
        self._settle()

    def accept(self) -> bool:
        """Make what is in force the last good version; tell whether it was another one."""
        changed = self.good is not self.in_force
        self.good = self.in_force
        return changed

    def confirm(self) -> None:
        """Make the pending version the last good one; a later edit was confirmed by nobody."""
        self.good, self.pending = self.pending or self.in_force, None

    def roll_back(self) -> None:
        """Return to the last good version, as if it were in the files."""
        self.files = self.in_force = self.good
        self.pending = None
        self._refused = {}

    def _settle(self) -> None:
        settled = settle(self.in_force, self.files, self.files.node)
        if self._refused:
            rejected = reject(settled, self._refused, Reason.FRR_CONFIGURATION_FAILED)
            settled = keep_last_good(self.good, rejected)
        self.in_force = settled
