"""Devices of VRFs and VNIs, in the forwarding namespace and, as shadow devices, in FRR's.

A shadow device does not forward, and has no unreachable default route and no link-local address.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import replace

from datapaths.linux import sysctls
from datapaths.linux.linkinfo import Link, is_link_local
from datapaths.linux.linkreader import called
from datapaths.linux.links import Creation, Info, Links
from datapaths.linux.marks import Mark
from datapaths.linux.rtnl import BY_KERNEL
from dualpath.model.links import Vni, Vrf

UNREACHABLE_METRIC = 4278198272  # the kernel's documentation of VRF: after every real route
FAMILIES = (socket.AF_INET, socket.AF_INET6)
RTN_UNREACHABLE = 7  # linux/rtnetlink.h
AGEING = 300 * 100  # clock_t, 1/100 s
BRIDGE_OPTIONS: Info = {
    "br_mcast_snooping": 0,
    "br_ageing_time": AGEING,
    # The kernel's defaults, written again if they drift: no MAC lookup by VLAN, no STP delay.
    "br_vlan_filtering": 0,
    "br_vlan_default_pvid": 0,
    "br_stp_state": 0,
}
BRIDGE = re.compile(r"br([1-9][0-9]*)")  # model.links.Vni.bridge


def ensure_vrf(links: Links, vrf: Vrf, *, forwards: bool) -> None:
    """Create or repair a VRF device. The kernel cannot change its table: then create it again."""
    if not vrf.table:
        raise OSError(errno.EINVAL, f"VRF {vrf.name} has no table")
    link = own_device(links, vrf.name, "vrf", "vrf")
    members: dict[str, bool] = {}
    if link and link.info.get("vrf_table") != vrf.table:
        inside = (other.name for other in links.all() if other.master == link.index)
        members = {name: any(map(is_link_local, links.addresses.of(name))) for name in inside}
        links.delete(vrf.name)
        link = None
    if not link:
        _evict(links, vrf)
        _create_vrf(links, vrf)
    links.change(vrf.name, mark=Mark("vrf"))
    # The kernel applies the VRF device's settings to packets that its members receive.
    links.sysctl(sysctls.routing(vrf.name, forwards=forwards))
    links.set_up(vrf.name)
    for member, has_link_local in members.items():
        links.change(member, master=vrf.name)
        if has_link_local:
            links.addresses.ensure_link_local(member)  # the kernel kept the other addresses


def _evict(links: Links, vrf: Vrf) -> None:
    """Delete another VRF device of ours with the same table: the manifests renamed the VRF.

    Delete it before the new one exists: the deletion also removes the table's unreachable route.
    """
    for other, _ in list(links.marked("vrf")):
        if other.info.get("vrf_table") == vrf.table and other.name != vrf.name:
            links.delete(other.name)


def _create_vrf(links: Links, vrf: Vrf) -> None:
    try:
        links.create(vrf.name, "vrf", vrf_table=vrf.table)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        reason = f"cannot create VRF {vrf.name}: this kernel has no VRF devices (CONFIG_NET_VRF)"
        raise OSError(error.errno, reason) from error


def ensure_unreachable(links: Links, vrf: Vrf) -> None:
    """Add an unreachable default route to a VRF's table, so that no lookup continues in main."""
    if links.dry:
        missing = [family for family in FAMILIES if not _has_unreachable(links, vrf, family)]
        links.changes += [f"{vrf.name}: unreachable default route of family {f}" for f in missing]
    else:
        _unreachable(links, "add", vrf, errno.EEXIST)


def _has_unreachable(links: Links, vrf: Vrf, family: int) -> bool:
    selected = {"family": family, "table": vrf.table, "type": RTN_UNREACHABLE}
    text = f"read the unreachable default route of VRF {vrf.name}"
    try:
        found = links.rtnl.call(text, "route", "dump", **selected, **BY_KERNEL)
    except OSError as error:
        # A kernel without the family needs no such route.
        return error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)
    return any(route.get_attr("RTA_PRIORITY") == UNREACHABLE_METRIC for route in found)


def remove_vrf(links: Links, vrf: Vrf) -> None:
    link = links.find(vrf.name)
    if link and _delete(links, vrf.name, "vrf"):
        # The record of a VRF that is down has no table (`dump_vrfs`).
        there = replace(vrf, table=link.info.get("vrf_table") or vrf.table)
        _unreachable(links, "del", there, errno.ESRCH)


def _unreachable(links: Links, command: str, vrf: Vrf, fine: int) -> None:
    for family in FAMILIES:
        try:
            links.rtnl.call(
                f"{command} the unreachable default route of VRF {vrf.name}",
                "route",
                command,
                dst="default",
                family=family,
                table=vrf.table,
                type="unreachable",
                priority=UNREACHABLE_METRIC,
                proto="boot",
            )
        except OSError as error:
            if error.errno not in (fine, errno.ENOENT):
                raise


def dump_vrfs(links: Links) -> Iterator[Vrf]:
    for link, _ in links.marked("vrf"):
        yield Vrf(link.name, link.info.get("vrf_table") or 0 if link.up else 0)


def ensure_vni(links: Links, vni: Vni, *, link_local: bool, all_named: bool = False) -> None:
    """Create or repair a VNI's bridge and VXLAN device, in its VRF, with its gateway addresses.

    `all_named`: no device of ours has another name than ours, so do not look for such.
    """
    if not vni.local:
        raise OSError(errno.EINVAL, f"VNI {vni.vni} has no local VTEP address")
    if vni.vrf:
        links.get(vni.vrf)
    if not (all_named or (links.find(vni.bridge) and links.find(vni.device))):
        _remove_renamed(links, vni)
    _ensure_bridge(links, vni, link_local=link_local)
    _ensure_vxlan(links, vni)


def remove_vni(links: Links, vni: Vni) -> None:
    whole = _delete(links, vni.device, "vxlan") & _delete(links, vni.bridge, "vni")
    if not whole:
        _remove_renamed(links, vni)


def _remove_renamed(links: Links, vni: Vni) -> None:
    """Delete renamed devices of ours: the VNI's VXLAN device, and any bridge.

    A VXLAN device stores its VNI. A bridge shows its VNI by its name only, so a renamed bridge
    could belong to any VNI.
    """
    for link in links.renamed(_is_renamed):
        if link.kind == "bridge" or link.info.get("vxlan_id") == vni.vni:
            links.delete(link.name)


def _is_renamed(link: Link) -> bool:
    if link.kind == "bridge":
        return not BRIDGE.fullmatch(link.name) and _marked(link, "vni")
    return _marked(link, "vxlan") and link.name != f"vx{link.info.get('vxlan_id')}"


def _marked(link: Link, what: str) -> bool:
    return link.mark is not None and link.mark.what == what


def _ensure_bridge(links: Links, vni: Vni, *, link_local: bool) -> None:
    link = own_device(links, vni.bridge, "bridge", "vni")
    if not link:
        # No default VLAN: the kernel would duplicate every FDB entry for it.
        options: Creation = {"br_vlan_default_pvid": 0, "mtu": vni.mtu}
        if vni.mac:
            options["address"] = vni.mac.hex(":")
        link = links.create(vni.bridge, "bridge", **options)
    before = link.mark.addresses if link.mark else ()
    notes = {"layer": vni.layer, "anymac": int(not vni.mac)}
    # The kernel generates no link-local address; one is added below where ND needs it.
    links.sysctl(sysctls.no_addrgen(vni.bridge))
    links.sysctl(sysctls.routing(vni.bridge, forwards=link_local))
    links.set_info(vni.bridge, **BRIDGE_OPTIONS)
    links.change(vni.bridge, master=vni.vrf, mtu=vni.mtu, mac=vni.mac or link.mac)
    # The mark first: after a crash it may list an address that is missing, but never lack one.
    links.change(vni.bridge, mark=Mark("vni", vni.gateways, dict(notes)))
    links.set_up(vni.bridge)
    if link_local and any(len(gateway.ip) == 16 for gateway in vni.gateways):
        links.addresses.ensure_link_local(vni.bridge)  # the source of neighbor solicitations
    links.addresses.set(vni.bridge, vni.gateways, before)


def _ensure_vxlan(links: Links, vni: Vni) -> None:
    link = own_device(links, vni.device, "vxlan", "vxlan")
    if link and (_vxlan_identity(link) != (vni.vni, vni.port, vni.local) or _drops_zero(link)):
        links.delete(vni.device)
        link = None
    if not link:
        links.create(vni.device, "vxlan", **_vxlan_options(links, vni))
    links.sysctl(sysctls.no_ipv6(vni.device))
    links.set_info(vni.device, vxlan_learning=0)
    links.change(vni.device, master=vni.bridge, mtu=vni.mtu, mark=Mark("vxlan"))
    links.set_port(vni.device, learning=0, neigh_suppress=1)
    links.set_up(vni.device)


def _vxlan_options(links: Links, vni: Vni) -> Creation:
    """Return the attributes to create a VXLAN device with.

    Over IPv6, the device accepts frames without a UDP checksum (RFC 7348 section 5), because
    hardware VTEPs send them. The device itself sends checksums (no vxlan_udp_zero_csum6_tx): IPv6
    does not protect its addresses otherwise (RFC 6936), and a Linux receiver drops frames without
    one unless it has this option.
    """
    options: Creation = {
        "mtu": vni.mtu,
        "vxlan_id": vni.vni,
        "vxlan_port": vni.port,
        "vxlan_learning": 0,
    }
    text = str(ipaddress.ip_address(vni.local))
    if len(vni.local) == 4:
        return {**options, "vxlan_local": text}
    _remove_dropping(links, vni.port)
    return {**options, "vxlan_local6": text, "vxlan_udp_zero_csum6_rx": 1}


def _remove_dropping(links: Links, port: int) -> None:
    """Delete our devices of a UDP port that drop frames without a checksum.

    The option can be set at creation only. All devices of one UDP port share a socket, so a device
    with the option cannot come up beside one without it.
    """
    for link, _ in list(links.marked("vxlan")):
        if link.info.get("vxlan_port") == port and _drops_zero(link):
            links.delete(link.name)


def _drops_zero(link: Link) -> bool:
    """Return whether a device uses IPv6 and drops frames without a UDP checksum."""
    return len(link.vtep) == 16 and not link.info.get("vxlan_udp_zero_csum6_rx")


def _vxlan_identity(link: Link) -> tuple[int, int, bytes]:
    return link.info.get("vxlan_id") or 0, link.info.get("vxlan_port") or 0, link.vtep


def dump_vnis(links: Links) -> Iterator[Vni]:
    """Yield our VNIs as they are now. A VNI whose VXLAN device is missing or down has no `local`.

    Skip a renamed bridge: its VNI counts as missing, and `ensure_vni` repairs it.
    """
    for bridge, mark in links.marked("vni"):
        if not (named := BRIDGE.fullmatch(bridge.name)):
            continue
        number = int(named[1])
        device = links.find(f"vx{number}")
        _, port, local = _vxlan_identity(device) if device else (0, 0, b"")
        whole = device and device.up and bridge.up and device.master == bridge.index
        whole = whole and device and not _drops_zero(device)
        have = links.addresses.of(bridge.name)
        yield Vni(
            vni=number,
            layer=int(mark.notes.get("layer", 2)),
            vrf=links.name_of(bridge.master),
            local=local if whole else b"",
            port=port,
            mac=b"" if mark.flag("anymac") else bridge.mac,
            gateways=tuple(address for address in mark.addresses if address in have),
            mtu=bridge.mtu,
        )


def own_device(links: Links, name: str, kind: str, what: str) -> Link | None:
    """Return our device of that name, if any. Raises OSError (EEXIST) for another program's."""
    link = links.find(name)
    if link and not (link.kind == kind and link.is_ours(what)):
        text = f"{name} exists in {called(links.netns)} and is not Dualpath's: rename or delete it"
        raise OSError(errno.EEXIST, text)
    return link


def _delete(links: Links, name: str, what: str) -> bool:
    """Delete a device if it is ours; return whether it was."""
    link = links.find(name)
    if ours := link is not None and link.is_ours(what):
        links.delete(name)
    return ours
