"""zebra's nexthops from two sources: the kernel of FRR's namespace, and FPM.

zebra installs its nexthops into its own kernel, which notifies us, and sends them over FPM as well.
The kernel's message is authoritative. FPM's copy is only a hint: it describes nexthops that zebra
does not install (such as those of connected routes), but zebra does not repeat a group over FPM
when one of its members changes. So a hint fills a gap, and never replaces what the kernel reported.
"""

from __future__ import annotations

from collections.abc import Callable

from dualpath.model.nexthops import Nexthop
from dualpath.netlink.message import DecodeError
from frr_bridge.handles import NexthopHandles
from frr_bridge.rib import Rib
from frr_bridge.wire.inline import Unsupported
from frr_bridge.wire.nexthop import ZebraNexthop


class NexthopFeed:
    """Passes nexthops to `handles`, and removes handles that nobody uses. `count` gets errors."""

    def __init__(
        self, handles: NexthopHandles, rib: Rib, count: Callable[[DecodeError], None]
    ) -> None:
        self._handles = handles
        self._rib = rib
        self._count = count
        self.collectable = False  # some id may be unused since the last `collect`
        self._ended: set[int] = set()  # handles whose device was deleted since then

    def from_kernel(self, nexthop: ZebraNexthop) -> None:
        if nexthop.deleted:
            self._forget(nexthop.id)
            return
        if isinstance(nexthop.nexthop, Unsupported):
            self._count(nexthop.nexthop.error)
        self._learn(nexthop)
        self._handles.ids.installed(nexthop.id)

    def from_fpm(self, nexthop: ZebraNexthop) -> None:
        if nexthop.deleted:
            if not self._handles.ids.in_kernel(nexthop.id):
                self._forget(nexthop.id)
        elif not self._handles.described(nexthop.id):
            self._learn(nexthop)

    def device_lost(self, index: int, *, deleted: bool, cut: bool) -> None:
        """Note that the kernel removed the nexthops over a device, and sent no message.

        `cut` also removes the device from groups. Pass false when FRR's namespace may be ending:
        that deletes every device while the node's own devices still work.
        """
        self._ended |= self._handles.device_down(index, deleted=deleted)
        self.collectable = True
        if cut:
            self._handles.remove_from_groups(index)

    def end_kernel_routes(self) -> None:
        """Withdraw the kernel routes over deleted devices. Call it only while FRR is obeyed.

        zebra withdraws most of them, but not those of a device that it saw in several VRFs one
        after the other: a bridge moves from one VRF to another through the default VRF.
        """
        if self._ended:
            self._rib.end_kernel_routes(self._ended)
            self._ended.clear()

    def collect(self) -> list[Nexthop]:
        """Forget the handles that have neither id nor route; return those that were announced."""
        if not self.collectable and not (self._handles.unnamed and self._rib.released):
            return []
        self.collectable = self._rib.released = False
        return self._handles.collect(self._rib.used_handles())

    def _forget(self, identity: int) -> None:
        self._handles.forget(identity)
        self.collectable = True

    def _learn(self, nexthop: ZebraNexthop) -> None:
        if nexthop.members:
            self._handles.learn_group(nexthop.id, nexthop.members)
        elif nexthop.nexthop is not None:
            self._handles.learn(nexthop.id, nexthop.nexthop)
