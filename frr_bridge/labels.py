"""MPLS label bindings as text: they are shown, and never programmed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from dualpath.model.layer2 import Lsp
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.lsp import LspMessage, LspNexthop


def lsp(message: LspMessage, links: Mapping[int, LinkMessage]) -> Lsp:
    return Lsp(message.label, tuple(_text(nexthop, links) for nexthop in message.nexthops))


def _text(nexthop: LspNexthop, links: Mapping[int, LinkMessage]) -> str:
    link = links.get(nexthop.oif)
    via = f"via {ipaddress.ip_address(nexthop.gateway)} " if nexthop.gateway else ""
    labels = "/".join(map(str, nexthop.labels)) or "pop"
    return f"{via}dev {link.name if link else nexthop.oif} label {labels}"
