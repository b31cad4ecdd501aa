"""Twins of grout's ports: the same veth pairs as with the kernel datapath, joined to grout's TAPs.

grout creates a TAP with the port's name. It writes packets for the router to the TAP, routes
packets that it reads from the TAP, and resolves neighbors itself. So tc redirects all frames in
both directions, and a twin never resolves a MAC. Ports in shared wiring have twins like the kernel
datapath's, at the NIC: FRR's packets bypass grout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from datapaths.base import RowFailure, Unavailable
from datapaths.grout.ports.devices import brought
from datapaths.grout.ports.splice import steer
from datapaths.linux import netns
from datapaths.linux.dryrun import faults
from datapaths.linux.linkinfo import link_local
from datapaths.linux.links import Links
from datapaths.linux.punt import ALL_FRAMES, BGP
from datapaths.linux.twins import PuntPolicy, Twin, Twins
from datapaths.linux.wire.nicstate import NicAddress
from dualpath.model.links import Address, Port

SHARED = "shared"


def addresses(links: Links, port: Port) -> list[Address]:
    """Return a port's addresses with their real prefix lengths; its TAP has them as /32 and /128.

    grout makes the link-local address, from the MAC. The loopback's addresses are in grout alone:
    the kernel's `lo` in that namespace has none of them.
    """
    own = list(dict.fromkeys((*port.addresses, *(it.address for it in brought(links, port)))))
    return own if port.loopback else [*own, link_local(links.get(port.name).mac)]


def special_addresses(links: Links, port: Port) -> list[NicAddress]:
    """Return the NIC's own addresses that have a peer or a lifetime."""
    return [entry for entry in brought(links, port) if not entry.plain]


GROUT = PuntPolicy(
    addresses, lambda _addresses, _ports: [ALL_FRAMES], special_addresses, resolves=False
)


class GroutTwins:
    """Builds and repairs the twins of grout's ports. Blocks; one thread at a time.

    `locate` returns the namespace that grout runs in, and raises Unavailable when it does not run.
    """

    def __init__(self, locate: Callable[[], str], forwarding: str, control: str) -> None:
        self._locate = locate
        self._forwarding = forwarding
        self._control = control
        self._shared = Twins(forwarding, control)

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int] = (BGP,)) -> list[RowFailure]:
        """Make a twin for every port that has one, and remove all others, like `Twins.ensure`.

        Call it after the datapath is programmed: it also sends shared ports' traffic to grout.
        """
        speakers, failures = tuple(tcp_ports), list[RowFailure]()
        for twins, shared in self._halves():
            chosen = [i for i, p in enumerate(ports) if (p.wiring == SHARED) is shared]
            failed = twins.ensure([ports[i] for i in chosen], speakers)
            failures += [replace(f, index=chosen[f.index]) for f in failed]
        shared_ports = _shared(ports)
        if shared_ports:
            with Links(self._forwarding) as links:
                steer(links, shared_ports)
        return failures

    def differing(
        self, ports: Sequence[Port], tcp_ports: Iterable[int] = (BGP,)
    ) -> list[tuple[str, str]]:
        """Return the ports whose twins differ from what `ensure` makes, with each difference."""
        speakers = tuple(tcp_ports)
        found = [
            fault
            for twins, shared in self._halves()
            for fault in twins.differing(
                [p for p in ports if (p.wiring == SHARED) is shared], speakers
            )
        ]
        if shared_ports := _shared(ports):
            with Links(self._forwarding, dry=True) as links:
                for name in shared_ports:
                    faults_of = partial(steer, links, [name])
                    found += [(name, fault) for fault in faults([links], faults_of)]
        return found

    def namespaces(self) -> set[str]:
        """Return the namespaces whose devices twins depend on."""
        try:
            return {self._forwarding, self._locate()}
        except Unavailable:
            return {self._forwarding}

    def dump(self) -> list[Twin]:
        """Return the twins that exist; none without a control namespace."""
        return self._shared.dump()

    def set_carrier(self, name: str, up: bool) -> None:
        """Give a port's twin the port's carrier, which FRR reads. A port without a twin is skipped.

        So is a shared port: its carrier is the NIC's, and `watch` copies it.
        """
        if not self._is_shared(name):
            for space in self.namespaces():
                Twins(space, self._control).set_carrier(name, up)

    def remove(self) -> None:
        """Remove all twins and their tc filters."""
        for space in self.namespaces():
            Twins(space, self._control).remove()

    def _halves(self) -> list[tuple[Twins, bool]]:
        """Return the twins of owned ports, and those of shared ports where these can exist."""
        home = self._locate()
        halves = [(Twins(home, self._control, GROUT), False)]
        if not netns.same(home, self._forwarding):
            halves.append((self._shared, True))
        return halves

    def _is_shared(self, name: str) -> bool:
        if not netns.exists(self._forwarding):
            return False
        with Links(self._forwarding) as links:
            link = links.find(name)
            return bool(link and link.mark and link.mark.text("wiring") == SHARED)


def _shared(ports: Sequence[Port]) -> list[str]:
    return [port.name for port in ports if port.wiring == SHARED]
