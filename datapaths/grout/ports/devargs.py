"""DPDK device arguments (devargs): parsed, classified by driver, and completed. Pure."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from enum import Enum

from datapaths.grout.ports.names import device_of, wire_of

DEVARGS_SIZE = 128  # gr_iface_info_port in gr_infra.h, with the terminating zero

# The driver's default ring exceeds the usual limit of locked memory.
AF_PACKET_RING = {"framesz": "1792", "blocksz": "28672", "framecnt": "512"}


class Meeting(Enum):
    """The way in which a driver gets a port's packets."""

    WIRE = "wire"  # from a kernel device that it creates; Dualpath joins it to the NIC or host leg
    DEVICE = "device"  # directly from the NIC or the host leg
    NONE = "none"  # from the hardware, without the kernel


_MEETINGS = {
    "net_tap": Meeting.WIRE,
    "net_virtio_user": Meeting.WIRE,
    "net_af_packet": Meeting.DEVICE,
    "net_af_xdp": Meeting.DEVICE,
    "net_pcap": Meeting.DEVICE,
}


@dataclass(frozen=True, slots=True)
class Devargs:
    """Device arguments as in a manifest: `net_tap0,iface=x`, `0000:05:00.0`."""

    device: str  # "" is a net_tap
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def driver(self) -> str:
        """The name of a virtual device's driver, "" for hardware."""
        return next((name for name in _MEETINGS if self.device.startswith(name)), "")

    @property
    def meeting(self) -> Meeting:
        if not self.device:
            return Meeting.WIRE
        if self.driver == "net_tap" and self.get("remote"):
            return Meeting.DEVICE
        return _MEETINGS.get(self.driver, Meeting.NONE)

    def get(self, key: str) -> str:
        return dict(self.parameters).get(key, "")

    def __str__(self) -> str:
        return ",".join([self.device, *(f"{key}={value}" for key, value in self.parameters)])


def parse(text: str) -> Devargs:
    """Parse device arguments. Raises OSError (EINVAL) on text that DPDK would misread."""
    device, *rest = text.split(",")
    pairs = [tuple(word.split("=", 1)) for word in rest]
    if re.search(r"\s", text) or any(len(pair) != 2 or not pair[0] for pair in pairs):
        raise OSError(errno.EINVAL, f"devargs {text!r}: want DEVICE[,KEY=VALUE]...")
    return Devargs(device, tuple((key, value) for key, value in pairs))


def complete(devargs: Devargs, port: str, mac: bytes) -> Devargs:
    """Add the names of kernel devices, and a MAC that stays the same when grout restarts.

    A manifest names the port's NIC; the result has the name of that NIC while grout uses it.
    """
    given = {key: _ours(key, value, port) for key, value in devargs.parameters}
    device = devargs.device or f"net_tap_{port}"
    match Devargs(device, devargs.parameters).driver, devargs.meeting:
        case _, Meeting.NONE:
            added = {}
        case _, Meeting.WIRE:
            added = {"iface": wire_of(port), "mac": mac.hex(":")}
        case "net_tap", _:
            added = {"iface": wire_of(port)}
        case "net_af_packet", _:
            added = {"iface": device_of(port), **AF_PACKET_RING}
        case _:
            added = {"iface": device_of(port)}
    done = Devargs(device, tuple({**added, **given}.items()))
    if len(str(done)) >= DEVARGS_SIZE:
        raise OSError(errno.EINVAL, f"devargs {done}: longer than {DEVARGS_SIZE - 1} characters")
    return done


def _ours(key: str, value: str, port: str) -> str:
    return device_of(port) if key in ("iface", "remote") and value == port else value
