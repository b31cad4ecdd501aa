"""The kernel's share of a port's life, for each wiring. Synchronous: call it in a thread."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace

from controller.model.links import Address, HostEnd, Port
from datapaths.grout import devices, splice
from datapaths.grout.devargs import Devargs, Meeting, complete, parse
from datapaths.grout.names import device_of, wire_of
from datapaths.linux import legs, netns, ports, sysctls
from datapaths.linux.linkinfo import Link, is_link_local
from datapaths.linux.marks import Mark
from datapaths.linux.namespaces import Namespaces

SHARED = "shared"
WIRINGS = ("", "owned", SHARED)

NO_ADDRESSES = {"net/ipv6/conf/default/addr_gen_mode": 1}
"""For grout's namespace, so that wires never speak. Not disable_ipv6: grout could make no TAP."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What grout is to be asked for."""

    devargs: str
    mtu: int  # 0 is grout's default
    addresses: tuple[Address, ...]  # that the NIC has of its own


class Places:
    """The namespaces that a port may reach into.

    `home` is grout's, `forwarding` the kernel datapath's, and `host` where "" leads in a record.
    """

    def __init__(self, home: str, forwarding: str, host: str = "") -> None:
        self._home = home
        self._forwarding = forwarding
        self._host = host

    def prepare(self) -> None:
        sysctls.ensure(self._home, NO_ADDRESSES)

    def before(self, port: Port, tap: int) -> Placement:
        """Make all that a port stands on; `tap` is the index of its TAP, 0 before it has one."""
        devargs = _checked(port)
        with self._open() as spaces:
            own: tuple[Address, ...] = ()
            if port.wiring == SHARED:
                device, own = self._ensure_shared(port)
            elif devargs.meeting is Meeting.NONE and not port.host:
                device = None
            else:
                wire = complete(devargs, port.name, bytes(6)).get("iface")
                wired = devargs.meeting is Meeting.WIRE
                device = devices.ensure(spaces, port, wire if wired else "")
                own = devices.brought(spaces.forwarding, port)
            devices.check_name(spaces.forwarding, port.name, tap)
            if not tap:
                _check_wire(spaces, complete(devargs, port.name, bytes(6)), port.name)
            mac = device.mac if device else bytes(6)
            mtu = port.mtu or (device.mtu if device else 0)
            return Placement(str(complete(devargs, port.name, mac)), mtu, own)

    def after(self, port: Port, *, new: bool) -> None:
        """Join what grout has made to what it stands on."""
        devargs = complete(parse(port.devargs), port.name, bytes(6))
        if devargs.meeting is Meeting.NONE:
            return
        with self._open() as spaces:
            links = spaces.forwarding
            if new and devargs.meeting is Meeting.WIRE:
                # DPDK misses that the wire came up, and would have the port down for ever.
                links.set_up(devargs.get("iface"), False)
                links.set_up(devargs.get("iface"))
            if port.wiring == SHARED:
                self._attach(spaces, port)
            elif devargs.meeting is Meeting.WIRE:
                device = links.set_up(device_of(port.name))
                wire = links.get(devargs.get("iface"))
                splice.join(links.netns, device, wire)

    def remove(self, port: Port) -> None:
        """Remove host leg and wire, or give the NIC back, once grout has let go of the port."""
        with self._open() as spaces:
            devices.remove(spaces, port.name)
        if port.wiring == SHARED and netns.exists(self._forwarding):
            splice.release(self._forwarding, port.name)
            with Namespaces(self._forwarding, self._host) as there:
                ports.remove_port(there, port)

    def host_end(self, port: str, mark: Mark) -> HostEnd | None:
        """Return the host's end of a port as it is now."""
        shared = mark.text("wiring") == SHARED
        name = port if shared else device_of(port)
        with Namespaces(self._forwarding, self._host) if shared else self._open() as spaces:
            link = spaces.forwarding.find(name)
            if link:
                return legs.dump(spaces, link, mark)
        lost = HostEnd(legs.spelt(mark.text("ns")), mark.text("end"))
        return lost if lost.name else None

    def whole(self, port: str, mark: Mark) -> bool:
        """Tell whether all that a port stands on is there, and joined."""
        devargs = complete(parse(mark.text("devargs")), port, bytes(6))
        if mark.text("wiring") == SHARED:
            with Namespaces(self._forwarding, self._host) as there:
                return splice.attached(there.forwarding, port)
        if devargs.meeting is Meeting.NONE:
            return True
        with self._open() as spaces:
            links = spaces.forwarding
            device, wire = links.find(device_of(port)), links.find(devargs.get("iface"))
            if not device or not device.up or not wire:
                return False
            return devargs.meeting is not Meeting.WIRE or splice.joined(links.netns, device, wire)

    def _open(self) -> Namespaces:
        return Namespaces(self._home, self._host)

    def _ensure_shared(self, port: Port) -> tuple[Link, tuple[Address, ...]]:
        if netns.same(self._home, self._forwarding):
            text = "wiring: shared needs grout in a namespace of its own, beside the forwarding one"
            raise OSError(errno.EINVAL, text)
        with Namespaces(self._forwarding, self._host) as there:
            ports.ensure_port(there, replace(port, wiring=SHARED))
            own = (a for a in there.forwarding.addresses(port.name) if not is_link_local(a))
            return there.forwarding.get(port.name), tuple(own)

    def _attach(self, spaces: Namespaces, port: Port) -> None:
        """Put the wire beside the NIC, in the namespace of the kernel datapath."""
        with Namespaces(self._forwarding, self._host) as there:
            links, wire = there.forwarding, wire_of(port.name)
            if spaces.forwarding.find(wire):
                spaces.forwarding.move(wire, links)
            links.sysctl(sysctls.no_ipv6(wire))
            links.change(wire, mark=Mark("wire", notes={"port": port.name}))
            links.set_up(wire)
            splice.attach(links, port)


def _checked(port: Port) -> Devargs:
    devargs = parse(port.devargs)
    if port.wiring not in WIRINGS:
        raise OSError(errno.EINVAL, f"wiring: want owned or shared, not {port.wiring}")
    if port.wiring == SHARED and (devargs.meeting is not Meeting.WIRE or devargs.get("iface")):
        text = "wiring: shared needs a driver that makes a device: no devargs, net_tap or so"
        raise OSError(errno.EINVAL, text)
    if port.host and devargs.meeting is Meeting.NONE:
        raise OSError(errno.EINVAL, f"devargs {devargs}: no driver for a host leg")
    return devargs


def _check_wire(spaces: Namespaces, devargs: Devargs, port: str) -> None:
    wire = devargs.get("iface")
    if devargs.meeting is Meeting.WIRE and spaces.forwarding.find(wire):
        text = f"{wire}, the wire of {port}, exists already and is not grout's"
        raise OSError(errno.EEXIST, text)
