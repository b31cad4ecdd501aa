"""Turns intent into a plan: `dualpath render` prints it, `dualpath diff` compares it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import fields

from controller.intent.layout import Device, Intent
from dualpath.model.frr import masked
from dualpath.model.links import HostEnd
from dualpath.model.plan import Plan, PlannedDevice

MACS = {"mac"}


def show(intent: Intent) -> Plan:
    """Return the plan of an intent, without its secrets."""
    node = intent.node
    return Plan(
        node_name=node.name,
        node_index=node.index,
        node_labels=node.labels,
        forwarding=intent.namespaces.forwarding,
        control=intent.namespaces.control,
        underlay_mtu=intent.underlay_mtu,
        devices=(*_datapath(intent), *(_planned(intent, device) for device in intent.devices)),
        frr=masked(intent.frr),
    )


def _datapath(intent: Intent) -> Iterator[PlannedDevice]:
    if intent.datapath:
        yield PlannedDevice(
            "datapath", intent.datapath, " ".join(intent.datapath_owner).strip(), {}
        )


def _planned(intent: Intent, device: Device) -> PlannedDevice:
    owner = intent.owners.get((device.kind, device.key), ("", ""))
    return PlannedDevice(
        kind=device.kind.name,
        name=str(device.key),
        resource=" ".join(owner).strip(),
        attributes={
            **{name: text for name, text in _attributes(device) if text != str(device.key)},
            **_plugins(intent, device),
        },
    )


def _plugins(intent: Intent, device: Device) -> dict[str, str]:
    """Return the plugins that create a port, without their configuration: it may have secrets."""
    return next(({"cni": made.plugins} for made in intent.cni if made.name == device.key), {})


def _attributes(value: Device | HostEnd, prefix: str = "") -> Iterator[tuple[str, str]]:
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, HostEnd):
            yield from _attributes(content, "host_")
        elif field.name == "source_netns" and content is not None:
            yield "source_netns", content or "(the controller's)"
        elif content:
            yield prefix + field.name, _text(field.name, content)


def _text(name: str, value: object) -> str:
    if isinstance(value, bytes):
        return value.hex(":") if name in MACS else str(ipaddress.ip_address(value))
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "yes" if value is True else str(value)
