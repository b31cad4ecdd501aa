"""Finds the interfaces that plugins created, wherever they are now. Blocks.

A datapath may rename one: grout renames the NIC and creates a TAP of its name in its namespace
(`datapaths.grout.ports.devices`). The NIC keeps its MAC, and grout has its addresses, so the
plugins' CHECK would fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from controller.cni import protocol, records
from controller.cni.records import Record, Stage
from datapaths.linux.linkinfo import Link
from datapaths.linux.links import Links
from datapaths.linux.nics import TAP

Taken = Callable[[str], Sequence[tuple[str, str]]]
"""Returns the namespaces and names under which the datapath may have an interface."""


class Presence(Enum):
    GONE = "gone"
    AS_MADE = "as made"
    TAKEN = "taken"  # by a datapath, which renamed it


class Namespace:
    """The forwarding namespace, and where a datapath may have taken its interfaces."""

    def __init__(self, forwarding: str, taken: Taken | None = None) -> None:
        self._forwarding = forwarding
        self._taken = taken or (lambda _: ())
        self.stay = taken is None
        """Whether interfaces stay as they were made, so that CHECK can find them so."""

    def mac(self, name: str) -> bytes | None:
        """Return the MAC of an interface of the forwarding namespace; None if it is absent.

        It is b"" for a TAP of grout, which has the NIC's MAC but belongs to no plugin.
        """
        with Links(self._forwarding) as links:
            found = links.find(name)
            if found and found.kind == TAP:
                return b""
            return found.mac if found else None

    def addresses(self, name: str) -> set[str]:
        with Links(self._forwarding) as links:
            return {str(address) for address in links.addresses.of(name)}

    def presence(self, record: Record) -> Presence:
        """Return where the interface of a record is."""
        if record.stage is not Stage.ADDED:
            return Presence.GONE
        name = record.device.name
        made = protocol.mac_of(record.result or {}, name)

        def is_it(link: Link | None) -> bool:
            return link is not None and link.kind != TAP and (not made or link.mac == made)

        if records.space_of(record.space.path) == record.space:
            with Links(self._forwarding) as links:
                if is_it(links.find(name)):
                    return Presence.AS_MADE
        for space, new in self._taken(name):
            with Links(space) as links:
                if is_it(links.find(new)):
                    return Presence.TAKEN
        return Presence.GONE
