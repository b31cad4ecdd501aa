"""Removes free text from netlink messages, because users send recordings to others. Pure.

Neither feed carries passwords. The alias of a device is free text and may contain anything, so its
letters are replaced. Names, addresses and MACs stay: a recording without them would be useless.
"""

from __future__ import annotations

from dualpath.netlink.message import DecodeError, messages
from dualpath.netlink.numbers import IFLA_IFALIAS, RTM_DELLINK, RTM_NEWLINK
from frr_bridge.wire.link import IFINFOMSG


def scrub(rows: bytes) -> bytes:
    """Return messages of the same lengths. Unreadable messages are left out."""
    clean = bytearray(rows)
    end = 0
    try:
        for message in messages(rows):
            if message.type in (RTM_NEWLINK, RTM_DELLINK):
                attributes = message.attributes(IFINFOMSG)
                if IFLA_IFALIAS in attributes:
                    start, stop = attributes.span(IFLA_IFALIAS)
                    clean[start:stop] = b"x" * (stop - start)
            end = message.end + (-(message.end - message.start) & 3)
    except DecodeError:
        del clean[end:]
    return bytes(clean)
