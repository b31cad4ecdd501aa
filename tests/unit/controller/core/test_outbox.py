"""Changes of local hosts on their way to frr-bridge."""

from __future__ import annotations

from collections.abc import Callable

from controller.core.outbox import ROWS, Outbox
from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor


def mac(number: int) -> Mac:
    return Mac(110, number.to_bytes(6, "big"))


def neighbor(number: int) -> Neighbor:
    return Neighbor(110, number.to_bytes(4, "big"), mac(number).mac)


class Bus:
    """Takes `room` messages; `turn` runs what waits for the event loop."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.connected = True
        self.sent: list[Mirror] = []
        self._soon: list[Callable[[], None]] = []
        self.outbox = Outbox(self._send, lambda: self.connected, self._soon.append)

    def turn(self) -> int:
        """Run until nothing waits; return the turns that it took."""
        turns = 0
        while self._soon:
            waiting, self._soon[:] = self._soon[:], []
            for call in waiting:
                call()
            turns += 1
        return turns

    def _send(self, mirror: Mirror) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.sent.append(mirror)
        return True


def test_hosts_of_one_turn_are_one_message() -> None:
    bus = Bus()
    for number in range(200):
        bus.outbox.put(Mirror(macs=(mac(number),)))
        bus.outbox.put(Mirror(neighbors=(neighbor(number),)))
    assert not bus.sent
    bus.turn()
    (sent,) = bus.sent
    assert sent.macs == tuple(map(mac, range(200)))
    assert sent.neighbors == tuple(map(neighbor, range(200)))


def test_last_change_of_a_host_wins() -> None:
    bus = Bus()
    bus.outbox.put(Mirror(macs=(mac(1), mac(2))))
    bus.outbox.put(Mirror(gone_macs=(mac(1),), gone_neighbors=(neighbor(1),)))
    bus.outbox.put(Mirror(neighbors=(neighbor(1),)))
    bus.turn()
    assert bus.sent == [
        Mirror(macs=(mac(2),), gone_macs=(mac(1),), neighbors=(neighbor(1),)),
    ]


def test_full_bus_loses_no_host() -> None:
    """A burst longer than the bus's queue: what it refused is sent by a later flush."""
    bus = Bus(room=2)
    hosts = [mac(number) for number in range(5 * ROWS)]
    for host in hosts:
        bus.outbox.put(Mirror(macs=(host,)))
    bus.turn()
    assert len(bus.sent) == 2
    bus.room = 1000
    bus.outbox.flush()
    assert bus.turn() == 2  # a message each: other tasks run in between
    assert [host for sent in bus.sent for host in sent.macs] == hosts
    bus.outbox.flush()
    assert len(bus.sent) == 5


def test_whole_set_replaces_what_waits_and_precedes_what_follows() -> None:
    bus = Bus(room=0)
    bus.outbox.put(Mirror(macs=(mac(1),)))
    bus.outbox.put(Mirror(whole=True, macs=(mac(2),)))
    bus.outbox.put(Mirror(macs=(mac(3),)))
    bus.turn()
    bus.room = 1000
    bus.outbox.flush()
    bus.turn()
    assert bus.sent == [Mirror(whole=True, macs=(mac(2),)), Mirror(macs=(mac(3),))]


def test_nothing_waits_for_an_frr_bridge_that_is_away() -> None:
    """It gets every host when it subscribes."""
    bus = Bus(room=0)
    bus.outbox.put(Mirror(whole=True, macs=(mac(1),)))
    bus.outbox.put(Mirror(macs=(mac(2),)))
    bus.turn()
    bus.connected, bus.room = False, 1000
    bus.outbox.flush()
    bus.connected = True
    bus.outbox.flush()
    assert bus.sent == []
