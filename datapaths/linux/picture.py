"""Find out from the kernel's messages which of our devices changed. Pure.

A device is identified by its index, and recognized as ours by its mark. The picture remembers the
mark, so it also reports a device that was renamed, deleted, or lost its alias. It does not find out
what is wrong with the device.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from datapaths.linux import marks
from datapaths.linux.wire import devices as wire
from datapaths.linux.wire.devices import Device
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Message

# Purposes that are reported beside those of marks:
SETTINGS = ""  # the settings of a whole namespace
TC = "tc"  # the tc filters of any device of ours
ADDED = "address"  # an address was added to any device of ours; another program's may stay
FILTERS = (n.RTM_NEWTFILTER, n.RTM_DELTFILTER, n.RTM_NEWQDISC, n.RTM_DELQDISC)


class _Body(NamedTuple):
    """The body of a device's message. Packets are counted, and the timers of a bridge run."""

    octets: bytes
    moving: tuple[tuple[int, int], ...]  # where counters and timers begin and end

    def equals(self, other: bytes) -> bool:
        """Return whether another body is equal, except for those."""
        if len(other) != len(self.octets):
            return False
        begin = 0
        for start, end in self.moving:
            if other[begin:start] != self.octets[begin:start]:
                return False
            begin = end
        return other[begin:] == self.octets[begin:]


class Picture:
    """The devices of one namespace, as the last message or dump showed them."""

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._bodies: dict[int, _Body] = {}  # of the last dump; equal ones are skipped

    def purposes(self) -> set[str]:
        """Return the purposes of all our devices."""
        return {what for device in self._devices.values() if (what := _purpose(device))}

    def load(self, dumped: Iterable[Message], own: Collection[str] = ()) -> set[str]:
        """Load a dump of all devices; return the purposes of those that changed.

        Devices named in `own` do not count.
        """
        changed: set[str] = set()
        there: set[int] = set()
        for message in dumped:
            index, what = self._load(message, own)
            there.add(index)
            changed |= what
        for index in self._devices.keys() - there:
            changed |= self._pop(index, own)
        return changed

    def load_some(self, devices: Iterable[Message], own: Collection[str] = ()) -> set[str]:
        """Load some devices, as `load` does all; nothing is known about the others."""
        return {what for message in devices for what in self._load(message, own)[1]}

    def update(self, message: Message, own: Collection[str] = ()) -> set[str]:
        """Apply a notification; return the purposes of the devices that it changed."""
        if message.type == n.RTM_NEWNETCONF:
            index = wire.decode_setting(message)
            return {SETTINGS} if index <= wire.ALL_DEVICES else self._purposes_at(index, own)
        if message.type in FILTERS:
            return {TC} if self._purposes_at(wire.head_of(message)[1], own) else set()
        if message.type == n.RTM_NEWADDR:
            return {ADDED} if self._purposes_at(wire.head_of(message)[1], own) else set()
        if message.type == n.RTM_DELADDR:
            return self._purposes_at(wire.head_of(message)[1], own)
        if message.type not in (n.RTM_NEWLINK, n.RTM_DELLINK):
            return set()
        family, index = wire.head_of(message)
        if family == socket.AF_BRIDGE:
            known = self._devices.get(index)
            if message.type == n.RTM_DELLINK or not known:
                return set()  # it left its bridge: the message of family AF_UNSPEC reports that
            return (
                set() if wire.decode_port(message) == known.port else self._purposes_at(index, own)
            )
        if family != socket.AF_UNSPEC:
            return set()
        return self._pop(index, own) if message.type == n.RTM_DELLINK else self._put(message, own)

    def _load(self, message: Message, own: Collection[str]) -> tuple[int, set[str]]:
        """Load one device; return its index, and the purposes that changed."""
        _, index = wire.head_of(message)
        before = self._bodies.get(index)
        if before and before.equals(message.body):
            return index, set()
        self._bodies[index] = _Body(message.body, tuple(wire.moving(message)))
        return index, self._put(message, own)

    def _put(self, message: Message, own: Collection[str]) -> set[str]:
        index, new = wire.decode(message)
        old = self._devices.get(index)
        self._devices[index] = new
        return set() if old == new else set(_purposes(own, old, new))

    def _pop(self, index: int, own: Collection[str]) -> set[str]:
        self._bodies.pop(index, None)
        return set(_purposes(own, self._devices.pop(index, None)))

    def _purposes_at(self, index: int, own: Collection[str]) -> set[str]:
        return set(_purposes(own, self._devices.get(index)))


def _purposes(own: Collection[str], *devices: Device | None) -> Iterator[str]:
    for device in devices:
        if device and device.name not in own and (what := _purpose(device)):
            yield what


def _purpose(device: Device) -> str:
    mark = marks.decode(device.alias)
    return mark.what if mark else ""
