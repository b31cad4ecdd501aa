"""What the reconciler says of rows that the datapath refuses."""

from __future__ import annotations

import pytest

from controller.core.reconciler import RETRY_S
from controller.model.kinds import Kind
from controller.model.links import Port, Vni
from tests.fakes.core import Core, running


async def test_what_waits_for_nothing_that_comes_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = Core()
    made.datapath.refuse[Kind.VNI, 100] = "EADDRNOTAVAIL"
    async with running(made):
        made.state.want(Kind.VNI, [Vni(100)])
        made.state.want(Kind.PORT, [Port("lo", loopback=True)])
        await made.settle()
        made.clock.advance(RETRY_S[0])
        await made.settle()
    assert caplog.messages == ["VNI 100: EADDRNOTAVAIL: refused by a test"]


async def test_silence_and_its_end_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
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
    said = [message.partition(",")[0] for message in caplog.messages]
    assert said == ["memory: unavailable", "memory: available again"]
