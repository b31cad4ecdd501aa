"""Finds a node's interfaces: in the host namespace, or in the forwarding namespace once moved."""

from __future__ import annotations

from controller.intent.node import Look, Namespaces
from controller.intent.numbering import Addresses
from datapaths.linux.addresses import addresses_of
from dualpath.process.options import DEFAULT_NETNS


def looking(forwarding: str | None = None) -> Look:
    """Return how to read addresses; `forwarding` is the namespace that the command line names."""

    def look(namespaces: Namespaces) -> Addresses:
        fetched = forwarding or namespaces.forwarding or DEFAULT_NETNS
        return lambda name: addresses_of(name, (namespaces.host, fetched))

    return look
