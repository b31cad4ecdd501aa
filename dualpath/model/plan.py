"""Intent as it is shown: every device with what it is to be, and FRR's settings, secrets masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dualpath.model.frr import FrrSettings


@dataclass(frozen=True, slots=True)
class PlannedDevice:
    """A VRF, a VNI or a port, in words."""

    kind: str  # "VRF", "VNI", "PORT"
    name: str
    resource: str  # who asks for it: "L3VNI red"
    attributes: Mapping[str, str]  # what is empty or 0 is left out


@dataclass(frozen=True, slots=True)
class Plan:
    """What a node is to be, and for which node that was compiled."""

    node_name: str
    node_index: int
    node_labels: Mapping[str, str]
    forwarding: str  # namespace
    control: str
    underlay_mtu: int
    devices: tuple[PlannedDevice, ...] = ()
    frr: FrrSettings = field(default_factory=FrrSettings)
