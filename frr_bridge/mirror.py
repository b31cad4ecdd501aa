"""Local hosts that the datapath learnt, written where zebra looks for them.

A MAC becomes an entry of the shadow bridge on a silent access port, a neighbour an entry of the
bridge: zebra then advertises both (RFC 7432 type 2). It replaces a row itself when the host turns
up elsewhere, so a row is only taken back while it is still ours. Neighbours say whose they are by
NDA_PROTOCOL; without it the kernel keeps that of the row replaced, and zebra takes a host that
came back for one of its own, a remote one.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct

from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.routes import RTPROT_DUALPATH
from frr_bridge.overlay.overlay import Overlay
from frr_bridge.wire.neighbor import (
    NDA_DST,
    NDA_LLADDR,
    NDA_PROTOCOL,
    NDMSG,
    NTF_EXT_LEARNED,
    NTF_MASTER,
    NTF_ROUTER,
    NUD_NOARP,
    NUD_REACHABLE,
)
from frr_bridge.wire.netlink import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    NLM_F_ACK,
    NLM_F_REQUEST,
    NLMSG_HDRLEN,
    RTM_DELNEIGH,
    RTM_NEWNEIGH,
    attribute,
    message,
)

log = logging.getLogger(__name__)

NLM_F_REPLACE = 0x100
NLM_F_CREATE = 0x400

_ERRNO = struct.Struct("=i")
_NOT_YET = {errno.ENODEV, errno.EOPNOTSUPP}  # the port is not made, or not in its bridge
_RETRY_TICKS = 40  # what the kernel refused, when no device changed: every ten seconds
_GONE = {errno.ENOENT, errno.ESRCH, errno.ENODEV}


class ShadowMirror:
    """Makes the shadow bridges hold the hosts that `learn` names, once the bridges are there."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._macs: dict[tuple[int, bytes], Mac] = {}
        self._neighbors: dict[tuple[int, bytes], Neighbor] = {}
        self._pending: dict[object, Mac | Neighbor] = {}
        self._ticks = 0
        self._whole = False  # all hosts are known: other rows of ours are left over
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._kernel.bind((0, 0))

    def learn(self, said: Mirror) -> None:
        """Take the controller's word."""
        if said.whole:
            self._whole = True
            macs = {mac.key for mac in said.macs}
            neighbors = {neighbor.key for neighbor in said.neighbors}
            self._forget(
                [mac for key, mac in self._macs.items() if key not in macs],
                [held for key, held in self._neighbors.items() if key not in neighbors],
            )
        self._forget(list(said.gone_macs), list(said.gone_neighbors))
        for mac in said.macs:
            self._macs[mac.key] = mac
            self._put(mac)
        for neighbor in said.neighbors:
            self._neighbors[neighbor.key] = neighbor
            self._put(neighbor)

    def retry(self) -> None:
        """Write what had to wait for a shadow device, and what one that was made anew lacks.

        Mend what somebody else took away, and take away what an earlier bridge left behind.
        """
        if renewed := self._overlay.devices.renewed():
            self._restore(renewed)
        if self._whole:
            self._mend()
        self._ticks += 1
        if self._ticks % _RETRY_TICKS == 0:
            for record in list(self._pending.values()):
                self._put(record)

    def _restore(self, vnis: set[int]) -> None:
        records: list[Mac | Neighbor] = [*self._macs.values(), *self._neighbors.values()]
        for record in records:
            if record.vni in vnis:
                self._put(record)

    def _mend(self) -> None:
        for record, there in self._overlay.mirrored.changes():
            held = self._macs if isinstance(record, Mac) else self._neighbors
            wanted = held.get(record.key)
            if there and wanted is None:
                self._take_back(record)
            elif wanted and not there:
                self._put(wanted)

    def close(self) -> None:
        self._kernel.close()

    def _forget(self, macs: list[Mac], neighbors: list[Neighbor]) -> None:
        for neighbor in neighbors:
            self._neighbors.pop(neighbor.key, None)
            self._pending.pop((Neighbor, neighbor.key), None)
            self._take_back(neighbor)
        for mac in macs:
            self._macs.pop(mac.key, None)
            self._pending.pop((Mac, mac.key), None)
            self._take_back(mac)

    def _take_back(self, record: Mac | Neighbor) -> None:
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
        """Send one request to the kernel and take its answer."""
        flags = NLM_F_REQUEST | NLM_F_ACK
        if kind == RTM_NEWNEIGH:
            flags |= NLM_F_CREATE | NLM_F_REPLACE
        body = _mac(device, record) if isinstance(record, Mac) else _neighbor(device, record)
        self._kernel.send(message(kind, flags, 1, body))
        code = -_ERRNO.unpack_from(self._kernel.recv(65536), NLMSG_HDRLEN)[0]
        if code and not (kind == RTM_DELNEIGH and code in _GONE):
            if code not in _NOT_YET and (type(record), record.key) not in self._pending:
                log.warning("mirror: %s: %s", record, os.strerror(code))
            return False
        return True


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
