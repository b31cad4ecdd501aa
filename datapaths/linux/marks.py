"""Marks: how Dualpath recognizes a device that it made, by its alias. Pure.

A mark has the device's purpose, the addresses that Dualpath wants on it, in their order, and the
fields of its record that the kernel does not store. An example, as `ip -d link` shows it:

    alias dualpath:{"what":"vni","addr":"10.0.0.1/24","layer":2}
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from dualpath.model.links import Address

PREFIX = "dualpath:"
TAP = "tap"
"""The purpose of a TAP of grout: it carries FRR's packets and probes."""
TWIN_PREFIX = "cp-"
"""Prefix of a twin's end beside its port: recognizes it before the device has a mark."""

DEVICE_GROUP = 0x4450
"""The group of every device that Dualpath creates. It is set at creation, unlike the alias, and
people edit it less often."""

IFALIASZ = 256  # linux/if.h, with the terminating zero

Value = str | int


@dataclass(frozen=True, slots=True)
class Mark:
    """The content of a mark; `what` is the purpose: "vni", "port", "twin"."""

    what: str
    addresses: tuple[Address, ...] = ()
    notes: Mapping[str, Value] = field(default_factory=dict)  # not to be changed: marks are shared

    def text(self, key: str) -> str:
        return str(self.notes.get(key, ""))

    def flag(self, key: str) -> bool:
        return bool(self.notes.get(key, 0))


def encode(mark: Mark) -> str:
    """Return the alias for a mark. Raises OSError (E2BIG) if it is too long."""
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
        return "too many addresses on one device: its mark must fit an alias of 255 bytes"
    return (
        f"the device's alias of {was} bytes is too long: Dualpath saves it in its own alias of 255"
        f" bytes; shorten it by {excess} bytes, with `ip link set NAME alias`"
    )


@lru_cache(maxsize=1 << 14)  # each look at all devices decodes the same marks
def decode(alias: str) -> Mark | None:
    """Decode a mark; None if the alias is not one that `encode` writes."""
    if not alias.startswith(PREFIX):
        return None
    try:
        fields = json.loads(alias.removeprefix(PREFIX))
        what = str(fields.pop("what"))
        addresses = tuple(Address.parse(text) for text in str(fields.pop("addr", "")).split())
        return Mark(what, addresses, dict(fields))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
