"""Another program changes devices while the kernel datapath builds others, or the same ones."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

import pytest

from datapaths.base import Batch, Lost, PortState, RowFailure
from datapaths.kernel.driver import KernelDatapath
from datapaths.kernel.layout import Layout
from dualpath.model.kinds import Kind
from dualpath.model.links import Vni
from dualpath.model.records import Record, RecordBatch
from tests.fakes.batches import upsert
from tests.fakes.netns import fresh, ip
from tests.netns.test_kernel_driver import Ears

pytestmark = pytest.mark.netns

FIRST = Vni(110, local=bytes([10, 0, 0, 1]), mac=bytes.fromhex("00f30000006e"))
SECOND = Vni(111, local=FIRST.local, mac=FIRST.mac)


class Disturbed:
    """A layout with a concurrent change: `meanwhile` runs within each `apply`."""

    def __init__(self, netns: str) -> None:
        self._layout = Layout(netns)
        self.meanwhile: Callable[[], object] = lambda: None
        self.applied = 0

    def prepare(self) -> Sequence[str]:
        return self._layout.prepare()

    def apply(self, batch: RecordBatch) -> Sequence[RowFailure]:
        self.applied += 1
        try:
            return self._layout.apply(batch)
        finally:
            self.meanwhile()

    def dump(self, kind: Kind) -> Sequence[Record]:
        return self._layout.dump(kind)

    def differing(self, records: Sequence[Record]) -> Sequence[tuple[Record, Sequence[str]]]:
        return self._layout.differing(records)

    def ports(self) -> Sequence[PortState]:
        return self._layout.ports()

    def leave(self, old: str) -> None:
        self._layout.leave(old)


def rows(batch: Batch) -> tuple[Record, ...]:
    assert isinstance(batch, RecordBatch)
    return batch.upserts


@pytest.mark.parametrize(
    "harm",
    [
        "link del vx110",
        "link del br110",
        "link set br110 down",
        "link set vx110 nomaster",
        "link set vx110 type bridge_slave learning on",
        "link set br110 alias mine",
    ],
)
async def test_change_of_another_device_during_a_build_is_reported(harm: str) -> None:
    with fresh("building-") as name:
        devices = Disturbed(name)
        datapath = KernelDatapath(name, devices=devices)
        try:
            assert not await datapath.apply(upsert(FIRST))
            ears = Ears(datapath)
            await ears.quiet()
            devices.meanwhile = lambda: ip(name, harm)
            assert not await datapath.apply(upsert(SECOND))
            await ears.hear(Lost(Kind.VNI))
        finally:
            await datapath.close()


@pytest.mark.parametrize("harm", ["link del vx111", "link set br111 mtu 1300"])
async def test_change_of_a_device_during_its_build_is_repaired_at_once(harm: str) -> None:
    with fresh("building-") as name:
        devices = Disturbed(name)
        datapath = KernelDatapath(name, devices=devices)

        def once() -> None:
            devices.meanwhile = lambda: None
            ip(name, harm)

        devices.meanwhile = once
        try:
            assert not await datapath.apply(upsert(SECOND))
            [dumped] = [one async for one in datapath.dump(Kind.VNI)]
            assert rows(dumped) == (SECOND,)
        finally:
            await datapath.close()


async def test_device_changed_after_every_repair_fails_its_row() -> None:
    with fresh("building-") as name:
        devices = Disturbed(name)
        datapath = KernelDatapath(name, devices=devices)
        devices.meanwhile = lambda: ip(name, "link set br111 mtu 1300")
        try:
            [failure] = await datapath.apply(upsert(FIRST, SECOND))
            assert (failure.index, failure.errno) == (1, errno.EAGAIN)
            assert "br111: mtu" in failure.reason
            assert devices.applied == 2
        finally:
            await datapath.close()


async def test_own_changes_are_not_reported() -> None:
    with fresh("building-") as name:
        datapath = KernelDatapath(name)
        try:
            assert not await datapath.apply(upsert(FIRST))
            ears = Ears(datapath)
            await ears.quiet()
            assert not await datapath.apply(upsert(SECOND))
            assert not await datapath.apply(upsert(Vni(110, local=FIRST.local, mtu=1400)))
            assert Kind.VNI not in {e.kind for e in await ears.quiet() if isinstance(e, Lost)}
        finally:
            await datapath.close()
