"""Host legs: a veth from the forwarding namespace to a host's, and the bridge it may end in."""

from __future__ import annotations

import errno
import os

from datapaths.base import Unavailable
from datapaths.linux import ovs, sysctls
from datapaths.linux.linkinfo import Link, is_pair
from datapaths.linux.links import Links
from datapaths.linux.marks import DEVICE_GROUP, Mark, Value
from datapaths.linux.namespaces import Namespaces
from datapaths.linux.netns import path_of
from dualpath.model.links import HostEnd, Port

OWN = "."  # how a mark spells "" for a namespace: our own, as against none


def ensure(namespaces: Namespaces, port: Port) -> Link:
    """Make both ends, and set up the far one; the near one is the caller's to place."""
    assert port.host is not None
    links, there = namespaces.forwarding, namespaces.open(port.host.netns)
    near = _whole_pair(links, there, port.name, port.host.name)
    if not near:
        near = create_pair(links, port.name, there, port.host.name)
    before = near.mark
    _ensure_far(there, port.host, port.mtu)
    if before and before.text("bridge"):
        _leave(there, before, port.host)
    return near


def create_pair(links: Links, name: str, there: Links, far: str) -> Link:
    """Create a veth whose far end is in another namespace from the start."""
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
    """Return the near end if the pair is as it should be; remove half a pair of ours."""
    near, end = links.find(name), there.find(far)
    if near and end and is_pair(near, end):
        return near
    for space, link in ((links, near), (there, end)):
        if link and not link.made:
            text = f"{link.name} exists in namespace {space.netns or 'of ours'} and is not ours"
            raise OSError(errno.EEXIST, text)
        if link:
            space.delete(link.name)
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
            there.change(host.name, master="")  # Open vSwitch refuses a device with a master
        ovs.attach(host.bridge, host.name, create=host.create_bridge)
        there.reload(host.name)
    else:
        there.change(host.name, master=host.bridge)
    there.set_up(host.name)
    there.set_addresses(host.name, host.addresses, before)


def _ensure_bridge(there: Links, host: HostEnd) -> None:
    if not there.find(host.bridge):
        if not host.create_bridge:
            text = f"there is no bridge {host.bridge} in namespace {there.netns or 'of ours'}"
            raise OSError(errno.ENOENT, text)
        there.create(host.bridge, "bridge")
    bridge = there.get(host.bridge)
    if bridge.kind == "bridge" and bridge.is_ours("host-bridge"):
        there.change(host.bridge, mark=Mark("host-bridge"))  # a crash may have kept it from that
        # It is a wire between others, and no host: a word of its own, as snooping says some, would
        # have its MAC learnt and advertised.
        there.sysctl(sysctls.no_addrgen(host.bridge))
        there.set_info(host.bridge, br_mcast_snooping=0)
        there.set_up(host.bridge)


def remove(namespaces: Namespaces, link: Link, mark: Mark) -> None:
    """Remove a leg and the far bridge, if we made that and nothing else is in it."""
    namespaces.forwarding.delete(link.name)
    try:
        there = namespaces.open(decode_netns(mark.text("ns")))
    except Unavailable:
        return  # and its devices with it
    there.forget(mark.text("end"))
    if mark.flag("ovs"):
        ovs.detach(mark.text("end"))
    _drop_bridge(there, mark)


def _leave(there: Links, before: Mark, host: HostEnd) -> None:
    """Leave the bridge in which the far end was, if that is another one now."""
    if (before.text("bridge"), before.flag("ovs")) == (host.bridge, host.ovs):
        return
    there.end_dry_run(f"{host.name}: another bridge")
    if before.flag("ovs") and not host.ovs:
        ovs.detach(host.name)
        there.change(there.reload(host.name).name, master=host.bridge)
    _drop_bridge(there, before)


def _drop_bridge(there: Links, mark: Mark) -> None:
    """Remove the bridge that a mark names, if we made it and nothing else is in it."""
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
    """Return the host leg that a port's mark describes."""
    return {
        "ns": host.netns or OWN,
        "end": host.name,
        "anymac": int(not host.mac),
        "bridge": host.bridge,
        "made": int(host.create_bridge),
        "ovs": int(host.ovs),
    }


def dump(namespaces: Namespaces, link: Link, mark: Mark) -> HostEnd | None:
    """Return the far end as it is; just where it should be when it is gone; None for a NIC."""
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
    have = there.addresses(name)
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
    """Read a namespace as a mark spells it."""
    return "" if netns == OWN else netns
