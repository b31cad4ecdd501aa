"""Create, join, compare and remove the kernel devices below a port of grout. Blocks.

A port of grout is one interface of grout's. Its packets come from a *wire*, a kernel device that
DPDK's driver reads and writes, and the wire is joined by tc to the NIC or to the near end of the
host leg. grout makes a TAP with the port's own name, for packets to and from FRR, so the NIC needs
another name while grout has it.

    port eth1 (owned)    cable -- n-eth1 <-tc-> w-eth1 -- DPDK -- grout -- eth1 (TAP) <-tc-> twin
    port pe-e-100        host-100 == n-pe-e-100 <-tc-> w-pe-e-100 -- DPDK -- grout
    port eth1 (shared)   cable -- eth1 <-tc-> w-eth1 -- DPDK -- grout      eth1 and w-eth1 stay in
                                                                          the forwarding namespace
    devargs 0000:05:00.0               the NIC -- DPDK -- grout            no kernel device at all
    devargs net_af_packet0    cable -- n-eth1 -- DPDK -- grout             no wire

DPDK creates the wire and the TAP, so the work is split around the request to grout:

1. `before` fetches the NIC or creates the host leg. It returns the parameters of the request, a
   `Placement`: devargs `net_tap_eth1,iface=w-eth1,mac=02:...`, MTU 1500, the NIC's addresses.
2. The caller sends the request to grout, which creates w-eth1 and eth1.
3. `after` joins n-eth1 to w-eth1, and sets up the TAP.

Steps 1 and 3 are idempotent, and compare before they write. So `Look` runs the same code on dry
handles and returns what it would change (`linux.dryrun`, decision 0012).

Rejected: DPDK on the NIC itself by default (af_packet, af_xdp). It depends on the offloads of each
NIC and veth; mirred hands over frames with checksums and segments completed. Shared wiring by
default: decision 0020.
"""

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
from datapaths.linux.hostbridges import Bridge, Leg
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
"""For grout's namespace: wires get no IPv6 address, and so send nothing of their own. Not
disable_ipv6, as grout could make no TAP then."""


@dataclass(frozen=True, slots=True)
class Tap:
    """The TAP of one of grout's interfaces. Without MAC or MTU, those are not compared."""

    name: str
    index: int  # 0: the interface has no TAP
    mac: bytes = b""
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Parameters of the request to grout for a port, once its NIC or host leg is ready."""

    devargs: str
    mtu: int  # 0 is grout's default
    addresses: tuple[Address, ...]  # the NIC's own
    expired: tuple[Address, ...] = ()  # the NIC's own that have expired
    tap_lost: bool = False  # the TAP was deleted or renamed: only a new port gets another


class Places:
    """Creates and compares the kernel devices of ports, in up to three namespaces.

    `home` is grout's, `forwarding` the kernel datapath's, and `host` the one that "" in a record
    stands for.
    """

    def __init__(self, home: str, forwarding: str, host: str = "") -> None:
        self._home = home
        self._forwarding = forwarding
        self._host = host

    def prepare(self) -> None:
        """Set the sysctls of grout's namespace, and complete NICs whose return was interrupted."""
        sysctls.ensure(self._home, NO_ADDRESSES)
        with self._open() as namespaces:
            nics.recover(namespaces)

    def namespaces(self, ports: Iterable[Port]) -> dict[str, Mapping[str, int]]:
        """Return the namespaces that contain devices of these ports, each with its sysctls."""
        ends = [port.host.netns or self._host for port in ports if port.host]
        # grout's is first: another name may stand for the same namespace.
        others = (name for name in (self._forwarding, *ends) if name != self._home)
        return {self._home: NO_ADDRESSES, **dict.fromkeys(others, NOTHING)}

    def legs(self, ports: Iterable[Port]) -> dict[str, Leg]:
        """Return the host legs that end in a bridge of the kernel, by the port's name."""
        return {
            port.name: Leg(Bridge(port.host.netns or self._host, port.host.bridge), port.host.name)
            for port in ports
            if port.host and port.host.bridge and not port.host.ovs
        }

    def before(self, port: Port, tap: int) -> Placement:
        """Make the devices below a port; `tap` is the index of its TAP, 0 before it has one."""
        with self._open() as namespaces:
            return self.make(namespaces, port, tap)

    def after(self, port: Port, tap: Tap, *, new: bool) -> None:
        """Join the wire that grout made to the NIC or host leg, and set up the TAP."""
        with self._open() as namespaces:
            self.join(namespaces, port, new=new)
            _ensure_tap(namespaces.forwarding, tap)

    def remove(self, port: Port) -> None:
        """Remove the host leg, or give the NIC back, after grout has deleted the port."""
        with self._open() as namespaces:
            devices.remove(namespaces, port.name)
            if port.wiring == SHARED and netns.exists(self._forwarding):
                splice.release(self._forwarding, port.name)
                ports.remove_port(self.forwarding_in(namespaces), port)

    def ensure_taps(self, taps: Iterable[Tap]) -> None:
        """Repair what keeps TAPs from passing frames. Raises OSError when one is gone."""
        with self._open() as namespaces:
            for tap in taps:
                _ensure_tap(namespaces.forwarding, tap)

    def faulty_taps(self, taps: Iterable[Tap]) -> set[Tap]:
        """Return the TAPs that are gone, or differ from what grout made."""
        with self.looking() as look:
            return {tap for tap in taps if look.tap_faults(tap)}

    def forwarding_in(self, namespaces: Namespaces) -> Namespaces:
        """Return handles whose forwarding namespace is the kernel datapath's."""
        return namespaces.forwarding_in(self._forwarding)

    @contextmanager
    def looking(self) -> Iterator[Look]:
        """Yield a Look at grout's namespace, read once for all ports."""
        with self._open(dry=True) as namespaces:
            namespaces.forwarding.load()
            yield Look(self, namespaces)

    def _open(self, *, dry: bool = False) -> Namespaces:
        """Open grout's namespace, by a name that outlives grout where there is one."""
        shared = netns.exists(self._forwarding) and netns.same(self._home, self._forwarding)
        return Namespaces(self._forwarding if shared else self._home, self._host, dry=dry)

    def make(self, namespaces: Namespaces, port: Port, tap: int) -> Placement:
        """Do the work of `before` with these handles, which may be dry."""
        devargs = _checked(port)
        own: tuple[Address, ...] = ()
        if port.wiring == SHARED:
            device, own = self._ensure_shared(namespaces, port)
        elif devargs.meeting is Meeting.NONE and not port.host:
            device = None
        else:
            wire = complete(devargs, port.name, bytes(6)).get("iface")
            wired = devargs.meeting is Meeting.WIRE
            device = devices.ensure(namespaces, port, wire if wired else "")
            own = tuple(it.address for it in devices.brought(namespaces.forwarding, port))
        devices.check_name(namespaces.forwarding, port.name, tap)
        if not tap:
            _check_wire(namespaces, complete(devargs, port.name, bytes(6)), port.name)
        mac = device.mac if device else bytes(6)
        mtu = port.mtu or (device.mtu if device else 0)
        lost = bool(tap) and namespaces.forwarding.name_of(tap) != port.name
        expired = tuple(a for a in devices.expired(namespaces.forwarding, port) if a not in own)
        return Placement(str(complete(devargs, port.name, mac)), mtu, own, expired, lost)

    def join(self, namespaces: Namespaces, port: Port, *, new: bool) -> None:
        """Do the work of `after` with these handles, except for the TAP."""
        devargs = complete(parse(port.devargs), port.name, bytes(6))
        if devargs.meeting is Meeting.NONE:
            return
        links = namespaces.forwarding
        if new and devargs.meeting is Meeting.WIRE:
            # DPDK misses that the wire came up, and would otherwise keep the port down.
            links.set_up(devargs.get("iface"), False)
            links.set_up(devargs.get("iface"))
        if port.wiring == SHARED:
            self._attach(namespaces, port)
        elif devargs.meeting is Meeting.WIRE:
            device = links.set_up(device_of(port.name))
            wire = _ensure_wire(links, devargs.get("iface"), device, port)
            # CNI plugins made a NIC that comes from the forwarding namespace.
            by_plugins = not port.host and port.source_netns == self._forwarding
            splice.join(links, device, wire, leased=by_plugins)

    def _ensure_shared(
        self, namespaces: Namespaces, port: Port
    ) -> tuple[Link, tuple[Address, ...]]:
        if netns.same(self._home, self._forwarding):
            text = "wiring: shared needs grout in a namespace of its own, beside the forwarding one"
            raise OSError(errno.EINVAL, text)
        there = self.forwarding_in(namespaces)
        ports.ensure_port(there, replace(port, wiring=SHARED))
        own = (a for a in there.forwarding.addresses.of(port.name) if not is_link_local(a))
        return there.forwarding.get(port.name), tuple(own)

    def _attach(self, namespaces: Namespaces, port: Port) -> None:
        """Put the wire beside the NIC, in the namespace of the kernel datapath."""
        links, wire = namespaces.open(self._forwarding), wire_of(port.name)
        if namespaces.forwarding.find(wire):
            namespaces.forwarding.move(wire, links)
        links.sysctl(sysctls.no_ipv6(wire))
        _ensure_wire(links, wire, links.get(port.name), port)
        links.set_up(wire)
        splice.attach(links, port)


class Look:
    """Compares ports with their kernel devices, and changes nothing."""

    def __init__(self, places: Places, namespaces: Namespaces) -> None:
        self._places = places
        self._namespaces = namespaces

    def host_end(self, port: str, mark: Mark) -> HostEnd | None:
        """Return a port's host end as it is now."""
        shared = mark.text("wiring") == SHARED
        with suppress(Unavailable):
            namespaces = (
                self._places.forwarding_in(self._namespaces) if shared else self._namespaces
            )
            if link := namespaces.forwarding.find(port if shared else device_of(port)):
                return legs.dump(namespaces, link, mark)
        lost = HostEnd(legs.decode_netns(mark.text("ns")), mark.text("end"))
        return lost if lost.name else None

    def placement(self, port: Port, tap: Tap) -> tuple[Placement | None, list[str]]:
        """Return the request that creating the port would need, and the kernel changes."""
        asked: list[Placement] = []

        def work() -> None:
            asked.append(self._places.make(self._namespaces, port, tap.index))
            self._places.join(self._namespaces, port, new=False)
            _ensure_tap(self._namespaces.forwarding, tap)

        faults = self._namespaces.faults(work)
        return (asked[0] if asked else None), faults

    def tap_faults(self, tap: Tap) -> list[str]:
        """Return the differences that keep a TAP from passing frames."""
        return self._namespaces.faults(lambda: _ensure_tap(self._namespaces.forwarding, tap))


def _ensure_tap(links: Links, tap: Tap) -> None:
    """Give a TAP the MAC, MTU and flags that grout set at its creation. grout never checks them.

    The mark lets `linux.drift` report changes.
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


def _check_wire(namespaces: Namespaces, devargs: Devargs, port: str) -> None:
    wire = devargs.get("iface")
    if devargs.meeting is Meeting.WIRE and namespaces.forwarding.find(wire):
        text = f"{wire}, the wire of {port}, exists already and is not grout's"
        raise OSError(errno.EEXIST, text)
