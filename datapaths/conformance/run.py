"""Run the checks against a datapath behind gRPC, one after another, and clean up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from datapaths.base import Datapath, DatapathError
from datapaths.conformance import records, routes, stream
from datapaths.conformance.checks import Check
from datapaths.conformance.subject import DEVICE, Subject
from datapaths.conformance.verdict import Violation
from datapaths.remote.driver import RemoteDatapath
from dualpath.rpc.connect import ClientTls

CHECKS: tuple[Check, ...] = (
    *stream.chapter.checks,
    *records.chapter.checks,
    *routes.chapter.checks,
)
PATIENCE_S = 60.0  # for one check


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check."""

    name: str
    sentence: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0


class NotIdle(Exception):
    """The datapath is in use. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The datapath to check, and which checks to run."""

    address: str
    tls: ClientTls | None = None
    device: str = ""  # an interface with 10.0.0.1/24 and fd00::1/64; "": create a port
    vrf: str = "default"  # any other VRF is created for the run
    only: str = ""  # part of a check's name


async def run(plan: Plan) -> AsyncGenerator[Result]:
    """Yield a result for each check.

    Raises ConnectError, NotIdle, DatapathError, or Violation if the preparation fails.
    """
    chosen = [check for check in CHECKS if plan.only in check.name]

    async def connect() -> Datapath:
        return RemoteDatapath(plan.address, plan.tls)

    subject = Subject(connect, device=plan.device or DEVICE, vrf=plan.vrf)
    await subject.open()
    try:
        if counts := await subject.row_counts():
            text = ", ".join(f"{count} {kind.name}" for kind, count in counts.items())
            raise NotIdle(
                f"{subject.capabilities.name} at {plan.address} holds {text}: the checks need an"
                " empty datapath; stop its controller, and remove those rows"
            )
        async for result in _examine(subject, chosen, port=not plan.device):
            yield result
    finally:
        await subject.datapath.close()


async def _examine(
    subject: Subject, checks: Sequence[Check], *, port: bool
) -> AsyncGenerator[Result]:
    try:
        await subject.prepare(port=port)
        for check in checks:
            yield await one(check, subject)
    finally:
        with suppress(DatapathError, Violation):
            await subject.dismantle(port=port)


async def one(check: Check, subject: Subject) -> Result:
    """Run one check and clean up after it."""
    if reason := check.excluded(subject):
        return Result(check.name, check.sentence, Outcome.SKIPPED, reason)
    began, reason = time.monotonic(), ""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await check.run(subject)
    except (Violation, DatapathError) as error:
        reason = str(error)
    except TimeoutError:
        reason = f"it took longer than {PATIENCE_S:.0f} s"
    seconds = time.monotonic() - began
    try:
        await subject.clean()
    except (Violation, DatapathError) as error:
        reason = reason or f"cannot clean up: {error}"
    outcome = Outcome.FAILED if reason else Outcome.PASSED
    return Result(check.name, check.sentence, outcome, reason, seconds)
