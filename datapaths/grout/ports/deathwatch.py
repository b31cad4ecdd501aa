"""Give the traffic of shared ports to the kernel as soon as grout begins to end.

A killed grout forwards nothing from the first moment on, but its process ends much later. The
kernel first frees its memory, and then removes its TAPs, one after the other, each under the lock
of all devices (RTNL). With two ports on a busy machine, in ms after SIGKILL:

      1-5   /proc/PID/stat shows it
    70-85   the first TAP is gone
      130   its connections are closed
  420-530   its pidfd says that it has ended

A process that waits for the removal of a TAP then also waits for RTNL, behind the removal of the
other TAPs: traffic was back after 270 to 640 ms. So a thread looks at the process every 10 ms, and
removes the filters that redirect to grout before the first TAP is removed. With flower that needs
no RTNL.

The other filters of a port only copy to its wire: `Watch` removes them.

Rejected: a pidfd of each thread, which reports as early, but needs Linux 6.9 and a list of threads
that is never late. Reading the filters first: a dump needs RTNL.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread

from datapaths.linux.filters import Filters
from datapaths.linux.wire.filters import WIRE_PRIORITIES

log = logging.getLogger(__name__)

LOOK_S = 0.01
ABSENT_S = 0.5  # between two looks while grout is not running, or has no shared port


class Deathwatch:
    """Watches one grout after the other. `runs` returns whether a grout runs and is not ending."""

    def __init__(self, forwarding: str, runs: Callable[[], bool]) -> None:
        self._forwarding = forwarding
        self._runs = runs
        self.ports: Mapping[str, int] = {}  # shared ports, and their interface indexes

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch in a thread during a block: the event loop may be busy at the critical moment."""
        over = Event()
        if self._forwarding:  # without it, no port is shared
            Thread(target=self._watch, args=(over,), name="deathwatch", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: Event) -> None:
        ran = False
        while not over.wait(LOOK_S if ran and self.ports else ABSENT_S):
            runs = self._runs()
            if ran and not runs:
                self._release()
            ran = runs

    def _release(self) -> None:
        ports = self.ports
        try:
            with Filters(self._forwarding, WIRE_PRIORITIES) as filters:
                had = filters.stop_redirecting(ports.values())
        except OSError as error:  # `Watch` will try, port by port
            log.warning("grout ends, and its ports cannot be given to the kernel: %s", error)
            return
        if names := [name for name, index in ports.items() if index in had]:
            log.warning("grout ends; the kernel forwards again for: %s", ", ".join(names))
