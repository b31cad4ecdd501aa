"""Events wait in a bounded inbox, which keeps the last one of each key."""

from __future__ import annotations

import asyncio

import pytest

from datapaths.base import LearnedMac, Lost, PortChanged, Unavailable
from datapaths.inbox import MOST_LOST, Inbox
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood

MAC = bytes(6)


async def test_the_last_event_of_a_key_counts() -> None:
    inbox = Inbox()
    reader = inbox.open()
    inbox.put(LearnedMac(1, MAC))
    inbox.put(PortChanged("eth1", True))
    inbox.put(LearnedMac(1, MAC, gone=True))
    assert await inbox.get(reader) == [LearnedMac(1, MAC, gone=True), PortChanged("eth1", True)]


async def test_losses_come_first_and_in_the_order_of_programming() -> None:
    inbox = Inbox()
    reader = inbox.open()
    inbox.put(LearnedMac(1, MAC))
    inbox.put(Lost(Kind.ROUTE))
    inbox.put(Lost(Kind.VNI))
    assert await inbox.get(reader) == [Lost(Kind.VNI), Lost(Kind.ROUTE), LearnedMac(1, MAC)]


async def test_too_many_losses_become_look_at_everything() -> None:
    inbox = Inbox()
    reader = inbox.open()
    for i in range(MOST_LOST + 10):
        inbox.put(Lost(Kind.FLOOD, (Flood(i, b""),)))
    assert await inbox.get(reader) == [Lost(Kind.FLOOD)]


async def test_nothing_is_kept_while_nobody_listens() -> None:
    inbox = Inbox()
    inbox.put(PortChanged("eth1", True))
    reader = inbox.open()
    inbox.close()
    assert await inbox.get(reader) == []


async def test_a_new_listener_ends_the_old_one() -> None:
    inbox = Inbox()
    waiting = asyncio.ensure_future(inbox.get(inbox.open()))
    await asyncio.sleep(0)
    inbox.open()
    assert await waiting == []


async def test_an_error_is_told_once() -> None:
    inbox = Inbox()
    reader = inbox.open()
    inbox.fail(Unavailable("gone"))
    with pytest.raises(Unavailable):
        await inbox.get(reader)
    reader = inbox.open()
    inbox.put(PortChanged("eth1", True))
    assert await inbox.get(reader) == [PortChanged("eth1", True)]
