"""Fetch NICs into the forwarding namespace and give them back, with their addresses and routes.

The kernel removes the addresses and routes of a NIC that moves to another namespace. So they are
saved to a file first (`nicrecords`). The file is deleted only after the NIC is back in its home
namespace with everything restored:

    at home, no file -> file written -> marked -> moved -> up, addresses, routes    (fetch, restore)
    file: returning -> moved home -> up, addresses, routes, alias -> file deleted   (give_back)

The process may die after any step. `restore` continues with a NIC in the forwarding namespace, and
`finish_return` with one that is at home. Both do nothing if nothing is missing.

The NIC's routes are restored into the main table with 65536 added to their metric, so that FRR's
routes win. Routes of other tables and multipath routes are restored at home only.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from datapaths.base import Unavailable
from datapaths.linux import netns, nicrecords
from datapaths.linux.linkinfo import Link, is_link_local, link_local
from datapaths.linux.linkreader import called
from datapaths.linux.links import Links
from datapaths.linux.marks import Mark
from datapaths.linux.namespaces import Namespaces
from datapaths.linux.nicrecords import NicRecord
from datapaths.linux.wire import nicstate
from datapaths.linux.wire.links import addresses_request
from datapaths.linux.wire.nicstate import NicAddress, NicRoute
from dualpath.model.links import Address
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Message
from dualpath.netlink.socket import Requests, open_socket

log = logging.getLogger(__name__)

EXTRA_METRIC = 1 << 16
TAP = "tun"  # IFLA_INFO_KIND of TUN and TAP devices
FIXED = frozenset({"bond", "bridge", "team", "vrf", "openvswitch", "hsr", "batadv"})
"""Kinds of devices that the kernel does not move to another namespace (netns_immutable)."""


def fetch(namespaces: Namespaces, name: str, source: Links, mark: Mark, new: str = "") -> Link:
    """Move a NIC into the forwarding namespace, as `new`; call `restore` next. Raises OSError."""
    link = source.get(name)
    if reason := refusal(source, link):
        raise OSError(errno.EBUSY, reason)
    if before := nicrecords.read(name, link.mac):
        finish_return(source, link, before)
        link = source.get(name)
    with _nic_state(source, link) as state:
        record = NicRecord(
            name,
            link.mac,
            netns.path_of(source.netns),
            netns.path_of(namespaces.forwarding.netns),
            link.up,
            link.alias,
            state.addresses(link.mac),
            state.routes(),
        )
    nicrecords.write(record)
    source.change(name, mark=replace(mark, notes={**mark.notes, "was": link.alias}))
    try:
        return source.move(name, namespaces.forwarding, new)
    except OSError:
        source.change(name, alias=link.alias)
        nicrecords.remove(record)
        raise


def refusal(source: Links, link: Link) -> str:
    """Return why a NIC cannot be fetched, "" when it can."""
    if link.kind in FIXED:
        return (
            f"{link.name} is a {link.kind}, which Linux cannot move to another namespace: name one "
            "of its members, or another NIC"
        )
    if link.master:
        return (
            f"{link.name} belongs to {source.name_of(link.master)} in {called(source.netns)}: "
            f"remove it first (`ip link set {link.name} nomaster`), or name another NIC"
        )
    return ""


def restore(
    links: Links, link: Link, home: str, added: Collection[Address], *, routed: bool
) -> None:
    """Add the saved addresses and routes that a NIC lacks.

    `added` are the addresses that Dualpath added. With `routed`, the NIC's routes are restored too.
    A NIC without a file gets one with its present state.
    """
    record = _record(links, link, home, added, link.name)
    with _nic_state(links, link) as state:
        state.add_addresses([entry.with_prefix_route() for entry in record.addresses])
        links.addresses.forget(link.index)
        if not routed:
            return
        refused = state.add_routes(_portable(record), EXTRA_METRIC)
    if refused:
        log.warning(
            "%s: the kernel refused %d of its routes in %s; they are restored when the NIC is "
            "given back",
            link.name,
            len(refused),
            called(links.netns),
        )
        kept = (replace(r, stays=True) if r in refused else r for r in record.routes)
        nicrecords.write(replace(record, routes=tuple(kept)))


def is_whole(links: Links, link: Link, *, routed: bool) -> bool:
    """Return whether a NIC has all its saved addresses and routes; True if it has no file."""
    record = nicrecords.read(link.name, link.mac)
    if not record:
        return True
    with _nic_state(links, link) as state:
        if state.missing_addresses(record.addresses):
            return False
        return not routed or not state.missing_routes(_portable(record), EXTRA_METRIC)


def give_back(
    namespaces: Namespaces, link: Link, home: str, added: Collection[Address], name: str = ""
) -> None:
    """Move a NIC home, and restore its addresses and routes there, except those of `added`.

    `name` is its name at home. Raises OSError if it cannot be moved; the NIC then stays.
    """
    links, name = namespaces.forwarding, name or link.name
    try:
        there = namespaces.open(home)
    except Unavailable as error:
        text = f"cannot give {link.name} back: {error}; it stays in {called(links.netns)}"
        raise OSError(errno.ENOENT, text) from error
    if there.find(name):
        text = f"cannot give {name} back: {called(there.netns)} has another interface of that name"
        raise OSError(errno.EEXIST, text)
    record = _record(links, link, netns.path_of(there.netns), added, name)
    with _nic_state(links, link) as state:
        now = [a for a in state.addresses(link.mac) if not _is_among(a, added)]
    record = replace(record, addresses=_merged(record.addresses, now), returning=True)
    nicrecords.write(record)
    back = links.rename(link.name, name) if there is links else links.move(link.name, there, name)
    finish_return(there, back, record)


def finish_return(home: Links, link: Link, record: NicRecord) -> None:
    """Restore a NIC that is at home: flags, addresses, routes, alias.

    If it has addresses and was not on its way home, another program configured it: keep those.
    """
    if record.up:
        home.set_up(link.name)
    with _nic_state(home, link) as state:
        if record.returning or not state.addresses(link.mac):
            state.add_addresses(record.addresses)
            home.addresses.forget(link.index)
            for route in state.add_routes(record.routes):
                text = "%s: the kernel refused one of its routes in table %d; it is lost"
                log.warning(text, link.name, route.table)
    if link.mark:
        home.change(link.name, alias=record.alias)
    nicrecords.remove(record)


def recover(namespaces: Namespaces) -> None:
    """Finish returns that an earlier process began: NICs that are at home and have a file."""
    owner = netns.path_of(namespaces.forwarding.netns)
    for record in nicrecords.every():
        if record.owner != owner and netns.exists(record.owner):
            continue  # another controller fetched it
        if not netns.exists(record.owner) and not netns.exists(record.home):
            nicrecords.remove(record)  # both namespaces are gone: nothing to restore it to
            continue
        try:
            home = namespaces.open(record.home)
            link = home.find(record.name)
            # A TAP of grout's may have the same name.
            if link and link.kind != TAP and link.mac == record.mac:
                text = "%s is back in %s; restoring its addresses and routes"
                log.info(text, link.name, called(home.netns))
                finish_return(home, link, record)
        except (OSError, Unavailable) as error:
            log.warning("%s: %s", record.name, error)


def save(links: Links, link: Link, home: str, added: Collection[Address]) -> None:
    """Save the present state of a NIC that has no file. Raises OSError."""
    if not nicrecords.read(link.name, link.mac):
        _record(links, link, home, added, link.name)


def addresses_and_routes(
    links: Links, link: Link
) -> tuple[tuple[NicAddress, ...], tuple[NicRoute, ...]]:
    """Return the addresses and routes that `fetch` would save; change nothing."""
    with _nic_state(links, link) as state:
        return state.addresses(link.mac), state.routes()


def saved_addresses(name: str, mac: bytes) -> tuple[tuple[NicAddress, ...], tuple[NicAddress, ...]]:
    """Return a NIC's saved addresses in two tuples: those still valid, and the expired ones."""
    record, now = nicrecords.read(name, mac), boottime_s()
    saved = record.addresses if record else ()
    return tuple(it for it in saved if not it.expired(now)), tuple(
        it for it in saved if it.expired(now)
    )


def any_expired(since_s: float, until_s: float) -> bool:
    """Return whether a saved address of any NIC expired between two times of `boottime_s`."""
    return any(
        not entry.expired(since_s) and entry.expired(until_s)
        for record in nicrecords.every()
        for entry in record.addresses
    )


def boottime_s() -> float:
    """Return CLOCK_BOOTTIME, which counts lifetimes: it also runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def special_addresses(links: Links, name: str) -> list[NicAddress]:
    """Return a device's addresses that have a peer or that expire."""
    link = links.get(name)
    with _nic_state(links, link) as state:
        return [entry for entry in state.addresses(link.mac) if not entry.plain]


def copy_special_addresses(links: Links, name: str, wanted: Sequence[NicAddress]) -> None:
    """Make a device's special addresses equal to `wanted`, with their remaining lifetimes."""
    link = links.get(name)
    with _nic_state(links, link) as state:
        keys = {entry.key for entry in wanted}
        extra = [it for it in state.addresses(link.mac) if not it.plain and it.key not in keys]
        missing = state.missing_addresses(wanted)
        if links.dry:
            links.changes += [f"{name}: address {entry.address}" for entry in (*extra, *missing)]
            return
        if extra or missing:
            state.remove_addresses([*extra, *state.conflicting(missing)])
            state.add_addresses(missing)
            links.addresses.forget(link.index)


def remove_addresses(links: Links, link: Link) -> None:
    """Remove all addresses from a NIC. They must have been saved before."""
    with _nic_state(links, link) as state:
        state.remove_addresses(state.all_addresses())
    links.addresses.forget(link.index)


def _record(
    links: Links, link: Link, home: str, added: Collection[Address], name: str
) -> NicRecord:
    """Return a NIC's record; if it has none, save its present state."""
    found = nicrecords.read(name, link.mac)
    if found and not found.returning:
        return found
    if found:
        record = replace(found, returning=False)
    else:
        owner = netns.path_of(links.netns)
        was = link.mark.text("was") if link.mark else link.alias
        with _nic_state(links, link) as state:
            own = tuple(a for a in state.addresses(link.mac) if not _is_among(a, added))
            routes = tuple(r.less(EXTRA_METRIC) for r in state.routes(n.RT_TABLE_MAIN))
        record = NicRecord(name, link.mac, home, owner, True, was, own, routes)
    nicrecords.write(record)
    return record


class _NicState:
    """The addresses and routes of one NIC in one namespace; each call reads them again."""

    def __init__(self, requests: Requests, link: Link) -> None:
        self._requests = requests
        self._link = link
        self._now = boottime_s()

    def addresses(self, mac: bytes) -> tuple[NicAddress, ...]:
        """Return the addresses that the kernel did not generate, in the kernel's order."""
        generated = link_local(mac).ip if len(mac) == 6 else b""
        return tuple(entry for entry in self.all_addresses() if not _is_generated(entry, generated))

    def routes(self, table: int = 0) -> tuple[NicRoute, ...]:
        """Return the NIC's routes that no routing daemon owns; those without a gateway first."""
        found: list[NicRoute] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            dumped = self._dump(nicstate.dump_routes(self._link.index, family, table))
            decoded = (nicstate.decode_route(m, self._link.index, self._now) for m in dumped)
            found += [route for route in decoded if route and not route.expired(self._now)]
        return tuple(sorted(found, key=lambda route: n.RTA_GATEWAY in dict(route.attributes)))

    def missing_addresses(self, wanted: Sequence[NicAddress]) -> list[NicAddress]:
        have = {entry.key for entry in self.all_addresses()}
        return [it for it in wanted if it.key not in have and not it.expired(self._now)]

    def missing_routes(self, wanted: Sequence[NicRoute], extra: int = 0) -> list[NicRoute]:
        if not wanted:
            return []
        table = n.RT_TABLE_MAIN if extra else 0
        have = {entry.key() for entry in self.routes(table)}
        return [it for it in wanted if it.key(extra) not in have and not it.expired(self._now)]

    def add_addresses(self, wanted: Sequence[NicAddress]) -> None:
        missing = self.missing_addresses(wanted)
        # The kernel lists a new IPv6 address first, so add these in reverse order.
        v4 = [entry for entry in missing if entry.family == socket.AF_INET]
        for entry in (*v4, *(entry for entry in reversed(missing) if entry not in v4)):
            request = nicstate.encode_address(entry, self._link.index, self._now)
            code = self._requests.errno_of(request)
            if code not in (0, errno.EEXIST):
                text = f"cannot add {Address(entry.ip, entry.length)} on {self._link.name}"
                raise OSError(code, f"{text}: {os.strerror(code)}")

    def conflicting(self, wanted: Sequence[NicAddress]) -> list[NicAddress]:
        """Return the addresses that prevent adding `wanted`: the same address, another peer."""
        ips = {entry.ip for entry in wanted}
        return [entry for entry in self.all_addresses() if entry.ip in ips]

    def remove_addresses(self, unwanted: Sequence[NicAddress]) -> None:
        for entry in unwanted:
            request = nicstate.encode_removal(entry, self._link.index)
            if self._requests.errno_of(request) not in (0, errno.EADDRNOTAVAIL):
                text = f"cannot remove {entry.address} from {self._link.name}"
                raise OSError(errno.EIO, text)

    def add_routes(self, wanted: Sequence[NicRoute], extra: int = 0) -> list[NicRoute]:
        """Add the missing routes; return those that the kernel refused."""
        refused: list[NicRoute] = []
        for entry in self.missing_routes(wanted, extra):
            request = nicstate.encode_route(entry, self._link.index, self._now, extra)
            if self._requests.errno_of(request) not in (0, errno.EEXIST):
                refused.append(entry)
        return refused

    def all_addresses(self) -> list[NicAddress]:
        dumped = self._dump(addresses_request(index=self._link.index))
        decoded = (nicstate.decode_address(m, self._link.index, self._now) for m in dumped)
        return [entry for entry in decoded if entry]

    def _dump(self, request: bytes) -> list[Message]:
        try:
            return self._requests.dump(request)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EAFNOSUPPORT):  # no such table, no IPv6
                return []
            raise OSError(error.errno, f"cannot read {self._link.name}: {error}") from error


@contextmanager
def _nic_state(links: Links, link: Link) -> Iterator[_NicState]:
    with netns.entered(links.netns):
        sock = open_socket()
    with Requests(sock) as requests:
        yield _NicState(requests, link)


def _is_generated(entry: NicAddress, from_mac: bytes) -> bool:
    address = Address(entry.ip, entry.length)
    return is_link_local(address) and (entry.generated or entry.ip == from_mac)


def _is_among(entry: NicAddress, addresses: Collection[Address]) -> bool:
    return Address(entry.ip, entry.length) in addresses


def _portable(record: NicRecord) -> list[NicRoute]:
    return [route for route in record.routes if route.portable]


def _merged(before: Sequence[NicAddress], now: Sequence[NicAddress]) -> tuple[NicAddress, ...]:
    """Return the recorded addresses with their current lifetimes, then the new ones."""
    current = {entry.key: entry for entry in now}
    kept = [replace(current.pop(entry.key, entry), flags=entry.flags) for entry in before]
    return (*kept, *current.values())
