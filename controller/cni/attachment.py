"""Calls ADD, CHECK and DEL for one interface on all plugins of its list. Blocks.

The order of record writes makes a crash harmless: see `records`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol

from controller.cni import protocol, records
from controller.cni.plugins import Operator
from controller.cni.protocol import ADD, CHECK, DEL, STATUS, Json, Place, PluginError
from controller.cni.records import Record, Stage
from dualpath.model.cni import CniDevice

log = logging.getLogger(__name__)


class Interfaces(Protocol):
    """The state of the forwarding namespace."""

    def mac(self, name: str) -> bytes | None:
        """Return the MAC of an interface, None if there is none of that name."""


class Versioned(Operator, Protocol):
    """Runs plugins, and knows their supported versions of the specification."""

    def check_version(self, plugin: str, wanted: str) -> None: ...


def add(
    plugins: Versioned, record: Record, interfaces: Interfaces, dhcp_socket: str = ""
) -> Record:
    """Call ADD; return the interface's record with the result.

    If a plugin fails, call DEL for all, as the specification asks. Raises PluginError and OSError.
    """
    device = record.device
    conf = device.conf()
    for plugin in conf["plugins"]:
        plugins.check_version(plugin["type"], conf["cniVersion"])
    if interfaces.mac(device.name) is not None:
        # Not left to the plugin: the DEL after its refusal would delete the other interface.
        first = conf["plugins"][0]["type"]
        why = f"the forwarding namespace has an interface {device.name} already"
        raise PluginError(first, ADD, why, advice="remove it, or choose another interfaceName")
    if conf["cniVersion"] >= protocol.STATUS_SINCE:
        _each(plugins, record, STATUS, dhcp_socket)
    record = replace(record, stage=Stage.ADDING, result=None)
    records.write(record)
    try:
        result = _added(plugins, record, dhcp_socket)
        if interfaces.mac(device.name) is None:
            last = conf["plugins"][-1]["type"]
            raise PluginError(last, ADD, f"it reports success, and made no interface {device.name}")
    except PluginError:
        _undo(plugins, record, interfaces, dhcp_socket)
        raise
    record = replace(record, stage=Stage.ADDED, result=result)
    records.write(record)
    return record


def check(plugins: Operator, record: Record, dhcp_socket: str = "") -> None:
    """Call CHECK. Raises PluginError."""
    if record.result is not None and protocol.is_checked(record.device.conf()):
        _each(plugins, record, CHECK, dhcp_socket)


def delete(
    plugins: Operator,
    record: Record,
    interfaces: Interfaces,
    dhcp_socket: str = "",
    *,
    last_try: bool = False,
) -> None:
    """Call DEL and delete the record. An absent interface is no error.

    Raises PluginError and OSError; the record then stays for the next try. A plugin's refusal is
    only logged if no interface is left and ADD failed before, or this is the last try: macvlan
    refuses DEL, like ADD, while its master is missing.
    """
    if record.stage is not Stage.DELETING:
        records.write(replace(record, stage=Stage.DELETING))
    # Without a namespace, plugins release addresses and the like, and touch no interface.
    path = record.space.path if _is_where_it_was(record, interfaces) else ""
    place = Place(record.container, path, record.device.name)
    conf = record.device.conf()
    for index in reversed(range(len(conf["plugins"]))):
        plugin = conf["plugins"][index]["type"]
        given = _conf(record.device, index, record.result, dhcp_socket)
        try:
            plugins.run(plugin, DEL, given, place)
        except PluginError as error:
            futile = last_try or record.result is None
            if not error.code or not futile or interfaces.mac(record.device.name) is not None:
                raise
            log.warning(
                "%s: %s; deleting its record, as the interface is gone", record.device.name, error
            )
    records.remove(record)


def _added(plugins: Operator, record: Record, dhcp_socket: str) -> Json:
    conf = record.device.conf()
    previous: Json | None = None
    for index, plugin in enumerate(conf["plugins"]):
        given = _conf(record.device, index, previous, dhcp_socket)
        output = plugins.run(plugin["type"], ADD, given, _place(record))
        previous = protocol.result_of(plugin["type"], output, conf["cniVersion"])
    assert previous is not None
    return previous


def _each(plugins: Operator, record: Record, command: str, dhcp_socket: str) -> None:
    for index, plugin in enumerate(record.device.conf()["plugins"]):
        given = _conf(record.device, index, record.result, dhcp_socket)
        plugins.run(plugin["type"], command, given, _place(record))


def _undo(plugins: Operator, record: Record, interfaces: Interfaces, dhcp_socket: str) -> None:
    """Clean up after a failed ADD; keep the record if that fails too."""
    try:
        delete(plugins, record, interfaces, dhcp_socket)
    except PluginError:
        return


def _is_where_it_was(record: Record, interfaces: Interfaces) -> bool:
    """Return whether an interface of that name and namespace belongs to the plugins."""
    if records.space_of(record.space.path) != record.space:
        return False
    made = protocol.mac_of(record.result or {}, record.device.name)
    return not made or interfaces.mac(record.device.name) in (None, made)


def _place(record: Record) -> Place:
    return Place(record.container, record.space.path, record.device.name)


def _conf(device: CniDevice, index: int, previous: Json | None, dhcp_socket: str) -> Json:
    return protocol.execution(device, index, previous, dhcp_socket)
