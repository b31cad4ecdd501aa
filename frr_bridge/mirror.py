"""Mirror locally learned hosts into the shadow devices, so that zebra advertises them.

A MAC becomes an entry of the shadow bridge on its access port, a neighbor becomes a neighbor of
the bridge; zebra advertises both (RFC 7432, type 2). When the host appears behind another VTEP,
zebra replaces the row itself, so a row is removed only while it is ours:

    host 10.1.0.5 is local     neighbor 10.1.0.5 dev br110, NDA_PROTOCOL 68     zebra advertises it
    the host moves away        zebra replaces the row: remote, RTPROT_ZEBRA     not ours: keep it
    the controller forgets it  nothing to remove

Every row names NDA_PROTOCOL. Without it the kernel keeps the protocol of the replaced row, and
zebra would treat a host that came back as a remote one.

Rows can disappear or appear without this module: a device is created again, another program deletes
a row, an earlier bridge left one behind. `retry` compares the wanted rows with the kernel's
notifications, and repairs.
"""

from __future__ import annotations

import errno
import logging

from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.routes import RTPROT_DUALPATH
from dualpath.model.words import errno_name
from dualpath.netlink.message import attribute, request
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    NDA_DST,
    NDA_LLADDR,
    NDA_PROTOCOL,
    NLM_F_CREATE,
    NLM_F_REPLACE,
    NTF_EXT_LEARNED,
    NTF_MASTER,
    NTF_ROUTER,
    NUD_NOARP,
    NUD_REACHABLE,
    RTM_DELNEIGH,
    RTM_NEWNEIGH,
)
from dualpath.netlink.socket import Requests, open_socket
from frr_bridge.overlay.overlay import Overlay
from frr_bridge.overlay.rowtable import RowTable
from frr_bridge.wire.neighbor import NDMSG

log = logging.getLogger(__name__)

_NOT_YET = {errno.ENODEV, errno.EOPNOTSUPP}  # no port yet, or it is not in its bridge
_RETRY_TICKS = 40  # until rows that the kernel refused are tried again: ten seconds
_GONE = {errno.ENOENT, errno.ESRCH, errno.ENODEV}


class ShadowMirror:
    """Keeps the hosts that `learn` names in the shadow bridges, as soon as these exist."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._macs = RowTable[Mac]()  # by (VNI, MAC)
        self._neighbors = RowTable[Neighbor]()  # by (VNI, address)
        self._pending: dict[object, Mac | Neighbor] = {}
        self._ticks = 0
        self._whole = False  # all hosts are known: other rows with our mark are leftovers
        self._requests = Requests(open_socket())

    def learn(self, mirror: Mirror) -> None:
        """Write and remove what the controller reports."""
        if mirror.whole:
            self._whole = True
            macs = {mac.key for mac in mirror.macs}
            neighbors = {neighbor.key for neighbor in mirror.neighbors}
            self._forget(
                [self._macs[key] for key in self._macs if key not in macs],
                [self._neighbors[key] for key in self._neighbors if key not in neighbors],
            )
        self._forget(list(mirror.gone_macs), list(mirror.gone_neighbors))
        for mac in mirror.macs:
            self._macs[mac.key] = mac
            self._put(mac)
        for neighbor in mirror.neighbors:
            self._neighbors[neighbor.key] = neighbor
            self._put(neighbor)

    def retry(self) -> None:
        """Write rows that waited for a shadow device, and all rows of one that was created again.

        Restore rows that another program removed; remove rows that an earlier bridge left.
        """
        if renewed := self._overlay.devices.renewed():
            self._restore(renewed)
        if self._whole:
            self._repair()
        self._ticks += 1
        if self._ticks % _RETRY_TICKS == 0:
            for record in list(self._pending.values()):
                self._put(record)

    def _restore(self, vnis: set[int]) -> None:
        for vni in sorted(vnis):
            for key in self._macs.of(vni):
                self._put(self._macs[key])
            for key in self._neighbors.of(vni):
                self._put(self._neighbors[key])

    def _repair(self) -> None:
        for record, present in self._overlay.mirrored.changes():
            held = self._macs if isinstance(record, Mac) else self._neighbors
            wanted: Mac | Neighbor | None = held.get(record.key)
            if present and wanted is None:
                self._remove(record)
            elif wanted and not present:
                self._put(wanted)

    def close(self) -> None:
        self._requests.close()

    def _forget(self, macs: list[Mac], neighbors: list[Neighbor]) -> None:
        for neighbor in neighbors:
            self._neighbors.pop(neighbor.key)
            self._pending.pop((Neighbor, neighbor.key), None)
            self._remove(neighbor)
        for mac in macs:
            self._macs.pop(mac.key)
            self._pending.pop((Mac, mac.key), None)
            self._remove(mac)

    def _remove(self, record: Mac | Neighbor) -> None:
        if isinstance(record, Mac):
            device = self._overlay.devices.access_port(record.vni)
        else:
            device = self._overlay.devices.bridge_of(record.vni)
            if device and self._overlay.neighbors.is_remote(device, record.address):
                return
        if device:
            self._write(RTM_DELNEIGH, device, record)

    def _put(self, record: Mac | Neighbor) -> None:
        if isinstance(record, Mac):
            device = self._overlay.devices.access_port(record.vni)
        else:
            device = self._overlay.devices.bridge_of(record.vni)
        done = bool(device) and self._write(RTM_NEWNEIGH, device, record)
        if done:
            self._pending.pop((type(record), record.key), None)
        else:
            self._pending[type(record), record.key] = record

    def _write(self, kind: int, device: int, record: Mac | Neighbor) -> bool:
        """Write or delete a row; return whether the kernel did it. Log a refusal once."""
        flags = NLM_F_CREATE | NLM_F_REPLACE if kind == RTM_NEWNEIGH else 0
        body = _mac(device, record) if isinstance(record, Mac) else _neighbor(device, record)
        code = self._requests.errno_of(request(kind, flags, body))
        if not code or (kind == RTM_DELNEIGH and code in _GONE):
            return True
        if code not in _NOT_YET and (type(record), record.key) not in self._pending:
            log.warning("mirror: %s: the kernel refused it (%s)", record, errno_name(code))
        return False


def _mac(port: int, mac: Mac) -> bytes:
    """`bridge fdb replace MAC dev PORT master extern_learn`"""
    flags = NTF_MASTER | NTF_EXT_LEARNED
    return NDMSG.pack(AF_BRIDGE, 0, 0, port, NUD_REACHABLE, flags, 0) + attribute(
        NDA_LLADDR, mac.mac
    )


def _neighbor(bridge: int, neighbor: Neighbor) -> bytes:
    """`ip neigh replace ADDRESS lladdr MAC dev BRIDGE nud noarp extern_learn protocol 68`"""
    family = AF_INET if len(neighbor.address) == 4 else AF_INET6
    flags = NTF_EXT_LEARNED | (NTF_ROUTER if neighbor.router else 0)
    return (
        NDMSG.pack(family, 0, 0, bridge, NUD_NOARP, flags, 0)
        + attribute(NDA_DST, neighbor.address)
        + attribute(NDA_LLADDR, neighbor.mac)
        + attribute(NDA_PROTOCOL, bytes([RTPROT_DUALPATH]))
    )
