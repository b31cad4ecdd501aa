"""How the reconciler reports rows that the datapath refuses."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from controller.core.refusals import Refusals
from datapaths.base import Batch, RowFailure
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.links import Port, Vni
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch
from tests.fakes.core import RETRY_S, Core, LoggingDatapath, running
from tests.fakes.logs import Written


class Refusing(LoggingDatapath):
    """Refuses every row."""

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        return [RowFailure(index, errno.ENODEV, "no such device") for index in range(len(batch))]


async def test_rows_that_stay_refused_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = Core()
    made.datapath.refuse[Kind.VNI, 100] = errno.EADDRNOTAVAIL
    async with running(made):
        made.state.want(Kind.VNI, [Vni(100)])
        made.state.want(Kind.PORT, [Port("lo", loopback=True)])
        await made.settle()
        made.clock.advance(RETRY_S[0])
        await made.settle()
    assert caplog.messages == ["VNI 100: EADDRNOTAVAIL: refused by a test"]


async def test_unavailability_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    made = Core()
    async with running(made):
        made.datapath.unavailable = True
        made.state.want(Kind.VNI, [Vni(100)])
        await made.settle()
        made.clock.advance(RETRY_S[0])
        await made.settle()
        made.datapath.unavailable = False
        made.reconciler.wake()
        await made.settle()
    assert caplog.messages == [
        "memory: unavailable: switched off by a test; retrying",
        "memory: available again",
    ]


@pytest.mark.parametrize(
    ("rows", "reasons", "rounds"), [(100_000, 1, 1), (100_000, 7, 50), (3000, 3000, 1)]
)
def test_refused_rows_are_few_lines_with_the_right_count(
    rows: int, reasons: int, rounds: int
) -> None:
    refusals = Refusals()
    with Written() as written:
        for start in range(rounds):
            for row in range(start, rows, rounds):
                refusals.note(Kind.NEXTHOP, row, f"ENODEV {row % reasons}")
            refusals.report()
        assert written.rows == rows
        assert len(written.lines) <= 20


@pytest.mark.parametrize(
    "records",
    [
        [Nexthop(n, NexthopType.DEVICE, device="eth0") for n in range(1, 2001)],
        [Mac(100, n.to_bytes(6), b"\x64\x40\x00\x02") for n in range(2000)],
        [Neighbor(100, n.to_bytes(4), b"\2\0\0\0\0\1") for n in range(2000)],
        [Neighbor(100, n.to_bytes(16), b"\2\0\0\0\0\1") for n in range(2000)],
    ],
    ids=["nexthops", "MACs", "ARP", "ND"],
)
async def test_refused_records_of_every_kind_are_few_lines(records: list[Record]) -> None:
    made = Core(Refusing())
    made.subscribe()
    with Written() as written:
        async with running(made):
            batch = RecordBatch(records[0].kind, tuple(records))
            made.state.learn(events.Changed(batch))
            await made.settle()
        assert written.rows == len(records)
        assert len(written.lines) <= 20
