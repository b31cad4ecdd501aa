"""Pings through machines for the length of a block, with the time of each one that is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from tests.lab.ping import FlowResult, Source, flows

RATE_PER_S = 50.0
AFTERWARDS_S = 2.5  # a flow goes on, so that it sees what the last change did
FEWEST = 100


@contextmanager
def no_packet_lost(
    machines: Iterable[Source], addresses: Sequence[str], said: Callable[[], str]
) -> Iterator[None]:
    """Ping addresses from machines. Fails with the times of the losses, and with what `said` is."""
    pairs = [(machine, address) for machine in machines for address in addresses]
    with flows(*pairs, rate_per_s=RATE_PER_S) as results:
        yield
        time.sleep(AFTERWARDS_S)
    names = [f"{machine.name} to {address}" for machine, address in pairs]
    found = dict(zip(names, results, strict=True))
    assert all(result.transmitted > FEWEST for result in results), found
    lost = [f"{name}: {_told(result)}" for name, result in found.items() if result.lost]
    assert not lost, "\n".join([*lost, said()])


def _told(result: FlowResult) -> str:
    """Return a result with the times that the logs have."""
    offset = time.time() - time.monotonic() + result.began_s
    spans = [
        f"{datetime.fromtimestamp(offset + first, UTC):%H:%M:%S.%f} for {last - first:.2f} s"
        for first, last in result.lost_spans()
    ]
    return f"{result.lost} of {result.transmitted} lost, from {', from '.join(spans)}"
