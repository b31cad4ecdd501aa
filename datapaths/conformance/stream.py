"""What every datapath tells of itself and of its surroundings."""

from __future__ import annotations

import asyncio

from datapaths.base import CaughtUp, Learned, LearnedMac
from datapaths.conformance.checks import Chapter, Needs, needs
from datapaths.conformance.subject import L2VNI, Subject
from datapaths.conformance.verdict import Violation, expect
from dualpath.model.kinds import Kind

MAC = bytes.fromhex("0200000000cc")
PATIENCE_S = 10.0

chapter = Chapter("stream", Needs())
check = chapter.check


@check()
async def capabilities_have_a_name_and_a_batch_size(subject: Subject) -> None:
    said = subject.capabilities
    if not (said.name and said.batch_rows > 0):
        raise Violation(f"a name, and a size above 0: {said}")


@check()
async def ports_and_facts_answer(subject: Subject) -> None:
    names = [port.name for port in await subject.datapath.ports()]
    expect(len(names), len(set(names)), "ports that are told once")
    await subject.datapath.facts()


@check()
async def what_is_learnt_begins_with_what_is_known(subject: Subject) -> None:
    told = await _told_at_first(subject)
    expect(told.count(CaughtUp()), 1, "the marks that all has been told")


@check()
async def closing_ends_what_is_learnt(subject: Subject) -> None:
    learned = subject.datapath.learned()
    async with asyncio.timeout(PATIENCE_S):
        while await anext(learned) != CaughtUp():
            pass
        await subject.datapath.close()
        async for _ in learned:
            pass
    await subject.reopen()


@check(needs(Kind.VNI, hands=True))
async def a_local_mac_is_told_and_told_again_to_the_next(subject: Subject) -> None:
    assert subject.hands
    event = LearnedMac(L2VNI, MAC)
    learned = subject.datapath.learned()
    async with asyncio.timeout(PATIENCE_S):
        while await anext(learned) != CaughtUp():
            pass
        await subject.hands.learn_mac(L2VNI, MAC)
        while await anext(learned) != event:
            pass
    again = await _told_at_first(subject)
    expect(event in again, True, "the MAC among what the next listener is told at first")


async def _told_at_first(subject: Subject) -> list[Learned]:
    told: list[Learned] = []
    learned = subject.datapath.learned()
    async with asyncio.timeout(PATIENCE_S):
        while CaughtUp() not in told:
            told.append(await anext(learned))
    return told
