"""Composes the keeper of CNI interfaces for a controller."""

from __future__ import annotations

from collections.abc import Callable
from socket import gethostname

from controller.cni import protocol
from controller.cni.dhcp import SOCKET, DhcpDaemon
from controller.cni.interfaces import Namespace
from controller.cni.keeper import CniKeeper
from controller.cni.plugins import Plugins
from controller.cni.upkeep import Tools
from controller.intent.node import Node
from controller.node.namespaces import NamespacePair
from controller.settings import Settings
from controller.start.backends import Backend


def keeper(
    settings: Settings,
    namespaces: NamespacePair,
    node: Node,
    backend: Backend,
    used: Callable[[str], bool],
    changed: Callable[[], None],
) -> CniKeeper:
    """Return the keeper; `used` says whether the datapath has a port."""
    host = node.namespaces.host
    plugins = Plugins(settings.cni_bin, host)
    return CniKeeper(
        Tools(
            forwarding=namespaces.forwarding,
            host=host,
            container=protocol.container_of(node.name or gethostname(), namespaces.forwarding),
            plugins=plugins,
            daemon=DhcpDaemon(plugins, settings.state_dir / SOCKET, host),
            namespace=Namespace(namespaces.forwarding, backend.nic_may_be),
            used=used,
            changed=changed,
        )
    )
