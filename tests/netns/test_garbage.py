"""A round leaves no garbage that grows with what is there.

The daemons look for cyclic garbage every ten minutes at most (`dualpath.process.garbage`). So what
a round read of every device must be freed without that, or each round adds its copy.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from datapaths.kernel.driver import KernelDatapath
from datapaths.linux.shadows import Shadows, shadow_of
from dualpath.model.kinds import Kind
from dualpath.model.links import Vni
from tests.fakes.batches import upsert
from tests.netns.layouts import routed
from tests.netns.namespaces import fresh

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

FEW, MANY = 10, 60


def vni(number: int) -> Vni:
    return Vni(number, local=bytes([10, 0, 0, 1]), mac=number.to_bytes(6, "big"))


def vnis(many: int) -> tuple[Vni, ...]:
    return tuple(map(vni, range(100, 100 + many)))


@contextmanager
def uncollected() -> Iterator[list[int]]:
    """Append how many objects of cycles the block leaves."""
    found: list[int] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        found.append(gc.collect())
    finally:
        gc.enable()


async def of_the_kernel_datapath(many: int) -> int:
    with fresh("fwd", "host") as (forwarding, host):
        datapath = KernelDatapath(forwarding, host)
        try:
            assert not await datapath.apply(upsert(*vnis(many)))
            with uncollected() as found:
                assert not await datapath.apply(upsert(vni(99)))
                assert not await datapath.apply(upsert(routed(host)))
                for kind in (Kind.VNI, Kind.PORT):
                    async for _ in datapath.dump(kind):
                        pass
            return found[0]
        finally:
            await datapath.close()


def of_the_shadow_devices(many: int) -> int:
    with fresh("frr") as (control,):
        shadows = Shadows(control)
        first, second = (shadow_of((), some, ()) for some in (vnis(many), (*vnis(many), vni(99))))
        assert not [*shadows.ensure_base(first), *shadows.ensure_overlay(first)]
        with uncollected() as found:
            assert not [*shadows.ensure_base(second), *shadows.ensure_overlay(second)]
        return found[0]


async def test_the_kernel_datapath_leaves_no_more_with_more_devices() -> None:
    few = await of_the_kernel_datapath(FEW)
    assert await of_the_kernel_datapath(MANY) < few + MANY - FEW


def test_shadow_devices_leave_no_more_with_more_devices() -> None:
    few = of_the_shadow_devices(FEW)
    assert of_the_shadow_devices(MANY) < few + MANY - FEW
