"""Shadow devices: the VRFs, bridges and VXLAN devices that FRR requires. They carry no traffic.

Apply frr.conf between `ensure_base` and `ensure_overlay`: bgpd can crash if a VXLAN device exists
before the `vni` of its VRF is configured.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from datapaths.linux import overlay, sysctls
from datapaths.linux.dryrun import faults
from datapaths.linux.links import Links
from datapaths.linux.marks import DEVICE_GROUP, Mark
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, Port, Vni, Vrf
from dualpath.model.records import Key


@dataclass(frozen=True, slots=True)
class Shadow:
    """The desired devices of the control namespace, except the twins."""

    vrfs: tuple[Vrf, ...] = ()
    vnis: tuple[Vni, ...] = ()
    loopback: tuple[Address, ...] = ()  # addresses of `lo`: the local VTEPs

    def beyond(self, known: Shadow) -> Shadow:
        """Return the part of this that is not in `known`."""
        vrfs, vnis = set(known.vrfs), set(known.vnis)
        return Shadow(
            tuple(vrf for vrf in self.vrfs if vrf not in vrfs),
            tuple(vni for vni in self.vnis if vni not in vnis),
            self.loopback,
        )

    def after_base(self, wanted: Shadow) -> Shadow:
        """Return what is there once `ensure_base` has made `wanted` out of this."""
        vnis = {vni.vni: vni for vni in wanted.vnis}
        stay = (v for v in self.vnis if v.vni in vnis and not _changes_tenant(v, vnis[v.vni]))
        return Shadow(wanted.vrfs, tuple(stay), wanted.loopback)

    def devices(self) -> set[str]:
        """Return the names of the devices."""
        names = {"lo", *(vrf.name for vrf in self.vrfs)}
        for vni in self.vnis:
            port = access_port(vni.vni)
            names |= {vni.bridge, vni.device, *((port, f"{port}-x") if vni.layer == 2 else ())}
        return names


@dataclass(frozen=True, slots=True)
class ShadowFailure:
    """A shadow device that could not be created or repaired."""

    name: str
    errno: int
    reason: str
    key: tuple[Kind, Key]  # of the record that the device belongs to


Work = tuple[str, tuple[Kind, Key], Callable[[], object]]
"""A device's name, the key of its record, and the call that creates or repairs the device."""


def shadow_of(vrfs: Iterable[Vrf], vnis: Iterable[Vni], ports: Iterable[Port]) -> Shadow:
    """Return the shadow devices for these records, sorted."""
    loopback = (address for port in ports if port.loopback for address in port.addresses)
    return Shadow(
        tuple(sorted(vrfs, key=lambda vrf: vrf.name)),
        tuple(sorted(vnis, key=lambda vni: vni.vni)),
        tuple(dict.fromkeys(loopback)),
    )


def access_port(vni: int) -> str:
    """Return the name of an L2VNI's access port: local MACs are mirrored onto it."""
    return f"ac{vni}"


class Shadows:
    """Builds and repairs the shadow devices of one control namespace. Blocks."""

    def __init__(self, control_netns: str) -> None:
        self._netns = control_netns

    def ensure_base(self, shadow: Shadow, known: Shadow | None = None) -> list[ShadowFailure]:
        """Set up sysctls, `lo` and VRFs; remove devices that are not in `shadow`.

        Twins and frr.conf need these. With `known`, assume that its devices exist, whole, and no
        others: look only at what differs from it. Raises Unavailable if the control namespace does
        not exist; so does `ensure_overlay`.
        """
        with Links(self._netns) as links:
            if known is None:
                links.load()
                links.sysctl(sysctls.CONTROL)
                _remove_others(links, shadow)
                return list(_tried(_base_work(links, shadow)))
            _remove(links, known, shadow)
            return list(_tried(_base_work(links, shadow.beyond(known))))

    def ensure_overlay(self, shadow: Shadow, known: Shadow | None = None) -> list[ShadowFailure]:
        """Create or repair bridges, VXLAN devices and access ports; `known` as in `ensure_base`."""
        with Links(self._netns) as links:
            if known is None:
                links.load()
                return list(_tried(_overlay_work(links, shadow)))
            work = _overlay_work(links, shadow.beyond(known), all_named=True)
            return list(_tried(work))

    def differing(self, shadow: Shadow) -> list[ShadowFailure]:
        """Return what `ensure_base` and `ensure_overlay` would change."""
        with Links(self._netns, dry=True) as links:
            links.load()
            work = [
                ("lo", (Kind.PORT, "lo"), lambda: links.sysctl(sysctls.CONTROL)),
                ("lo", (Kind.PORT, "lo"), lambda: _remove_others(links, shadow)),
                *_base_work(links, shadow),
                *_overlay_work(links, shadow),
            ]
            return [
                ShadowFailure(name, errno.ESTALE, fault, key)
                for name, key, call in work
                for fault in faults([links], call)
            ]

    def dump(self) -> Shadow:
        """Return our existing devices; an L2VNI without its access port has no `local`."""
        with Links(self._netns) as links:
            _, loopback = _loopback(links)
            vnis = [
                vni for vni in overlay.dump_vnis(links) if vni.layer == 3 or _access(links, vni)
            ]
            return shadow_of(
                overlay.dump_vrfs(links), vnis, [Port("lo", addresses=loopback, loopback=True)]
            )


def _remove_others(links: Links, shadow: Shadow) -> None:
    """Remove our devices that are not in `shadow`, and those that have to be created again."""
    there = Shadow(tuple(overlay.dump_vrfs(links)), tuple(overlay.dump_vnis(links)))
    _remove(links, there, shadow)


def _remove(links: Links, there: Shadow, shadow: Shadow) -> None:
    wanted = {vni.vni: vni for vni in shadow.vnis}
    for vni in there.vnis:
        if vni.vni not in wanted or _changes_tenant(vni, wanted[vni.vni]):
            _remove_vni(links, vni)
    names = {vrf.name for vrf in shadow.vrfs}
    for vrf in there.vrfs:
        if vrf.name not in names:
            links.delete(vrf.name)


def _base_work(links: Links, shadow: Shadow) -> Iterator[Work]:
    yield "lo", (Kind.PORT, "lo"), partial(_ensure_loopback, links, shadow.loopback)
    for vrf in shadow.vrfs:
        yield vrf.name, (vrf.kind, vrf.key), partial(overlay.ensure_vrf, links, vrf, forwards=False)


def _overlay_work(links: Links, shadow: Shadow, *, all_named: bool = False) -> Iterator[Work]:
    for vni in shadow.vnis:
        ensure = partial(_ensure_vni, links, vni, all_named=all_named)
        yield vni.bridge, (vni.kind, vni.key), ensure


def _changes_tenant(now: Vni, wanted: Vni) -> bool:
    """Return whether a VNI changes its layer, or an L3VNI its VRF.

    FRR must then see the device disappear, and its new configuration, before the device returns.
    """
    return now.layer != wanted.layer or (now.layer == 3 and now.vrf != wanted.vrf)


def _tried(work: Iterable[Work]) -> Iterator[ShadowFailure]:
    for name, key, call in work:
        try:
            call()
        except OSError as error:
            code = error.errno or errno.EIO
            yield ShadowFailure(name, code, error.strerror or str(error), key)


def _loopback(links: Links) -> tuple[bool, tuple[Address, ...]]:
    mark = links.get("lo").mark
    have = links.addresses.of("lo")
    return mark is not None, tuple(a for a in mark.addresses if a in have) if mark else ()


def _ensure_loopback(links: Links, addresses: tuple[Address, ...]) -> None:
    before = links.get("lo").mark
    if addresses or before:
        links.change("lo", mark=Mark("shadow-lo", addresses))
    links.set_up("lo")
    links.addresses.set("lo", addresses, before.addresses if before else ())
    links.addresses.ensure_loopback()  # the address by which zebra reaches frr-bridge


def _ensure_vni(links: Links, vni: Vni, *, all_named: bool) -> None:
    overlay.ensure_vni(links, vni, link_local=False, all_named=all_named)
    if vni.layer == 2:
        _ensure_access(links, vni)
    else:
        _remove_access(links, vni)


def _ensure_access(links: Links, vni: Vni) -> None:
    """Create the access port: a veth whose ends send nothing. FRR uses it only while it is up."""
    port = access_port(vni.vni)
    peer = f"{port}-x"
    ends = [overlay.own_device(links, name, "veth", "access") for name in (port, peer)]
    if not all(ends):
        links.delete(port)
        links.delete(peer)
        other = {"ifname": peer, "group": DEVICE_GROUP, "mtu": vni.mtu}
        links.create(port, "veth", mtu=vni.mtu, peer=other)
        links.reload(peer)
    for name in (port, peer):
        links.sysctl(sysctls.no_ipv6(name))
        # Set the VNI's MTU explicitly: otherwise a bridge uses the lowest MTU of its ports.
        links.change(name, mtu=vni.mtu, mark=Mark("access"))
    links.change(port, master=vni.bridge)
    links.set_port(port, learning=0, neigh_suppress=0)
    for name in (port, peer):
        links.set_up(name)


def _access(links: Links, vni: Vni) -> bool:
    port = links.find(access_port(vni.vni))
    return port is not None and port.up and links.name_of(port.master) == vni.bridge


def _remove_vni(links: Links, vni: Vni) -> None:
    _remove_access(links, vni)
    overlay.remove_vni(links, vni)


def _remove_access(links: Links, vni: Vni) -> None:
    link = links.find(access_port(vni.vni))
    if link and link.is_ours("access"):
        links.delete(link.name)
