"""Names of the kernel devices behind a grout port. grout's own TAP has the port's name."""

from __future__ import annotations

import hashlib

IFNAMSIZ = 16  # linux/if.h, with the terminating zero


def device_of(port: str) -> str:
    """Return the name of the NIC, or of the near end of the host leg, that grout has taken over."""
    return _fitting("n-", port)


def wire_of(port: str) -> str:
    """Return the name of the device whose frames DPDK's driver reads and writes."""
    return _fitting("w-", port)


def _fitting(prefix: str, port: str) -> str:
    name = prefix + port
    if len(name.encode()) < IFNAMSIZ:
        return name
    return prefix + hashlib.blake2s(port.encode(), digest_size=6).hexdigest()
