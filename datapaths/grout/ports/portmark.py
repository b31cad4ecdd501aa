"""A port as an interface of grout's, with Dualpath's mark in its description. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from datapaths.grout.ports.devargs import complete, parse
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.ifaces import ZERO_MAC, Iface, PortInfo
from datapaths.linux import legs, ports
from datapaths.linux.marks import Mark, decode, encode
from dualpath.model.links import Address, HostEnd, Port

NAMES = {
    n.GR_IFACE_SET_FLAGS: "up",
    n.GR_IFACE_SET_MTU: "mtu",
    n.GR_IFACE_SET_DOMAIN: "bridge",
    n.GR_IFACE_SET_VRF: "vrf",
    n.GR_IFACE_SET_DESCR: "description",
    n.GR_PORT_SET_MAC: "mac",
}


def mark_of(port: Port) -> Mark:
    """Return the mark of a port, with the fields that neither grout nor the kernel stores."""
    return Mark("port", port.addresses, ports.notes(port))


def read_mark(iface: Iface) -> Mark | None:
    """Return the mark of a port; None if another program created it."""
    mark = decode(iface.description)
    return mark if mark and mark.what == "port" else None


def wanted(port: Port, devargs: str, vrf: int, domain: int, mtu: int) -> Iface:
    """Return the interface that a port should have."""
    return Iface(
        type=n.GR_IFACE_TYPE_PORT,
        name=port.name,
        mode=n.GR_IFACE_MODE_BRIDGE if domain else n.GR_IFACE_MODE_VRF,
        flags=n.GR_IFACE_F_UP,
        mtu=mtu,
        vrf=0 if domain else vrf,
        domain=domain,
        description=encode(mark_of(port)),
        info=PortInfo(devargs=devargs, mac=_mac_in(devargs)),
    )


def _mac_in(devargs: str) -> bytes:
    """Return the MAC in devargs, zeros when the driver chooses it."""
    return bytes.fromhex(parse(devargs).get("mac").replace(":", "")) or ZERO_MAC


def differences(have: Iface, want: Iface) -> int:
    """Return the attributes that GR_IFACE_SET must set, as GR_IFACE_SET_* bits."""
    attributes = 0
    if not have.flags & n.GR_IFACE_F_UP:
        attributes |= n.GR_IFACE_SET_FLAGS
    if want.mtu and have.mtu != want.mtu:
        attributes |= n.GR_IFACE_SET_MTU
    if want.domain and (have.mode, have.domain) != (want.mode, want.domain):
        attributes |= n.GR_IFACE_SET_DOMAIN
    if not want.domain and (have.mode, have.vrf) != (want.mode, want.vrf):
        attributes |= n.GR_IFACE_SET_VRF
    if have.description != want.description:
        attributes |= n.GR_IFACE_SET_DESCR
    if isinstance(want.info, PortInfo) and want.info.mac not in (ZERO_MAC, mac_of(have)):
        attributes |= n.GR_PORT_SET_MAC
    return attributes


def faults(have: Iface, want: Iface) -> list[str]:
    """Return the names of the attributes in which an interface differs."""
    differing = differences(have, want)
    return [name for bit, name in NAMES.items() if differing & bit]


def is_ours(iface: Iface, port: Port) -> bool:
    """Return whether Dualpath created an interface, even if its description was changed since."""
    made = complete(parse(port.devargs), port.name, mac_of(iface))
    return bool(read_mark(iface)) or devargs_of(iface) == str(made)


def devargs_of(iface: Iface) -> str:
    return iface.info.devargs if isinstance(iface.info, PortInfo) else ""


def mac_of(iface: Iface) -> bytes:
    return iface.info.mac if isinstance(iface.info, PortInfo) else ZERO_MAC


def record(
    iface: Iface,
    mark: Mark,
    names: dict[int, str],
    addresses: Sequence[Address],
    host: HostEnd | None,
) -> Port:
    """Return the record that would make this port as it is now."""
    bridge = names.get(iface.domain, "") if iface.mode == n.GR_IFACE_MODE_BRIDGE else ""
    vni = bridge.removeprefix("br")
    routed = "" if iface.vrf == n.GR_VRF_DEFAULT_ID else names.get(iface.vrf, "")
    source = mark.notes.get("from")
    return Port(
        name=iface.name,
        vrf=mark.text("vrf") if bridge else routed,
        vni=int(vni) if vni.isdecimal() else 0,
        addresses=tuple(address for address in mark.addresses if address in addresses),
        mtu=iface.mtu if mark.flag("mtu") else 0,
        host=host,
        source_netns=None if source is None else legs.decode_netns(str(source)),
        twin=mark.flag("twin"),
        devargs=mark.text("devargs"),
        wiring=mark.text("wiring"),
    )
