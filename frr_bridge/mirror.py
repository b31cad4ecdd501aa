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
from collections.abc import Sequence

from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.routes import RTPROT_DUALPATH
from dualpath.model.words import errno_name
from dualpath.netlink.message import attribute, request
from dualpath.netlink.neighborcolumns import NDMSG
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

log = logging.getLogger(__name__)

_NOT_YET = {errno.ENODEV, errno.EOPNOTSUPP}  # no port yet, or it is not in its bridge
_RETRY_TICKS = 40  # until rows that the kernel refused are tried again: ten seconds
_TOGETHER = 256  # requests of one system call; their refusals fit the socket's buffer
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
        self._put(mirror.macs)
        for neighbor in mirror.neighbors:
            self._neighbors[neighbor.key] = neighbor
        self._put(mirror.neighbors)

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
            self._put(list(self._pending.values()))

    def _restore(self, vnis: set[int]) -> None:
        for vni in sorted(vnis):
            self._put([self._macs[key] for key in self._macs.of(vni)])
            self._put([self._neighbors[key] for key in self._neighbors.of(vni)])

    def _repair(self) -> None:
        leftover: list[Mac | Neighbor] = []
        missing: list[Mac | Neighbor] = []
        for record, present in self._overlay.mirrored.changes():
            held = self._macs if isinstance(record, Mac) else self._neighbors
            wanted: Mac | Neighbor | None = held.get(record.key)
            if present and wanted is None:
                leftover.append(record)
            elif wanted and not present:
                missing.append(wanted)
        self._remove(leftover)
        self._put(missing)

    def close(self) -> None:
        self._requests.close()

    def _forget(self, macs: list[Mac], neighbors: list[Neighbor]) -> None:
        for neighbor in neighbors:
            self._neighbors.pop(neighbor.key)
            self._pending.pop((Neighbor, neighbor.key), None)
        self._remove(neighbors)
        for mac in macs:
            self._macs.pop(mac.key)
            self._pending.pop((Mac, mac.key), None)
        self._remove(macs)

    def _remove(self, records: Sequence[Mac | Neighbor]) -> None:
        rows = [(device, it) for it in records if (device := self._device(it))]
        rows = [row for row in rows if not self._is_remote(*row)]
        for record, code in self._write(RTM_DELNEIGH, rows):
            if code not in _GONE:
                self._log_refusal(record, code)

    def _put(self, records: Sequence[Mac | Neighbor]) -> None:
        rows = [(self._device(it), it) for it in records]
        refused = self._write(RTM_NEWNEIGH, [row for row in rows if row[0]])
        for record, code in refused:
            self._log_refusal(record, code)
        for record in records:
            self._pending.pop((type(record), record.key), None)
        for record in (*(it for device, it in rows if not device), *(it for it, _ in refused)):
            self._pending[type(record), record.key] = record

    def _device(self, record: Mac | Neighbor) -> int:
        """Return the device that has a host's row, 0 if it does not exist yet."""
        devices = self._overlay.devices
        return (
            devices.access_port(record.vni)
            if isinstance(record, Mac)
            else devices.bridge_of(record.vni)
        )

    def _is_remote(self, bridge: int, record: Mac | Neighbor) -> bool:
        return isinstance(record, Neighbor) and self._overlay.neighbors.is_remote(
            bridge, record.address
        )

    def _write(
        self, kind: int, rows: Sequence[tuple[int, Mac | Neighbor]]
    ) -> list[tuple[Mac | Neighbor, int]]:
        """Write or delete rows, many per system call; return the refused ones with their errno."""
        flags = NLM_F_CREATE | NLM_F_REPLACE if kind == RTM_NEWNEIGH else 0
        refused: list[tuple[Mac | Neighbor, int]] = []
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            answers = self._requests.send([request(kind, flags, _body(*row)) for row in some])
            refused += [(some[at][1], answer.errno) for at, answer in answers]
        return refused

    def _log_refusal(self, record: Mac | Neighbor, code: int) -> None:
        """Log a refusal once."""
        if code not in _NOT_YET and (type(record), record.key) not in self._pending:
            log.warning("mirror: %s: the kernel refused it (%s)", record, errno_name(code))


def _body(device: int, record: Mac | Neighbor) -> bytes:
    return _mac(device, record) if isinstance(record, Mac) else _neighbor(device, record)


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
