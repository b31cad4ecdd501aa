"""Write batches of records to the kernel: plan against the picture, send the requests."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from datapaths.base import RowFailure
from datapaths.kernel.channel import Channel
from datapaths.kernel.picture import Picture
from datapaths.kernel.plan import Planner
from datapaths.kernel.routes import ABSENT, failure
from datapaths.kernel.wire import neighbors
from dualpath.model.records import RecordBatch
from dualpath.netlink.message import Answer, is_deletion


class RecordWriter:
    """Writes records other than devices. The caller must have the picture's turn."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        seen = picture.observer
        self._planner = Planner(seen.links, seen.layer2, seen.nexthops, seen.segments)

    async def apply(self, channel: Channel, batch: RecordBatch) -> Sequence[RowFailure]:
        self._picture.catch_up()
        await self._picture.settle_nexthops()
        plan = self._planner.plan(batch)
        try:
            refused = await channel.send(plan.requests)
        finally:
            # Notifications of bridges and VXLAN devices do not name the program that caused them.
            self._picture.catch_up(plan.touched)
        failures = {row.index: row for row in plan.failures}
        for at, answer in refused:
            if not self._is_success(plan.requests[at], answer):
                failures.setdefault(plan.rows[at], failure(plan.rows[at], answer))
        return [failures[index] for index in sorted(failures)]

    def _is_success(self, request: bytes, answer: Answer) -> bool:
        """Return whether the kernel's state is as requested in spite of the refusal."""
        if is_deletion(request):
            return answer.errno in ABSENT
        if answer.errno == errno.EAFNOSUPPORT and neighbors.is_mapped(request):
            # This kernel has no IPv6, so no route uses the ::ffff: form.
            self._picture.observer.layer2.mapped = False
            return True
        return False
