"""Twins: FRR's stand-ins for ports in the control namespace, and the tc filters between the two.

A twin is a veth. One end, `cp-NAME`, is beside the port NAME in the forwarding namespace. The other
end is called NAME too, is in the control namespace, and has the port's MAC and addresses:

    fabric --- eth1  --tc filters (punt)-->  cp-eth1 ===veth=== eth1    FRR
    (forwarding)     <--tc filters (punt)--                     (control namespace)

A twin carries FRR's own packets only; forwarding never depends on it.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from datapaths.base import DatapathError, RowFailure, Unavailable
from datapaths.linux import groups, nics, sysctls
from datapaths.linux.dryrun import faults
from datapaths.linux.filters import Filters
from datapaths.linux.legs import create_pair
from datapaths.linux.linkinfo import Link, is_pair
from datapaths.linux.links import Links
from datapaths.linux.marks import TWIN_PREFIX, Mark
from datapaths.linux.punt import BGP, ISIS_MACS, egress, rules
from datapaths.linux.wire.filters import Classifier
from datapaths.linux.wire.matches import Rule
from datapaths.linux.wire.nicstate import NicAddress
from dualpath.model.links import Address, Port

log = logging.getLogger(__name__)

IFNAMSIZ = 16  # linux/if.h, with the terminating zero


@dataclass(frozen=True, slots=True)
class Twin:
    """A twin as it exists now."""

    name: str
    vrf: str
    mac: bytes
    mtu: int
    addresses: tuple[Address, ...]
    carrier: bool


@dataclass(frozen=True, slots=True)
class PuntPolicy:
    """Which packets of a port go to its twin, and which addresses the twin has; per datapath."""

    addresses: Callable[[Links, Port], Sequence[Address]]
    rules: Callable[[Iterable[Address], Iterable[int]], Iterable[Rule]]
    special_addresses: Callable[[Links, Port], Sequence[NicAddress]]
    """A port's addresses with a peer or a lifetime; the twin gets both as well."""
    resolves: bool  # whether the twin itself sends ARP and ND to resolve neighbors
    groups: tuple[bytes, ...] = ()  # multicast MACs that the port must accept for the twin


def _special_of_kernel(links: Links, port: Port) -> list[NicAddress]:
    return nics.special_addresses(links, port.name)


def _of_kernel(links: Links, port: Port) -> list[Address]:
    leased = (
        [entry.address for entry in _special_of_kernel(links, port)] if not port.loopback else []
    )
    return list(dict.fromkeys([*links.addresses.of(port.name), *leased]))


KERNEL = PuntPolicy(_of_kernel, rules, _special_of_kernel, True, ISIS_MACS)


class Twins:
    """Builds and repairs the twins of one pair of namespaces. Blocks; one thread at a time."""

    classifier: Classifier | None = None
    """The tc classifier that this kernel supports; None before the first twin."""

    def __init__(self, netns: str, control_netns: str, policy: PuntPolicy = KERNEL) -> None:
        self._netns = netns
        self._control_netns = control_netns
        self._punting = policy

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int] = (BGP,)) -> list[RowFailure]:
        """Create or repair the twin of every port that needs one; remove all other twins.

        The ports and the twins' VRFs must exist. Return failures, by index into `ports`. Raises
        Unavailable if the control namespace does not exist, and Unsupported if the kernel has no
        tc classifier that fits.
        """
        speakers, failures = tuple(tcp_ports), list[RowFailure]()
        with (
            Links(self._netns) as links,
            Links(self._control_netns) as control,
            Filters(self._netns) as filters,
        ):
            links.load()
            control.load()
            handles = _Handles(links, control, filters, self._punting, self.classifier)
            _prune(links, filters, {port.name for port in ports if wants_twin(port)})
            for index, port in enumerate(ports):
                if wants_twin(port):
                    try:
                        _ensure(handles, port, _loopbacks(handles, ports, port), speakers)
                    except OSError as error:
                        number = error.errno or errno.EIO
                        failures.append(RowFailure(index, number, error.strerror or str(error)))
            self.classifier = handles.classifier
        return failures

    def differing(
        self, ports: Sequence[Port], tcp_ports: Iterable[int] = (BGP,)
    ) -> list[tuple[str, str]]:
        """Return (port, difference) for each difference that `ensure` would repair."""
        speakers, found = tuple(tcp_ports), list[tuple[str, str]]()
        with (
            Links(self._netns, dry=True) as links,
            Links(self._control_netns, dry=True) as control,
            Filters(self._netns, dry=True) as filters,
        ):
            links.load()
            control.load()
            handles = _Handles(links, control, filters, self._punting, self.classifier)
            wanted = [port for port in ports if wants_twin(port)]
            all_three = (links, control, filters)
            prune = partial(_prune, links, filters, {port.name for port in wanted})
            found += [("", fault) for fault in faults(all_three, prune)]
            for port in wanted:
                ensure = partial(_ensure, handles, port, _loopbacks(handles, ports, port), speakers)
                found += [(port.name, fault) for fault in faults(all_three, ensure)]
        return found

    def namespaces(self) -> set[str]:
        """Return the namespaces whose devices affect the twins."""
        return {self._netns}

    def dump(self) -> list[Twin]:
        """Return the existing twins; none if the control namespace does not exist."""
        try:
            with Links(self._control_netns) as control:
                return [_twin(control, link) for link, _ in control.marked("twin")]
        except Unavailable:
            return []

    def set_carrier(self, name: str, up: bool) -> None:
        """Set the carrier of a port's twin, so that FRR sees it. Skip a port without a twin."""
        try:
            with Links(self._netns) as links:
                if links.find(device_of(name)):
                    links.set_up(device_of(name), up)
        except (DatapathError, OSError) as error:
            log.warning(
                "twin of %s: cannot set its carrier: %s; the next check repairs it", name, error
            )

    def remove(self) -> None:
        """Remove all twins and their tc filters."""
        with Links(self._netns) as links, Filters(self._netns) as filters:
            _prune(links, filters, set())


def device_of(name: str) -> str:
    """Return the name of the twin's end beside the port; a digest if that is too long."""
    device = TWIN_PREFIX + name
    if len(device) < IFNAMSIZ:
        return device
    return TWIN_PREFIX + hashlib.blake2s(name.encode(), digest_size=6).hexdigest()


def wants_twin(port: Port) -> bool:
    """Return whether FRR needs a port: not if it is in a bridge, and not `lo`."""
    return port.twin and not port.loopback and not port.vni


@dataclass(slots=True)
class _Handles:
    """The open handles of one call of `ensure` or `differing`."""

    links: Links
    control: Links
    filters: Filters
    policy: PuntPolicy
    classifier: Classifier | None


def _ensure(
    handles: _Handles, port: Port, loopbacks: Iterable[Address], tcp_ports: tuple[int, ...]
) -> None:
    link = handles.links.get(port.name)
    device = _ensure_pair(handles, port)
    addresses = handles.policy.addresses(handles.links, port)
    _ensure_far(handles, port, link, addresses)
    _ensure_near(handles.links, device, link)
    if not handles.links.dry:
        groups.join(handles.links.netns, port.name, handles.policy.groups)
    near = handles.links.get(device)
    handles.classifier = handles.classifier or handles.filters.classifier(near.index)
    if not handles.classifier:  # a new twin; it is still down, so no packet uses the test filter
        handles.classifier = handles.filters.detect(near.index, link.index)
    own = [*addresses, *loopbacks]
    handles.links.rules.ensure_blackhole(device)  # drop packets that no filter redirects
    sent = egress(own, link.mac, tcp_ports)
    handles.filters.ensure(handles.classifier, near.index, sent, link.index)
    wanted = list(handles.policy.rules(own, tcp_ports))
    handles.filters.ensure(handles.classifier, link.index, wanted, near.index)
    handles.links.set_up(device, link.up and link.carrier)


def _prune(links: Links, filters: Filters, wanted: set[str]) -> None:
    for link, mark in links.marked("twin"):
        name = mark.text("port")
        if name not in wanted:
            if port := links.find(name):
                filters.clear(port.index)
            links.delete(link.name)
            links.rules.remove_blackhole(link.name)
    for link, _ in links.marked("port"):
        if link.name not in wanted:
            filters.clear(link.index)


def _ensure_pair(handles: _Handles, port: Port) -> str:
    name = device_of(port.name)
    near, far = handles.links.find(name), handles.control.find(port.name)
    if near and far and is_pair(near, far):
        return name
    for side, link in ((handles.links, near), (handles.control, far)):
        if link and not link.made:
            text = f"{link.name} exists in namespace {side.netns} and is no twin of ours"
            raise OSError(errno.EEXIST, text)
    if near:
        handles.links.delete(name)
    if far:
        handles.control.delete(port.name)
    create_pair(handles.links, name, handles.control, port.name)
    return name


def _ensure_far(handles: _Handles, port: Port, link: Link, addresses: Sequence[Address]) -> None:
    """Copy the port's attributes to the twin.

    The order matters: it is silenced before it is up, and enters its VRF before it has addresses.
    """
    control = handles.control
    control.sysctl(sysctls.silent_twin(port.name))
    control.set_noarp(port.name, not handles.policy.resolves)
    mark = Mark("twin", notes={"port": port.name})
    control.change(port.name, mac=link.mac, mtu=link.mtu, mark=mark)
    control.change(port.name, master=port.vrf)
    special = handles.policy.special_addresses(handles.links, port)
    nics.copy_special_addresses(control, port.name, special)
    leased = {it.address for it in special if it.valid_until is not None}
    lasting = [address for address in addresses if address not in leased]
    control.addresses.set(port.name, lasting, control.addresses.of(port.name))
    control.set_up(port.name)


def _ensure_near(links: Links, device: str, link: Link) -> None:
    links.sysctl(sysctls.no_ipv6(device))
    links.change(device, mtu=link.mtu, mark=Mark("twin", notes={"port": link.name}))
    links.set_noarp(device)


def _loopbacks(handles: _Handles, ports: Sequence[Port], port: Port) -> list[Address]:
    """Return the loopback addresses, which multihop BGP sessions may use as their endpoint."""
    if port.vrf:
        return []
    addresses = handles.policy.addresses
    return [a for other in ports if other.loopback for a in addresses(handles.links, other)]


def _twin(control: Links, link: Link) -> Twin:
    return Twin(
        name=link.name,
        vrf=control.name_of(link.master),
        mac=link.mac,
        mtu=link.mtu,
        addresses=tuple(control.addresses.of(link.name)),
        carrier=link.up and link.carrier,
    )
