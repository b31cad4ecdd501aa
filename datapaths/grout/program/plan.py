"""Plan requests for records, from their differences to the picture. Pure.

A record that grout already has yields no request. Planning updates the picture as if grout accepted
every request: after a refusal the caller reads the picture again.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field

from datapaths.base import RowFailure
from datapaths.grout.channel import Request
from datapaths.grout.picture.bridges import REMOTE, STICKY, BridgeTable
from datapaths.grout.picture.hops import HopTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.program.hoprequests import HopRequests, RowRefused
from datapaths.grout.program.nexthopplan import NexthopPlanner
from datapaths.grout.program.remoteplan import RemotePlanner
from datapaths.grout.wire import bridges
from datapaths.grout.wire.ifaces import Iface, VxlanInfo
from datapaths.grout.wire.table import Api
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record, RecordBatch


@dataclass(slots=True)
class Plan:
    """Requests in their order; `requests[i]` is part of row `rows[i]`."""

    requests: list[Request] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)


class Planner:
    """Plans batches of records other than devices."""

    def __init__(self, api: Api, ifaces: IfaceTable, hops: HopTable, tables: BridgeTable) -> None:
        self._api = api
        self._ifaces = ifaces
        self._tables = tables
        requests = HopRequests(api, ifaces, hops)
        self._nexthops = NexthopPlanner(ifaces, requests)
        self._remote = RemotePlanner(ifaces, requests)

    def plan(self, batch: RecordBatch) -> Plan:
        plan = Plan()
        for index in batch.order():
            record = batch.row(index)
            work = self._upsert(record) if index < len(batch.upserts) else self._withdraw(record)
            requests: list[Request] = []
            try:
                requests += work
            except RowRefused as refused:
                plan.failures.append(RowFailure(index, refused.errno, str(refused)))
            plan.requests += requests
            plan.rows += [index] * len(requests)
        return plan

    def release(self, neighbor: Neighbor) -> list[Request]:
        """Return requests that remove a remote neighbor in favor of a local host."""
        return list(self._remote.release_neighbor(neighbor))

    def _upsert(self, record: Record) -> Iterator[Request]:
        match record:
            case Nexthop():
                yield from self._nexthops.put(record)
            case RemoteVtep():
                yield from self._remote.put_vtep(record)
            case Neighbor():
                yield from self._remote.put_neighbor(record)
            case Flood():
                yield from self._put_flood(record)
            case Mac():
                yield from self._put_mac(record)
            case _:
                raise RowRefused(errno.EOPNOTSUPP, f"grout takes no {record.kind.name}")

    def _withdraw(self, record: Record) -> Iterator[Request]:
        match record:
            case Nexthop():
                yield from self._nexthops.drop(record.id)
            case RemoteVtep():
                yield from self._remote.drop_vtep(record)
            case Neighbor():
                yield from self._remote.drop_neighbor(record)
            case Flood():
                yield from self._drop_flood(record)
            case Mac():
                yield from self._drop_mac(record)
            case _:
                pass

    def _put_flood(self, flood: Flood) -> Iterator[Request]:
        vxlan, _ = self._l2vni(flood.vni)
        if flood in self._tables.floods:
            return
        entry = bridges.FloodEntry(flood.vni, flood.vtep, _encap(vxlan))
        yield "GR_FLOOD_ADD", bridges.encode_flood_add(self._api, entry)
        self._tables.floods.add(flood)

    def _drop_flood(self, flood: Flood) -> Iterator[Request]:
        vxlan = self._ifaces.vxlan(flood.vni)
        if not vxlan or flood not in self._tables.floods:
            return  # grout removed the flood list with the VNI
        entry = bridges.FloodEntry(flood.vni, flood.vtep, _encap(vxlan))
        yield "GR_FLOOD_DEL", bridges.encode_flood_del(self._api, entry)
        self._tables.floods.discard(flood)

    def _put_mac(self, mac: Mac) -> Iterator[Request]:
        vxlan, bridge = self._l2vni(mac.vni)
        flags = STICKY if mac.sticky else REMOTE
        entry = bridges.FdbEntry(
            bridge=bridge.id, mac=mac.mac, iface=vxlan.id, vtep=mac.vtep, flags=flags
        )
        if self._tables.get(bridge.id, mac.mac) == entry:
            return
        yield "GR_FDB_ADD", bridges.encode_fdb_add(self._api, entry)
        self._tables.wrote(entry)

    def _drop_mac(self, mac: Mac) -> Iterator[Request]:
        bridge = self._ifaces.bridge(mac.vni)
        if not bridge or not self._tables.is_remote(bridge.id, mac.mac):
            return  # already gone, or a local host's entry
        if self._tables.is_remote_entry(bridge.id, mac.mac):
            yield "GR_FDB_DEL", bridges.encode_fdb_del(self._api, bridge.id, mac.mac)
        self._tables.dropped(bridge.id, mac.mac)

    def _l2vni(self, vni: int) -> tuple[Iface, Iface]:
        vxlan, bridge = self._ifaces.vxlan(vni), self._ifaces.bridge(vni)
        if not vxlan or not bridge:
            raise RowRefused(errno.ENODEV, f"grout has no L2VNI {vni}")
        return vxlan, bridge


def _encap(vxlan: Iface) -> int:
    assert isinstance(vxlan.info, VxlanInfo)
    return vxlan.info.encap_vrf
