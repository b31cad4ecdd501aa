"""The kernel's share of a port's life, for each wiring. Synchronous: call it in a thread."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from datapaths.base import Unavailable
from datapaths.grout.ports import devices, splice
from datapaths.grout.ports.devargs import Devargs, Meeting, complete, parse
from datapaths.grout.ports.names import device_of, wire_of
from datapaths.linux import legs, netns, nics, ports, sysctls
from datapaths.linux.linkinfo import Link, is_link_local
from datapaths.linux.links import Links
from datapaths.linux.marks import TAP as TAP_MARK
from datapaths.linux.marks import Mark
from datapaths.linux.namespaces import Namespaces
from dualpath.model.links import Address, HostEnd, Port

SHARED = "shared"
WIRINGS = ("", "owned", SHARED)

NOTHING: Mapping[str, int] = {}
NO_ADDRESSES = {"net/ipv6/conf/default/addr_gen_mode": 1}
"""For grout's namespace, so that wires never speak. Not disable_ipv6: grout could make no TAP."""


@dataclass(frozen=True, slots=True)
class Tap:
    """The TAP of one of grout's interfaces; no MAC and no MTU is whatever it has."""

    name: str
    index: int  # 0: it has none
    mac: bytes = b""
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """What grout is to be asked for."""

    devargs: str
    mtu: int  # 0 is grout's default
    addresses: tuple[Address, ...]  # that the NIC has of its own
    expired: tuple[Address, ...] = ()  # that it had
    tap_lost: bool = False  # somebody deleted or renamed the TAP: only grout can make another


class Places:
    """The namespaces that a port may reach into.

    `home` is grout's, `forwarding` the kernel datapath's, and `host` where "" leads in a record.
    """

    def __init__(self, home: str, forwarding: str, host: str = "") -> None:
        self._home = home
        self._forwarding = forwarding
        self._host = host

    def prepare(self) -> None:
        """Make the namespace ready, and NICs whole whose way home was cut short."""
        sysctls.ensure(self._home, NO_ADDRESSES)
        with self._open() as spaces:
            nics.recover(spaces)

    def spaces(self, ports: Iterable[Port]) -> dict[str, Mapping[str, int]]:
        """Return the namespaces in which these ports have devices, with what is set in each."""
        ends = [port.host.netns or self._host for port in ports if port.host]
        # grout's comes first: another name may stand for the same namespace.
        others = (name for name in (self._forwarding, *ends) if name != self._home)
        return {self._home: NO_ADDRESSES, **dict.fromkeys(others, NOTHING)}

    def before(self, port: Port, tap: int) -> Placement:
        """Make all that a port stands on; `tap` is the index of its TAP, 0 before it has one."""
        with self._open() as spaces:
            return self.make(spaces, port, tap)

    def after(self, port: Port, tap: Tap, *, new: bool) -> None:
        """Join what grout has made to what it stands on."""
        with self._open() as spaces:
            self.join(spaces, port, new=new)
            _ensure_tap(spaces.forwarding, tap)

    def remove(self, port: Port) -> None:
        """Remove host leg and wire, or give the NIC back, once grout has let go of the port."""
        with self._open() as spaces:
            devices.remove(spaces, port.name)
            if port.wiring == SHARED and netns.exists(self._forwarding):
                splice.release(self._forwarding, port.name)
                ports.remove_port(self.around(spaces), port)

    def ensure_taps(self, taps: Iterable[Tap]) -> None:
        """Make the TAPs of grout's interfaces pass frames. One that is not there is left out."""
        with self._open() as spaces:
            for tap in taps:
                _ensure_tap(spaces.forwarding, tap)

    def faulty_taps(self, taps: Iterable[Tap]) -> set[Tap]:
        """Return the TAPs that do not pass frames as they were made."""
        with self.looking() as look:
            return {tap for tap in taps if look.tap_faults(tap)}

    def around(self, spaces: Namespaces) -> Namespaces:
        """Return handles for work on the kernel datapath's namespace."""
        return spaces.around(self._forwarding)

    @contextmanager
    def looking(self) -> Iterator[Look]:
        """Look at many ports without changing any."""
        with self._open(dry=True) as spaces:
            spaces.forwarding.load()
            yield Look(self, spaces)

    def _open(self, *, dry: bool = False) -> Namespaces:
        """Open grout's namespace, by a name that outlives grout where there is one."""
        shared = netns.exists(self._forwarding) and netns.same(self._home, self._forwarding)
        return Namespaces(self._forwarding if shared else self._home, self._host, dry=dry)

    def make(self, spaces: Namespaces, port: Port, tap: int) -> Placement:
        """See `before`; `spaces` are handles on grout's namespace, which may be dry."""
        devargs = _checked(port)
        own: tuple[Address, ...] = ()
        if port.wiring == SHARED:
            device, own = self._ensure_shared(spaces, port)
        elif devargs.meeting is Meeting.NONE and not port.host:
            device = None
        else:
            wire = complete(devargs, port.name, bytes(6)).get("iface")
            wired = devargs.meeting is Meeting.WIRE
            device = devices.ensure(spaces, port, wire if wired else "")
            own = tuple(it.address for it in devices.brought(spaces.forwarding, port))
        devices.check_name(spaces.forwarding, port.name, tap)
        if not tap:
            _check_wire(spaces, complete(devargs, port.name, bytes(6)), port.name)
        mac = device.mac if device else bytes(6)
        mtu = port.mtu or (device.mtu if device else 0)
        lost = bool(tap) and spaces.forwarding.name_of(tap) != port.name
        expired = tuple(a for a in devices.expired(spaces.forwarding, port) if a not in own)
        return Placement(str(complete(devargs, port.name, mac)), mtu, own, expired, lost)

    def join(self, spaces: Namespaces, port: Port, *, new: bool) -> None:
        """See `after`."""
        devargs = complete(parse(port.devargs), port.name, bytes(6))
        if devargs.meeting is Meeting.NONE:
            return
        links = spaces.forwarding
        if new and devargs.meeting is Meeting.WIRE:
            # DPDK misses that the wire came up, and would have the port down for ever.
            links.set_up(devargs.get("iface"), False)
            links.set_up(devargs.get("iface"))
        if port.wiring == SHARED:
            self._attach(spaces, port)
        elif devargs.meeting is Meeting.WIRE:
            device = links.set_up(device_of(port.name))
            wire = _ensure_wire(links, devargs.get("iface"), device, port)
            splice.join(links, device, wire)

    def _ensure_shared(self, spaces: Namespaces, port: Port) -> tuple[Link, tuple[Address, ...]]:
        if netns.same(self._home, self._forwarding):
            text = "wiring: shared needs grout in a namespace of its own, beside the forwarding one"
            raise OSError(errno.EINVAL, text)
        there = self.around(spaces)
        ports.ensure_port(there, replace(port, wiring=SHARED))
        own = (a for a in there.forwarding.addresses(port.name) if not is_link_local(a))
        return there.forwarding.get(port.name), tuple(own)

    def _attach(self, spaces: Namespaces, port: Port) -> None:
        """Put the wire beside the NIC, in the namespace of the kernel datapath."""
        links, wire = spaces.open(self._forwarding), wire_of(port.name)
        if spaces.forwarding.find(wire):
            spaces.forwarding.move(wire, links)
        links.sysctl(sysctls.no_ipv6(wire))
        _ensure_wire(links, wire, links.get(port.name), port)
        links.set_up(wire)
        splice.attach(links, port)


class Look:
    """What is there of some ports now. Nothing is changed."""

    def __init__(self, places: Places, spaces: Namespaces) -> None:
        self._places = places
        self._spaces = spaces

    def host_end(self, port: str, mark: Mark) -> HostEnd | None:
        """Return the host's end of a port as it is now."""
        shared = mark.text("wiring") == SHARED
        with suppress(Unavailable):
            spaces = self._places.around(self._spaces) if shared else self._spaces
            if link := spaces.forwarding.find(port if shared else device_of(port)):
                return legs.dump(spaces, link, mark)
        lost = HostEnd(legs.spelt(mark.text("ns")), mark.text("end"))
        return lost if lost.name else None

    def placement(self, port: Port, tap: Tap) -> tuple[Placement | None, list[str]]:
        """Return what making the port would ask of grout, and what it would change on Linux."""
        asked: list[Placement] = []

        def work() -> None:
            asked.append(self._places.make(self._spaces, port, tap.index))
            self._places.join(self._spaces, port, new=False)
            _ensure_tap(self._spaces.forwarding, tap)

        faults = self._spaces.faults(work)
        return (asked[0] if asked else None), faults

    def tap_faults(self, tap: Tap) -> list[str]:
        """Return what keeps a TAP from passing frames."""
        return self._spaces.faults(lambda: _ensure_tap(self._spaces.forwarding, tap))


def _ensure_tap(links: Links, tap: Tap) -> None:
    """Have a TAP as grout made it: grout does not look at it again.

    Its mark is for whoever watches devices.
    """
    if not tap.index:
        return
    if links.name_of(tap.index) != tap.name:
        raise OSError(errno.ENODEV, f"the TAP {tap.name} is gone")
    link = links.get(tap.name)
    mac, mtu = tap.mac or link.mac, tap.mtu or link.mtu
    links.change(tap.name, mac=mac, mtu=mtu, mark=Mark(TAP_MARK, notes={"port": tap.name}))
    links.set_up(tap.name)


def _ensure_wire(links: Links, wire: str, device: Link, port: Port) -> Link:
    links.get(wire)
    mark = Mark("wire", notes={"port": port.name})
    return links.change(wire, mac=device.mac, mtu=port.mtu or device.mtu, mark=mark)


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
