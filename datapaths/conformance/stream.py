"""Checks of capabilities, ports, facts, and the stream of learned events."""

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
    found = subject.capabilities
    if not (found.name and found.batch_rows > 0):
        raise Violation(f"capabilities need a name, and a batch size above 0: {found}")


@check()
async def ports_and_facts_can_be_read(subject: Subject) -> None:
    names = [port.name for port in await subject.datapath.ports()]
    expect(len(names), len(set(names)), "ports that are listed once")
    await subject.datapath.facts()


@check()
async def the_learned_stream_begins_with_a_replay(subject: Subject) -> None:
    events = await _first_events(subject)
    expect(events.count(CaughtUp()), 1, "CaughtUp events")


@check()
async def closing_ends_the_learned_stream(subject: Subject) -> None:
    learned = subject.datapath.learned()
    async with asyncio.timeout(PATIENCE_S):
        while await anext(learned) != CaughtUp():
            pass
        await subject.datapath.close()
        async for _ in learned:
            pass
    await subject.reopen()


@check(needs(Kind.VNI, environment=True))
async def a_local_mac_is_reported_and_repeated_to_the_next_listener(subject: Subject) -> None:
    assert subject.environment
    event = LearnedMac(L2VNI, MAC)
    learned = subject.datapath.learned()
    async with asyncio.timeout(PATIENCE_S):
        while await anext(learned) != CaughtUp():
            pass
        await subject.environment.learn_mac(L2VNI, MAC)
        while await anext(learned) != event:
            pass
    again = await _first_events(subject)
    expect(event in again, True, "the MAC among the first events of the next listener")


async def _first_events(subject: Subject) -> list[Learned]:
    events: list[Learned] = []
    learned = subject.datapath.learned()
    async with asyncio.timeout(PATIENCE_S):
        while CaughtUp() not in events:
            events.append(await anext(learned))
    return events
