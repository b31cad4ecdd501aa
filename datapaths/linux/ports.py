"""Ports of the forwarding namespace: `lo`, fetched NICs, and host legs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from datapaths.base import Unavailable
from datapaths.linux import legs, netns, nics, sysctls
from datapaths.linux.linkinfo import Link
from datapaths.linux.links import Links
from datapaths.linux.marks import Mark, Value
from datapaths.linux.namespaces import Namespaces
from dualpath.model.links import BROKEN_MTU, Address, Port

log = logging.getLogger(__name__)


def ensure_port(namespaces: Namespaces, port: Port) -> None:
    links = namespaces.forwarding
    link = _ensure_leg(namespaces, port) if port.host else _fetch(namespaces, port)
    before = added_by(link.mark) if link.mark else []
    _hold(namespaces, port, before)
    mark = Mark("port", port.addresses, {**notes(port), **_brought(links, link, port)})
    if not port.loopback:
        _place(links, port)
    links.change(port.name, mark=mark)
    links.set_up(port.name)
    if not port.loopback and not port.vni:
        links.addresses.ensure_link_local(port.name)  # for ND, and the twin's source address
    links.addresses.set(port.name, port.addresses, before)
    _hold(namespaces, port, added_by(mark))  # again: joining a VRF removed its routes


def remove_port(namespaces: Namespaces, port: Port) -> None:
    links = namespaces.forwarding
    link = links.find(port.name)
    if not link or not (mark := link.mark):
        return
    if link.kind == "veth" and mark.text("end"):
        legs.remove(namespaces, link, mark)
        return
    if mark.text("from"):
        nics.give_back(namespaces, link, legs.decode_netns(mark.text("from")), added_by(mark))
    else:
        links.addresses.set(port.name, (), added_by(mark))
        links.change(port.name, alias=mark.text("was"))


def save_nics(namespaces: Namespaces) -> None:
    """Save the state of fetched NICs that have no file."""
    for link, mark in list(namespaces.forwarding.marked("port")):
        if mark.text("from"):
            try:
                home = netns.path_of(namespaces.name_of(legs.decode_netns(mark.text("from"))))
                nics.save(namespaces.forwarding, link, home, added_by(mark))
            except OSError as error:
                log.warning("%s", error.strerror or error)


def give_back_nics(namespaces: Namespaces) -> None:
    """Give back every NIC of the forwarding namespace; log those that cannot be, and why."""
    for link, mark in list(namespaces.forwarding.marked("port")):
        if mark.text("from"):
            try:
                remove_port(namespaces, Port(link.name))
            except (OSError, Unavailable) as error:
                log.warning(
                    "%s stays in namespace %s: %s", link.name, namespaces.forwarding.netns, error
                )


def dump_ports(namespaces: Namespaces) -> Iterator[Port]:
    """Yield our ports as they are now; drift shows as a difference."""
    links = namespaces.forwarding
    for link, mark in links.marked("port"):
        have = links.addresses.of(link.name)
        master = links.find(links.name_of(link.master))
        vni = master.name.removeprefix("br") if master and master.kind == "bridge" else "0"
        source = mark.notes.get("from")
        yield Port(
            name=link.name,
            vrf=mark.text("vrf") if vni != "0" else master.name if master else "",
            vni=int(vni) if vni.isdecimal() else 0,
            addresses=tuple(address for address in mark.addresses if address in have),
            mtu=_mtu(links, link, mark),
            host=legs.dump(namespaces, link, mark),
            source_netns=None if source is None else legs.decode_netns(str(source)),
            twin=mark.flag("twin"),
            loopback=link.name == "lo",
            devargs=mark.text("devargs"),
            wiring=mark.text("wiring"),
        )


def _mtu(links: Links, link: Link, mark: Mark) -> int:
    if not link.up:
        return BROKEN_MTU
    if mark.text("from") and not nics.is_whole(links, link, routed=not link.master):
        return BROKEN_MTU
    return link.mtu if mark.flag("mtu") else 0


def _place(links: Links, port: Port) -> None:
    """Put a port into its VRF or bridge. Add addresses afterwards: IPv6 ones would be lost."""
    if port.mtu:  # before it joins a bridge, which would take the lowest MTU of its ports
        links.change(port.name, mtu=port.mtu)
    if port.vni:
        links.sysctl(sysctls.no_ipv6(port.name))
        links.change(port.name, master=f"br{port.vni}")
        links.set_port(port.name, learning=1, neigh_suppress=0)
    else:
        links.sysctl(sysctls.no_addrgen(port.name))
        links.sysctl(sysctls.routing(port.name, forwards=True))
        links.change(port.name, master=port.vrf)


def notes(port: Port) -> dict[str, Value]:
    """Return the fields of a port's record that the kernel does not store, for its mark."""
    found: dict[str, Value] = {"twin": int(port.twin), "mtu": int(bool(port.mtu))}
    found.update(devargs=port.devargs, wiring=port.wiring)
    if port.vni:
        found["vrf"] = port.vrf
    if port.host:
        found.update(legs.notes(port.host))
    if port.source_netns is not None:
        found["from"] = port.source_netns or legs.OWN
    return found


def _brought(links: Links, link: Link, port: Port) -> dict[str, Value]:
    """Return the notes on a device's earlier state, to restore it; none for a host leg."""
    if port.host:
        return {}
    return {"kept": _kept(link, links.addresses.of(port.name), port), "was": _was(link)}


def _kept(link: Link, have: Sequence[Address], port: Port) -> int:
    """Return a bit mask of the port's addresses that the device had before; bit i is the i-th.

    They remain when the port is removed.
    """
    added = added_by(link.mark) if link.mark else ()
    bits = (address in have and address not in added for address in port.addresses)
    return sum(1 << i for i, bit in enumerate(bits) if bit)


def added_by(mark: Mark) -> list[Address]:
    """Return the addresses that Dualpath added to the device."""
    kept = int(mark.notes.get("kept", 0))
    return [address for i, address in enumerate(mark.addresses) if not kept >> i & 1]


def _was(link: Link) -> str:
    """Return the alias that the device had before it became a port."""
    return link.mark.text("was") if link.mark else link.alias


def _ensure_leg(namespaces: Namespaces, port: Port) -> Link:
    """Create a host leg. If a fetched NIC has its name, give that back first."""
    link = namespaces.forwarding.find(port.name)
    if link and link.mark and link.mark.text("from"):
        namespaces.forwarding.changes.require(f"{port.name}: a NIC in place of a host leg")
        remove_port(namespaces, port)
    return legs.ensure(namespaces, port)


def _fetch(namespaces: Namespaces, port: Port) -> Link:
    """Return the port's NIC; fetch it if it is still in its home namespace."""
    links = namespaces.forwarding
    if (link := links.find(port.name)) or port.source_netns is None:
        return link or links.get(port.name)
    links.changes.require(f"{port.name}: missing")
    source, mark = namespaces.open(port.source_netns), Mark("port", (), notes(port))
    return nics.fetch(namespaces, port.name, source, mark)


def _hold(namespaces: Namespaces, port: Port, added: Sequence[Address]) -> None:
    """Add the saved addresses and routes that a fetched NIC lacks."""
    links = namespaces.forwarding
    if port.host or port.source_netns is None:
        return
    home = netns.path_of(namespaces.name_of(port.source_netns))
    links.set_up(port.name)
    routed = not port.vrf and not port.vni
    if links.dry:
        if not nics.is_whole(links, links.get(port.name), routed=routed):
            links.changes.append(f"{port.name}: addresses or routes that it had at home")
        return
    nics.restore(links, links.get(port.name), home, added, routed=routed)
