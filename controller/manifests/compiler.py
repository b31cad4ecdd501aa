"""Compiles manifests for this node: its namespaces, its datapath, the MTU of its NICs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from controller.intent import layout
from controller.intent.generations import Generations
from controller.intent.layout import UNDERLAY_MTU, Intent
from controller.intent.node import Namespaces, Node
from controller.intent.schema import Owner, Resources
from controller.node.mtu import underlay_mtu
from controller.node.namespaces import NamespacePair
from controller.settings import Settings
from dualpath.model.view import ResourceStatus


def _elsewhere(resources: Resources, node: Node) -> set[Owner]:
    """Return the rejected resources that are for other nodes, which report them."""
    found: set[Owner] = set()
    for partial in resources.partial:
        with suppress(AttributeError):  # the node selector is invalid
            if not partial.spec.node_selector.matches(node.selectable):
                found.add(partial.owner)
    return found - {resource.owner for resource in resources.items}


class Compiler:
    """Compiles for one node, and numbers the generations of each resource."""

    def __init__(self, settings: Settings) -> None:
        self._fpm = settings.fpm_address
        self._dpdk = settings.datapath == "dpdk"
        self._mtu = UNDERLAY_MTU
        self.generations = Generations()
        self.namespaces = NamespacePair("", "", False, False)
        self.latest = Intent()

    @property
    def up_to_date(self) -> bool:
        """Return whether no NIC's MTU has changed since the latest intent was compiled."""
        return self._measured(self.latest) == self._mtu

    def compile(
        self, files: Resources, in_force: Resources, broken: tuple[ResourceStatus, ...]
    ) -> Intent:
        """Return the intent in force, with a status for each resource of the files."""
        names = Namespaces(
            self.namespaces.forwarding, self.namespaces.control, files.node.namespaces.host
        )
        node = replace(files.node, namespaces=names)
        intent = layout.compile(in_force, node, self._mtu)
        mtu = self._measured(intent)
        if mtu != self._mtu:
            self._mtu = mtu
            intent = layout.compile(in_force, node, mtu)
        intent = layout.for_dpdk(intent) if self._dpdk else layout.without_dpdk(intent)
        address, port = self._fpm
        self.latest = replace(
            intent,
            frr=replace(intent.frr, fpm_address=address, fpm_port=port),
            statuses=(*self._numbered(intent, in_force), *broken),
        )
        return self.latest

    def _numbered(self, intent: Intent, in_force: Resources) -> Iterator[ResourceStatus]:
        """Yield the statuses that concern this node, with their generations."""
        others = _elsewhere(in_force, intent.node)
        for status in intent.statuses:
            if status.owner not in others:
                yield self.generations.number(status)

    def _measured(self, intent: Intent) -> int:
        """Return the MTU of the narrowest NIC; the former value if no NIC exists."""
        where = self.namespaces.forwarding, intent.node.namespaces.host
        return underlay_mtu(intent.ports, where) or self._mtu
