"""grout's interfaces, by id, name and VNI. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.ifaces import Iface, VxlanInfo
from dualpath.model.routes import DEFAULT_VRF

LOOPBACK = "lo"  # what the kernel and FRR call it


class IfaceTable:
    """Interfaces by id and name, VXLAN interfaces by VNI, VRFs by name."""

    def __init__(self) -> None:
        self._ifaces: dict[int, Iface] = {}

    def __iter__(self) -> Iterator[Iface]:
        return iter(list(self._ifaces.values()))

    def clear(self) -> None:
        self._ifaces.clear()

    def put(self, iface: Iface) -> None:
        self._ifaces[iface.id] = iface

    def pop(self, id_: int) -> Iface | None:
        return self._ifaces.pop(id_, None)

    def get(self, id_: int) -> Iface | None:
        return self._ifaces.get(id_)

    def named(self, name: str) -> Iface | None:
        return next((iface for iface in self._ifaces.values() if iface.name == name), None)

    def device(self, name: str) -> Iface | None:
        """Return the interface that FRR knows as `name`."""
        return self._ifaces.get(n.GR_VRF_DEFAULT_ID) if name == LOOPBACK else self.named(name)

    def device_name(self, id_: int) -> str:
        """Return the name by which FRR knows an interface, "" when there is none."""
        iface = self._ifaces.get(id_)
        return "" if not iface else LOOPBACK if id_ == n.GR_VRF_DEFAULT_ID else iface.name

    def vxlan(self, vni: int) -> Iface | None:
        for iface in self._ifaces.values():
            if isinstance(iface.info, VxlanInfo) and iface.info.vni == vni:
                return iface
        return None

    def bridge(self, vni: int) -> Iface | None:
        """Return the bridge of an L2VNI."""
        vxlan = self.vxlan(vni)
        if not vxlan or vxlan.mode != n.GR_IFACE_MODE_BRIDGE:
            return None
        return self._ifaces.get(vxlan.domain)

    def vni_of(self, id_: int) -> int:
        """Return the VNI of a bridge or a VXLAN interface, 0 without one."""
        iface = self._ifaces.get(id_)
        if iface and isinstance(iface.info, VxlanInfo):
            return iface.info.vni
        for other in self._ifaces.values():
            if isinstance(other.info, VxlanInfo) and other.domain == id_:
                return other.info.vni
        return 0

    def l2_bridges(self) -> dict[int, int]:
        """Return VNI by bridge id, of all L2VNIs."""
        return {
            iface.domain: iface.info.vni
            for iface in self._ifaces.values()
            if isinstance(iface.info, VxlanInfo) and iface.mode == n.GR_IFACE_MODE_BRIDGE
        }

    def vrf_id(self, vrf: str) -> int:
        """Return the id of a VRF, 0 when grout has none of that name."""
        if vrf in ("", DEFAULT_VRF):
            return n.GR_VRF_DEFAULT_ID
        iface = self.named(vrf)
        return iface.id if iface and iface.type == n.GR_IFACE_TYPE_VRF else 0

    def vrf_name(self, id_: int) -> str:
        """Return the name of a VRF as in the model, "" when the id is no VRF's."""
        if id_ == n.GR_VRF_DEFAULT_ID:
            return DEFAULT_VRF
        iface = self._ifaces.get(id_)
        return iface.name if iface and iface.type == n.GR_IFACE_TYPE_VRF else ""

    def vrfs(self) -> dict[int, str]:
        return {i.id: self.vrf_name(i.id) for i in self if i.type == n.GR_IFACE_TYPE_VRF}
