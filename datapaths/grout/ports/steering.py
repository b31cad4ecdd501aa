"""Twins of the kernel's ports, and the datapath that gets each port's traffic. Blocks.

With two datapaths every port belongs to the kernel, and has a wire to grout beside it. The twins
are always the kernel's, so FRR does not notice which datapath forwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock

from datapaths.base import RowFailure
from datapaths.grout.ports.seeding import seed
from datapaths.grout.ports.splice import place, release
from datapaths.linux.dryrun import faults
from datapaths.linux.links import Links
from datapaths.linux.punt import BGP
from datapaths.linux.twins import Twin, Twins
from dualpath.model.links import Port

Placed = Callable[[], Mapping[str, bool]]
"""Returns for each port whether grout is to forward; a port that is not named is left alone."""


class SteeredTwins:
    """The kernel's twins; also keeps each port with the datapath that `placed` names.

    `runs` returns False as soon as grout begins to end. Its wires are removed later, and a port
    that was moved to a wire in between would lose its traffic.
    """

    def __init__(
        self, forwarding: str, control: str, runs: Callable[[], bool] = lambda: True
    ) -> None:
        self._forwarding = forwarding
        self._twins = Twins(forwarding, control)
        self._runs = runs
        self._turn = Lock()  # a switch and a round of the provisioner move ports in two threads
        self.placed: Placed = dict

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int] = (BGP,)) -> list[RowFailure]:
        failures = self._twins.ensure(ports, tcp_ports)
        if placed := self.placed():
            self.move(placed)
        return failures

    def move(self, placed: Mapping[str, bool]) -> list[str]:
        """Let grout forward for the ports with True, and the kernel for the others.

        Return the ports that grout cannot have, because they have no wire or grout is ending.
        """
        possible = self._possible(placed)
        with self._turn, Links(self._forwarding) as links:
            refused = [
                port for port, grout in possible.items() if not place(links, port, grout=grout)
            ]
        return [port for port in placed if port in refused or port not in possible]

    def _possible(self, placed: Mapping[str, bool]) -> dict[str, bool]:
        """Leave out the ports that would move to grout while it is ending."""
        kernel_only = any(placed.values()) and not self._runs()
        return {port: grout for port, grout in placed.items() if not (grout and kernel_only)}

    def seed(self) -> int:
        """Teach grout the neighbors behind all ports, before it gets one; return their number."""
        return seed(self._forwarding)

    def release(self, ports: Iterable[str]) -> None:
        """Remove all filters that lead to grout's wires: the kernel forwards, and grout is gone."""
        with self._turn:
            for port in ports:
                release(self._forwarding, port)

    def differing(
        self, ports: Sequence[Port], tcp_ports: Iterable[int] = (BGP,)
    ) -> list[tuple[str, str]]:
        found = self._twins.differing(ports, tcp_ports)
        if placed := self._possible(self.placed()):
            with Links(self._forwarding, dry=True) as links:
                for port, grout in placed.items():
                    look = partial(place, links, port, grout=grout)
                    found += [(port, fault) for fault in faults([links], look)]
        return found

    def namespaces(self) -> set[str]:
        return self._twins.namespaces()

    def dump(self) -> list[Twin]:
        return self._twins.dump()

    def set_carrier(self, name: str, up: bool) -> None:
        self._twins.set_carrier(name, up)
