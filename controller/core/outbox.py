"""Local hosts on their way to frr-bridge, joined into few messages. No I/O.

Hosts are learned one by one, but often many at once: 200 move, or a port with 10,000 comes up. One
message per host costs both processes more than the row itself. Also, the bus queues some 2,000
messages and refuses more, so a longer burst would lose hosts, and FRR would not advertise them. So
changes wait here until the event loop has processed its input, and the last change of each host
wins:

    input       MAC a, address 1, MAC b, MAC a gone      one turn of the event loop
    message     macs: b; gone: a; neighbors: 1
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import islice

from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor

ROWS = 1024  # of one message; frr-bridge writes them without a pause


class Outbox:
    """Joins changes of local hosts.

    `send` returns False if the bus takes no message now: then `flush` repeats it. While no
    frr-bridge is `connected`, changes are dropped, because the next one gets every host. `soon`
    calls a function after the event loop has processed its input.
    """

    def __init__(
        self,
        send: Callable[[Mirror], bool],
        connected: Callable[[], bool],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._send = send
        self._connected = connected
        self._soon = soon
        self._scheduled = False
        self._whole: Mirror | None = None
        self._changes: dict[Hashable, tuple[Mac | Neighbor, bool]] = {}  # with whether it is gone

    def put(self, mirror: Mirror) -> None:
        """Add changes; a whole set replaces all that waits."""
        if mirror.whole:
            self._whole = mirror
            self._changes.clear()
        else:
            self._note(mirror.gone_macs, gone=True)
            self._note(mirror.gone_neighbors, gone=True)
            self._note(mirror.macs, gone=False)
            self._note(mirror.neighbors, gone=False)
        self._schedule()

    def flush(self) -> None:
        """Send one message; others follow in later turns. Call it now and then.

        A call repeats what the bus did not take.
        """
        if not self._connected():
            self._whole = None
            self._changes.clear()
        if self._whole:
            if not self._send(self._whole):
                return
            self._whole = None
        else:
            some = dict(islice(self._changes.items(), ROWS))
            if some and not self._send(_joined(some.values())):
                return
            for key in some:
                del self._changes[key]
        if self._changes:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._soon(self._flush)

    def _note(self, records: Iterable[Mac | Neighbor], *, gone: bool) -> None:
        for record in records:
            self._changes[type(record), record.key] = record, gone

    def _flush(self) -> None:
        self._scheduled = False
        self.flush()


def _joined(changes: Iterable[tuple[Mac | Neighbor, bool]]) -> Mirror:
    macs: dict[bool, list[Mac]] = {True: [], False: []}
    neighbors: dict[bool, list[Neighbor]] = {True: [], False: []}
    for record, gone in changes:
        if isinstance(record, Mac):
            macs[gone].append(record)
        else:
            neighbors[gone].append(record)
    return Mirror(
        macs=tuple(macs[False]),
        neighbors=tuple(neighbors[False]),
        gone_macs=tuple(macs[True]),
        gone_neighbors=tuple(neighbors[True]),
    )
