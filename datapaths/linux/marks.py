"""The mark that shows that a device is ours: its alias. Pure: text in, values out.

A mark says what the device is for, which addresses on it are ours and in which order they were
asked for, and what the kernel cannot tell about the record it stands for.
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass, field

from dualpath.model.links import Address

PREFIX = "dualpath:"
TAP = "tap"
"""What a TAP of grout is for: FRR's packets, and questions to hosts."""
TWIN_PREFIX = "cp-"
"""Prefix of the end of a twin beside its port: it tells before the device can have a mark."""

DEVICE_GROUP = 0x4450
"""The group of every device that we create: an alias can only be set later, and people edit it."""

IFALIASZ = 256  # linux/if.h, with the terminating zero

Value = str | int


@dataclass(frozen=True, slots=True)
class Mark:
    """What we wrote on a device; `what` names the part that owns it: "vni", "port", "twin"."""

    what: str
    addresses: tuple[Address, ...] = ()
    notes: dict[str, Value] = field(default_factory=dict)

    def text(self, key: str) -> str:
        return str(self.notes.get(key, ""))

    def flag(self, key: str) -> bool:
        return bool(self.notes.get(key, 0))


def encode(mark: Mark) -> str:
    """Return the alias for a mark. Raises OSError (E2BIG) when that is too long."""
    fields: dict[str, object] = {"what": mark.what}
    if mark.addresses:
        fields["addr"] = " ".join(str(address) for address in mark.addresses)
    fields.update({key: value for key, value in sorted(mark.notes.items()) if value not in ("", 0)})
    alias = PREFIX + json.dumps(fields, separators=(",", ":"))
    excess = len(alias.encode()) - IFALIASZ + 1
    if excess > 0:
        raise OSError(errno.E2BIG, _too_long(len(mark.text("was").encode()), excess))
    return alias


def _too_long(was: int, excess: int) -> str:
    if was < excess:
        return "too many addresses on one device to keep a record of"
    return (
        f"the alias that the device had, of {was} bytes, leaves too little room for our record,"
        f" which is kept in its place: shorten it by {excess} bytes, with `ip link set NAME alias`"
    )


def decode(alias: str) -> Mark | None:
    """Read a mark; None when the alias is not ours, or not as we write it."""
    if not alias.startswith(PREFIX):
        return None
    try:
        fields = json.loads(alias.removeprefix(PREFIX))
        what = str(fields.pop("what"))
        addresses = tuple(Address.parse(text) for text in str(fields.pop("addr", "")).split())
        return Mark(what, addresses, dict(fields))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
