"""Which of our devices changed, out of the kernel's messages. Pure.

A device is known by its index, and ours by its mark, so that one that was renamed, deleted or
robbed of its alias is told as well. Nothing here says what is wrong with it: somebody looks.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator

from datapaths.linux import marks
from datapaths.linux.wire import devices as wire
from datapaths.linux.wire.devices import Device
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Message

SETTINGS = ""  # what is told of the settings of a whole namespace
TC = "tc"  # and of the tc filters of a device of ours, whatever it is for
ADDED = "address"  # and of an address that came to one: what is not ours may stay
FILTERS = (wire.RTM_NEWTFILTER, wire.RTM_DELTFILTER, wire.RTM_NEWQDISC, wire.RTM_DELQDISC)


class Picture:
    """The devices of one namespace, as messages and dumps showed them last."""

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._bodies: dict[int, bytes] = {}  # of the last dump: what is equal is not read again

    def purposes(self) -> set[str]:
        """Return what our devices are for, those of all marks."""
        return {what for device in self._devices.values() if (what := _purpose(device))}

    def load(self, dumped: Iterable[Message], own: Collection[str] = ()) -> set[str]:
        """Take a dump of all devices; return for what those are that changed since.

        Of devices named in `own` nothing is returned.
        """
        changed: set[str] = set()
        bodies: dict[int, bytes] = {}
        for message in dumped:
            _, index = wire.head_of(message)
            bodies[index] = message.body
            if self._bodies.get(index) != message.body:
                changed |= self._put(message, own)
        for index in self._devices.keys() - bodies.keys():
            changed |= self._pop(index, own)
        self._bodies = bodies
        return changed

    def take(self, message: Message, own: Collection[str] = ()) -> set[str]:
        """Take a notification; return for what the devices are that it changed."""
        if message.type == wire.RTM_NEWNETCONF:
            index = wire.decode_setting(message)
            return {SETTINGS} if index <= wire.ALL_DEVICES else self._told(index, own)
        if message.type in FILTERS:
            return {TC} if self._told(wire.head_of(message)[1], own) else set()
        if message.type == wire.RTM_NEWADDR:
            return {ADDED} if self._told(wire.head_of(message)[1], own) else set()
        if message.type == wire.RTM_DELADDR:
            return self._told(wire.head_of(message)[1], own)
        if message.type not in (n.RTM_NEWLINK, n.RTM_DELLINK):
            return set()
        family, index = wire.head_of(message)
        if family == socket.AF_BRIDGE:
            known = self._devices.get(index)
            if message.type == n.RTM_DELLINK or not known:
                return set()  # it left its bridge, which the device's own message tells as well
            return set() if wire.decode_port(message) == known.port else self._told(index, own)
        if family != socket.AF_UNSPEC:
            return set()
        return self._pop(index, own) if message.type == n.RTM_DELLINK else self._put(message, own)

    def _put(self, message: Message, own: Collection[str]) -> set[str]:
        index, new = wire.decode(message)
        old = self._devices.get(index)
        self._devices[index] = new
        return set() if old == new else set(_purposes(own, old, new))

    def _pop(self, index: int, own: Collection[str]) -> set[str]:
        self._bodies.pop(index, None)
        return set(_purposes(own, self._devices.pop(index, None)))

    def _told(self, index: int, own: Collection[str]) -> set[str]:
        return set(_purposes(own, self._devices.get(index)))


def _purposes(own: Collection[str], *devices: Device | None) -> Iterator[str]:
    for device in devices:
        if device and device.name not in own and (what := _purpose(device)):
            yield what


def _purpose(device: Device) -> str:
    mark = marks.decode(device.alias)
    return mark.what if mark else ""
