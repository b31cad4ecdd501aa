"""The intent as text: every device, and FRR's settings with secrets masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dualpath.model.frr import FrrSettings


@dataclass(frozen=True, slots=True)
class PlannedDevice:
    """A VRF, a VNI or a port as text."""

    kind: str  # "VRF", "VNI", "PORT"
    name: str
    resource: str  # the resource that wants it: "L3VNI red"
    attributes: Mapping[str, str]  # without empty values and zeros


@dataclass(frozen=True, slots=True)
class Plan:
    """The compiled intent, and the node for which it was compiled."""

    node_name: str
    node_index: int
    node_labels: Mapping[str, str]
    forwarding: str  # namespace
    control: str
    underlay_mtu: int
    devices: tuple[PlannedDevice, ...] = ()
    frr: FrrSettings = field(default_factory=FrrSettings)
