"""Names of the kernel devices behind a grout port. grout itself makes a TAP of the port's name."""

from __future__ import annotations

import hashlib

MAIN = "main"  # GR_DEFAULT_VRF_NAME: the interface that is the default VRF's loopback
IFNAMSIZ = 16  # linux/if.h, with the terminating zero


def device_of(port: str) -> str:
    """Return the name of a port's NIC, or of the near end of its host leg, while grout uses it."""
    return _fitting("n-", port)


def wire_of(port: str) -> str:
    """Return the name of a port's wire: DPDK's driver reads and writes its frames."""
    return _fitting("w-", port)


def _fitting(prefix: str, port: str) -> str:
    name = prefix + port
    if len(name.encode()) < IFNAMSIZ:
        return name
    return prefix + hashlib.blake2s(port.encode(), digest_size=6).hexdigest()
