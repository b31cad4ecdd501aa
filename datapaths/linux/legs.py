"""Host legs: a veth from the forwarding namespace to the host, and the host's bridge, if any."""

from __future__ import annotations

import errno
import os

from datapaths.base import Unavailable
from datapaths.linux import ovs, sysctls
from datapaths.linux.filters import Filters
from datapaths.linux.linkinfo import Link, is_pair
from datapaths.linux.linkreader import called
from datapaths.linux.links import Links
from datapaths.linux.marks import DEVICE_GROUP, Mark, Value
from datapaths.linux.namespaces import Namespaces
from datapaths.linux.netns import path_of
from dualpath.model.links import HostEnd, Port

OWN = "."  # in a mark: the controller's namespace (""), where an absent note means none


def ensure(namespaces: Namespaces, port: Port) -> Link:
    """Create both ends and configure the host end; the caller configures the near end."""
    assert port.host is not None
    links, there = namespaces.forwarding, namespaces.open(port.host.netns)
    near = _whole_pair(links, there, port.name, port.host.name)
    if not near:
        near = create_pair(links, port.name, there, port.host.name)
        with Filters(links.netns) as filters:
            filters.prepare(near.index)  # `dualpath switch` will need it, under traffic
    before = near.mark
    _ensure_far(there, port.host, port.mtu)
    if before and before.text("bridge"):
        _leave(there, before, port.host)
    return near


def create_pair(links: Links, name: str, there: Links, far: str) -> Link:
    """Create a veth whose far end is created in another namespace."""
    fd = os.open(path_of(there.netns), os.O_RDONLY | os.O_CLOEXEC)
    try:
        near = links.create(
            name, "veth", peer={"ifname": far, "net_ns_fd": fd, "group": DEVICE_GROUP}
        )
    finally:
        os.close(fd)
    there.reload(far)
    return near


def _whole_pair(links: Links, there: Links, name: str, far: str) -> Link | None:
    """Return the near end if the pair is complete; else delete the half that Dualpath made."""
    near, end = links.find(name), there.find(far)
    if near and end and is_pair(near, end):
        return near
    for side, link in ((links, near), (there, end)):
        if link and not link.made:
            text = f"{link.name} exists in {called(side.netns)} and is not Dualpath's: rename it"
            raise OSError(errno.EEXIST, text)
        if link:
            side.delete(link.name)
    return None


def _ensure_far(there: Links, host: HostEnd, mtu: int) -> None:
    if host.bridge and not host.ovs:
        _ensure_bridge(there, host)
    link = there.get(host.name)
    before = link.mark.addresses if link.mark else ()
    mark = Mark("end", host.addresses)
    if host.bridge and not host.addresses:
        there.sysctl(sysctls.no_addrgen(host.name))  # a bridge port has no address
    there.change(host.name, mac=host.mac or link.mac, mtu=mtu or link.mtu, mark=mark)
    if host.ovs and there.dry:
        if ovs.bridge_of(host.name) != host.bridge:
            there.changes.append(f"{host.name}: Open vSwitch bridge")
    elif host.ovs:
        if link.master and ovs.bridge_of(host.name) != host.bridge:
            there.change(host.name, master="")  # Open vSwitch rejects a device that has a master
        ovs.attach(host.bridge, host.name, create=host.create_bridge)
        there.reload(host.name)
    else:
        there.change(host.name, master=host.bridge)
    there.set_up(host.name)
    there.addresses.set(host.name, host.addresses, before)


def _ensure_bridge(there: Links, host: HostEnd) -> None:
    if not there.find(host.bridge):
        if not host.create_bridge:
            where = called(there.netns)
            text = f"no bridge {host.bridge} in {where}: create it, or set autoCreate"
            raise OSError(errno.ENOENT, text)
        there.create(host.bridge, "bridge")
    bridge = there.get(host.bridge)
    if bridge.kind == "bridge" and bridge.is_ours("host-bridge"):
        there.change(host.bridge, mark=Mark("host-bridge"))  # missing after a crash
        # The bridge must not send packets of its own (link-local address, multicast snooping):
        # its MAC would be learned as a host's, and advertised.
        there.sysctl(sysctls.no_addrgen(host.bridge))
        there.set_info(host.bridge, br_mcast_snooping=0)
        there.set_up(host.bridge)


def remove(namespaces: Namespaces, link: Link, mark: Mark) -> None:
    """Remove a leg, and the host's bridge if Dualpath made it and it has no other ports."""
    namespaces.forwarding.delete(link.name)
    try:
        there = namespaces.open(decode_netns(mark.text("ns")))
    except Unavailable:
        return  # the namespace is gone, and its devices with it
    there.forget(mark.text("end"))
    if mark.flag("ovs"):
        ovs.detach(mark.text("end"))
    _drop_bridge(there, mark)


def _leave(there: Links, before: Mark, host: HostEnd) -> None:
    """Remove the host end from its former bridge, if that differs from the wanted one."""
    if (before.text("bridge"), before.flag("ovs")) == (host.bridge, host.ovs):
        return
    there.changes.require(f"{host.name}: another bridge")
    if before.flag("ovs") and not host.ovs:
        ovs.detach(host.name)
        there.change(there.reload(host.name).name, master=host.bridge)
    _drop_bridge(there, before)


def _drop_bridge(there: Links, mark: Mark) -> None:
    """Remove the bridge that a mark names, if Dualpath made it and it has no other ports."""
    name = mark.text("bridge")
    if mark.flag("ovs"):
        ovs.remove_bridge(name)
        return
    bridge = there.find(name)
    if not bridge or not bridge.mark or bridge.mark.what != "host-bridge":
        return
    if not any(other.master == bridge.index for other in there.all()):
        there.delete(bridge.name)


def notes(host: HostEnd) -> dict[str, Value]:
    """Return the notes that describe a host leg, for a port's mark."""
    return {
        "ns": host.netns or OWN,
        "end": host.name,
        "anymac": int(not host.mac),
        "bridge": host.bridge,
        "made": int(host.create_bridge),
        "ovs": int(host.ovs),
    }


def dump(namespaces: Namespaces, link: Link, mark: Mark) -> HostEnd | None:
    """Return the host end as it is, or its name and namespace if it is gone; None for a NIC."""
    name, netns = mark.text("end"), decode_netns(mark.text("ns"))
    if not name:
        return None
    try:
        there = namespaces.open(netns)
    except Unavailable:
        return HostEnd(netns, name)
    far = there.find(name)
    if not far or not far.mark or not far.up or not is_pair(link, far):
        return HostEnd(netns, name)
    have = there.addresses.of(name)
    return HostEnd(
        netns=netns,
        name=name,
        mac=b"" if mark.flag("anymac") else far.mac,
        addresses=tuple(address for address in far.mark.addresses if address in have),
        bridge=ovs.bridge_of(name) if mark.flag("ovs") else there.name_of(far.master),
        create_bridge=mark.flag("made"),
        ovs=mark.flag("ovs"),
    )


def decode_netns(netns: str) -> str:
    """Return the namespace that a mark's note names; "" is the controller's."""
    return "" if netns == OWN else netns
