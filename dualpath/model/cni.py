"""An interface that CNI plugins create, as the manifests want it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CniDevice:
    """An interface of the forwarding namespace, and the plugins that create it.

    The configuration is the operator's, as JSON. It may contain secrets, so no text shows it.
    """

    name: str
    network: str = field(repr=False)
    """A network configuration list (https://www.cni.dev/docs/spec/, section 1)."""
    arguments: str = field(default="{}", repr=False)
    """Capability arguments by name (section 3)."""

    def conf(self) -> dict[str, Any]:
        """Return the network configuration list; the caller may change it."""
        found: dict[str, Any] = json.loads(self.network)
        return found

    def capability_arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.arguments)
        return found

    @property
    def plugins(self) -> str:
        """Return the names of the plugins as text: `macvlan (static), tuning`."""
        named = ((p["type"], p.get("ipam", {}).get("type")) for p in self.conf()["plugins"])
        return ", ".join(f"{name} ({ipam})" if ipam else name for name, ipam in named)
