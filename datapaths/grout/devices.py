"""The kernel's side of a port: the NIC or the host leg that grout takes over.

It gets another name, since grout makes a TAP of the port's own, and is made mute: what it receives
never meets the kernel's stack. A host leg is a veth, as with the kernel datapath, so that a host
keeps its device, addresses and routes when grout dies. Synchronous, stateless: marks tell what is
ours.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from controller.model.links import Address, Port
from datapaths.grout.names import device_of
from datapaths.linux import legs, sysctls
from datapaths.linux.linkinfo import Link, is_link_local
from datapaths.linux.links import Links
from datapaths.linux.marks import Mark, Value
from datapaths.linux.namespaces import Namespaces

TAP = "tun"  # IFLA_INFO_KIND of TUN and TAP devices


def ensure(spaces: Namespaces, port: Port, wire: str) -> Link:
    """Make or fetch the device of a port, mute; its MAC is to be the port's.

    `wire` is the device with which it is to be joined, and then it goes up; "" when a driver opens
    it itself, and wants it up.
    Raises OSError when somebody else's device has its name.
    """
    links, name = spaces.forwarding, device_of(port.name)
    _clear_the_name(links, port)
    if port.host:
        legs.ensure(spaces, replace(port, name=name))
        notes = legs.notes(port.host)
        links.change(name, mark=Mark("device", notes={**notes, "port": port.name, "wire": wire}))
    elif not links.find(name):
        _take(spaces, port)
    link = links.get(name)
    if not port.host and link.mark and link.mark.text("wire") != wire:
        notes = {**link.mark.notes, "wire": wire}
        links.change(name, mark=replace(link.mark, notes=notes))
    links.sysctl(sysctls.deaf(name))
    links.change(name, master="", mtu=port.mtu or link.mtu)
    links.set_promiscuous(name)
    return links.get(name) if wire else links.set_up(name)


def brought(links: Links, port: Port) -> tuple[Address, ...]:
    """Return the addresses that a NIC had of its own: they are its port's now."""
    link = links.find(device_of(port.name))
    return link.mark.addresses if link and link.mark and not port.host else ()


def remove(spaces: Namespaces, port: str) -> None:
    """Remove a host leg, or give a NIC back as it was. Absent is fine."""
    links = spaces.forwarding
    link = links.find(device_of(port))
    if not link or not (mark := link.mark) or mark.what != "device":
        return
    if mark.text("end"):
        legs.remove(spaces, link, mark)
    else:
        _give_back(spaces, link, mark)


def check_name(links: Links, port: str, tap: int) -> None:
    """Refuse a port whose name some device has that is not the TAP with index `tap`.

    grout can crash when it is to make a TAP of a name that is taken.
    """
    found = links.find(port)
    if found and found.index != tap:
        text = f"{port} exists in namespace {links.netns or 'of ours'} and is not grout's"
        raise OSError(errno.EEXIST, text)


def _clear_the_name(links: Links, port: Port) -> None:
    """Take over what the kernel datapath left: a NIC or leg that still has the port's name."""
    found = links.find(port.name)
    if found and found.kind != TAP and port.host and found.mark and found.mark.what == "port":
        links.delete(port.name)


def _take(spaces: Namespaces, port: Port) -> None:
    """Fetch a NIC, and note what it is to be again one day."""
    links, name = spaces.forwarding, device_of(port.name)
    found = links.find(port.name)
    source = spaces.open(port.source_netns) if port.source_netns is not None else links
    if found and found.kind != TAP:
        source = links
    link = source.get(port.name)
    own = tuple(a for a in source.addresses(port.name) if not is_link_local(a))
    if link.mark and link.mark.what == "port":  # the kernel datapath had it
        own = tuple(a for a in own if a not in link.mark.addresses)
    notes: dict[str, Value] = {
        "port": port.name,
        "from": "" if port.source_netns is None else port.source_netns or legs.OWN,
        "was": link.mark.text("was") if link.mark else link.alias,
    }
    source.set_addresses(port.name, (), source.addresses(port.name))
    source.rename(port.name, name)
    if source is not links:
        source.move(name, links)
    links.change(name, mark=Mark("device", own, notes))


def _give_back(spaces: Namespaces, link: Link, mark: Mark) -> None:
    links, name = spaces.forwarding, mark.text("port")
    where = mark.text("from")
    home = spaces.open(legs.spelt(where)) if where else links
    if home.find(name):
        text = f"cannot give {name} back: its namespace has another one of that name"
        raise OSError(errno.EEXIST, text)
    links.change(link.name, alias=mark.text("was"))
    links.set_promiscuous(link.name, False)
    if home is not links:
        links.move(link.name, home)
    home.rename(link.name, name)
    home.sysctl(sysctls.hearing(name))
    home.set_up(name)
    home.set_addresses(name, mark.addresses)
