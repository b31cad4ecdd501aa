"""Plan requests for remote VTEPs and remote hosts: hops whose MAC comes from FRR. Pure."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

from datapaths.grout.channel import Request
from datapaths.grout.picture.hops import HOST, KINDS, NO_MAC, Hop, HopTable, hop_key
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.program.hoprequests import HopRequests, RowRefused, l3vni
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.ifaces import Iface
from dualpath.model.layer2 import Neighbor, RemoteVtep


class RemotePlanner:
    """Plans RemoteVtep and Neighbor records."""

    def __init__(self, ifaces: IfaceTable, requests: HopRequests) -> None:
        self._ifaces = ifaces
        self._requests = requests
        self._hops: HopTable = requests.table

    def put_vtep(self, record: RemoteVtep) -> Iterator[Request]:
        vxlan = l3vni(self._ifaces, record.vni)
        yield from self._put(vxlan, record.vtep, record.mac, n.GR_NH_F_REMOTE)

    def drop_vtep(self, record: RemoteVtep) -> Iterator[Request]:
        vxlan = self._ifaces.vxlan(record.vni)
        hop = self._hops.at(vxlan.vrf, record.vtep, vxlan.id) if vxlan else None
        if not vxlan or not hop or hop.iface != vxlan.id or hop.mac == NO_MAC:
            return
        if self._hops.users(hop.id):
            yield from self._requests.write(replace(hop, mac=NO_MAC))
        else:
            yield from self._requests.park(hop)

    def put_neighbor(self, record: Neighbor) -> Iterator[Request]:
        bridge = self._ifaces.bridge(record.vni)
        if not bridge:
            raise RowRefused(errno.ENODEV, f"grout has no L2VNI {record.vni}")
        key = hop_key(bridge.vrf, record.address, bridge.id)
        held = self._hops.taken_over.get(key)
        if held and held.mac == record.mac:
            return  # a local host has the address now; FRR will withdraw this one
        self._hops.taken_over.pop(key, None)
        yield from self._put(bridge, record.address, record.mac, HOST)

    def drop_neighbor(self, record: Neighbor) -> Iterator[Request]:
        bridge = self._ifaces.bridge(record.vni)
        hop = self._hops.at(bridge.vrf, record.address, bridge.id) if bridge else None
        if bridge:
            self._hops.taken_over.pop(hop_key(bridge.vrf, record.address, bridge.id), None)
        if not bridge or not hop or hop.iface != bridge.id or hop.flags & KINDS != HOST:
            return
        if self._hops.users(hop.id):
            yield from self._requests.restart(hop)
        else:
            yield from self._requests.park(hop)

    def release_neighbor(self, record: Neighbor) -> Iterator[Request]:
        """Remove a neighbor for the local host with its address; it counts as programmed."""
        bridge = self._ifaces.bridge(record.vni)
        hop = self._hops.at(bridge.vrf, record.address, bridge.id) if bridge else None
        yield from self.drop_neighbor(record)
        if hop:
            self._hops.taken_over[hop.key] = hop

    def _put(self, iface: Iface, address: bytes, mac: bytes, flags: int) -> Iterator[Request]:
        old = self._hops.at(iface.vrf, address, iface.id)
        if old and old.iface != iface.id:
            if self._requests.is_needed(old):
                raise self._requests.conflict(old)
            yield from self._requests.park(old)
            old = None
        hop_id = old.id if old else self._hops.take_id()
        hop = Hop(hop_id, iface.vrf, iface.id, address, mac, flags)
        if hop != old:
            yield from self._requests.write(hop)
