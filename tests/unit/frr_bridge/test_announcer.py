"""What the subscriber is sent, and when."""

from __future__ import annotations

from collections.abc import Iterator

from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.model.records import RecordBatch
from dualpath.model.routes import RouteBatch
from frr_bridge.announcer import Announcer
from tests.fakes.zebra import MemoryBus


class World:
    def __init__(self, credit: int = 10) -> None:
        self.bus = MemoryBus(credit)
        self.session = events.SessionChanged(number=1, state="live")
        self.pending = [RecordBatch(Kind.FLOOD, (Flood(vni, b"\x0a\0\0\1"),)) for vni in (1, 2, 3)]
        self.complete = True
        self.announcer = Announcer(
            self.bus,
            session=lambda: self.session,
            changes=self._changes,
            complete=lambda: self.complete,
        )

    def _changes(self) -> Iterator[RouteBatch | RecordBatch]:
        while self.pending:
            yield self.pending.pop(0)

    def kinds(self) -> list[type]:
        self.announcer.flush()
        kinds = [type(event) for event in self.bus.events]
        self.bus.events.clear()
        return kinds


CHANGED, SESSION, SYNCED = events.Changed, events.SessionChanged, events.Synced


def test_session_comes_before_changes_and_synced_last() -> None:
    assert World().kinds() == [SESSION, CHANGED, CHANGED, CHANGED, SYNCED]


def test_batches_beyond_the_credit_stay_pending() -> None:
    world = World(credit=2)
    assert world.kinds() == [SESSION, CHANGED, CHANGED]
    assert len(world.pending) == 1
    world.bus.credit = 2
    assert world.kinds() == [CHANGED, SYNCED]


def test_synced_is_sent_once_and_only_when_complete() -> None:
    world = World()
    world.complete = False
    assert SYNCED not in world.kinds()
    world.complete = True
    assert world.kinds() == [SYNCED]
    assert world.kinds() == []


def test_changed_session_is_sent_once() -> None:
    world = World()
    world.kinds()
    world.session = events.SessionChanged(number=2, state="replaying")
    assert world.kinds() == [SESSION]
    assert world.kinds() == []


def test_new_subscriber_gets_session_and_synced_again() -> None:
    world = World()
    world.kinds()
    world.announcer.restart()
    assert world.kinds() == [SESSION, SYNCED]


def test_without_subscriber_nothing_is_sent() -> None:
    world = World()
    world.bus.subscribed = False
    assert world.kinds() == []
    assert len(world.pending) == 3
