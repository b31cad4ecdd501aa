"""Fetch or create, rename and give back the NIC or the host leg below a port of grout.

The device gets another name, because grout creates a TAP with the port's name. The kernel's own
stack must not answer or route what the device receives. A host leg is a veth, as with the kernel
datapath, so that a host keeps its device, addresses and routes when grout dies. The functions block
and keep no state: marks identify Dualpath's devices.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from datapaths.grout.ports.names import device_of
from datapaths.linux import legs, netns, nicrecords, nics, ports, sysctls
from datapaths.linux.linkinfo import Link, is_link_local
from datapaths.linux.links import Links
from datapaths.linux.marks import Mark, Value
from datapaths.linux.namespaces import Namespaces
from datapaths.linux.nics import TAP as TAP
from datapaths.linux.wire.nicstate import NicAddress
from dualpath.model.links import Address, Port


def ensure(namespaces: Namespaces, port: Port, wire: str) -> Link:
    """Create or fetch the device of a port, and return it; the port gets its MAC.

    `wire` is the device that it is joined to later. With "" a DPDK driver opens the device itself,
    and needs it up. Raises OSError if another program's device has the name.
    """
    links, name = namespaces.forwarding, device_of(port.name)
    _clear_the_name(links, port)
    if port.host:
        legs.ensure(namespaces, replace(port, name=name))
        notes = {**legs.notes(port.host), "port": port.name}
        links.change(name, mark=Mark("device", notes={**notes, "wire": wire}))
    else:
        if not links.find(name):
            _take(namespaces, port)
        mark = _nic_mark(links.get(name), port)
        links.change(name, mark=replace(mark, notes={**mark.notes, "wire": wire}))
    link = links.get(name)
    links.sysctl(sysctls.no_answers(name))
    links.change(name, master="", mtu=port.mtu or link.mtu)
    if not wire:  # the driver decides whether it is promiscuous
        return links.set_up(name)
    return links.set_promiscuous(name)


def brought(links: Links, port: Port) -> tuple[NicAddress, ...]:
    """Return the addresses that a NIC had at home and that are still valid; its port gets them."""
    return _noted(links, port)[0]


def expired(links: Links, port: Port) -> tuple[Address, ...]:
    """Return the addresses that a NIC had at home and that have expired."""
    return tuple(entry.address for entry in _noted(links, port)[1])


def _noted(links: Links, port: Port) -> list[tuple[NicAddress, ...]]:
    link = None if port.host else links.find(device_of(port.name))
    noted = nics.saved_addresses(port.name, link.mac) if link else ((), ())
    return [tuple(entry for entry in some if not is_link_local(entry.address)) for some in noted]


def remove(namespaces: Namespaces, port: str) -> None:
    """Remove a host leg, or give a NIC back as it was. A port that does not exist is fine."""
    links = namespaces.forwarding
    link = links.find(device_of(port))
    if not link or not (mark := link.mark) or mark.what != "device":
        return
    if mark.text("end"):
        legs.remove(namespaces, link, mark)
    else:
        _give_back(namespaces, link, mark)


def check_name(links: Links, port: str, tap: int) -> None:
    """Raise OSError (EEXIST) if a device other than the TAP with index `tap` has the port's name.

    grout can crash if it creates a TAP with a name that exists.
    """
    found = links.find(port)
    if found and found.index != tap:
        where = f"namespace {links.netns}" if links.netns else "this namespace"
        text = f"{port} exists in {where} and is not grout's; rename or remove it"
        raise OSError(errno.EEXIST, text)


def _clear_the_name(links: Links, port: Port) -> None:
    """Delete a host leg that the kernel datapath left with the port's name."""
    found = links.find(port.name)
    if found and found.kind != TAP and port.host and found.mark and found.mark.what == "port":
        links.delete(port.name)


def _take(namespaces: Namespaces, port: Port) -> None:
    """Fetch a NIC. Its addresses and routes are saved first, to be given back with it."""
    links, name = namespaces.forwarding, device_of(port.name)
    links.changes.require(f"{name}: missing")
    found = links.find(port.name)
    if not found or found.kind == TAP:
        source = (
            namespaces.open(port.source_netns or "") if port.source_netns is not None else links
        )
        if source is links:
            where = f"namespace {links.netns}" if links.netns else "this namespace"
            text = f"no interface {port.name} in {where}"
            raise OSError(errno.ENODEV, text)
        nics.fetch(namespaces, port.name, source, Mark("device", notes=_notes(port)), name)
        return
    home = links.netns if port.source_netns is None else namespaces.name_of(port.source_netns)
    mark = found.mark if found.mark and found.mark.what == "port" else None
    # The kernel datapath had it: the addresses that it added are not the NIC's own.
    nics.save(links, found, netns.path_of(home), ports.added_by(mark) if mark else ())
    nics.remove_addresses(links, found)
    notes = {**_notes(port), "was": mark.text("was") if mark else found.alias}
    links.rename(port.name, name)
    links.change(name, mark=Mark("device", notes=notes))


def _notes(port: Port) -> dict[str, Value]:
    home = "" if port.source_netns is None else port.source_netns or legs.OWN
    return {"port": port.name, "from": home}


def _nic_mark(link: Link, port: Port) -> Mark:
    """Return the mark of a NIC that we fetched; a NIC that lost it is recognized by its file."""
    if link.mark and link.mark.what == "device":
        return link.mark
    if not (record := nicrecords.read(port.name, link.mac)):
        raise OSError(errno.EEXIST, f"{link.name} exists already and is not Dualpath's")
    return Mark("device", notes={**_notes(port), "was": record.alias})


def _give_back(namespaces: Namespaces, link: Link, mark: Mark) -> None:
    where = (
        legs.decode_netns(mark.text("from")) if mark.text("from") else namespaces.forwarding.netns
    )
    namespaces.forwarding.set_promiscuous(link.name, False)
    namespaces.forwarding.sysctl(sysctls.answers(link.name))
    nics.give_back(namespaces, link, where, (), mark.text("port"))
