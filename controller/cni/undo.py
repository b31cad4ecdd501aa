"""Removes every interface of a stopped controller with DEL. Blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from controller.cni import attachment, records
from controller.cni.dhcp import DhcpDaemon
from controller.cni.interfaces import Namespace
from controller.cni.plugins import Plugins
from controller.cni.protocol import PluginError
from controller.cni.records import Record, Unreadable
from datapaths.base import DatapathError
from datapaths.linux import netns


def left(forwarding: str) -> Iterator[tuple[str, Record | None, str]]:
    """Yield each interface by name with its record; without one, the reason."""
    path = netns.path_of(forwarding)
    for name in records.names(path):
        try:
            yield name, records.read(path, name), ""
        except Unreadable as error:
            yield name, None, str(error)


def undo(record: Record, forwarding: str) -> str:
    """Call DEL for an interface; return why that failed, "" if it did not.

    It lets the DHCP daemon release the lease, and then ends the daemon.
    """
    plugins = Plugins([Path(directory) for directory in record.plugins], record.host)
    socket = Path(record.dhcp_socket) if record.dhcp_socket else None
    daemon = DhcpDaemon(plugins, socket, record.host) if socket else None
    try:
        delete = partial(
            attachment.delete, plugins, record, Namespace(forwarding), record.dhcp_socket
        )
        if daemon:
            daemon.release(delete)
            daemon.end()
        else:
            delete()
    except (PluginError, OSError, DatapathError) as error:
        return error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return ""
