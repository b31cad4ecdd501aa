"""Records into requests, against what grout holds. Pure, but that the picture moves along.

What is already so yields no request. The picture is changed as if all went well: after a refusal
the caller has it read again.
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
from datapaths.grout.program.hopplan import HopPlanner, Refused
from datapaths.grout.wire import bridges
from datapaths.grout.wire.ifaces import Iface, VxlanInfo
from datapaths.grout.wire.table import Api
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record, RecordBatch


@dataclass(slots=True)
class Plan:
    """What to send, in order; `rows[i]` is the row that `requests[i]` is for."""

    requests: list[Request] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)


class Planner:
    """Plans batches of the kinds that are no devices."""

    def __init__(self, api: Api, ifaces: IfaceTable, hops: HopTable, tables: BridgeTable) -> None:
        self._api = api
        self._ifaces = ifaces
        self._tables = tables
        self._hops = HopPlanner(api, ifaces, hops)

    def plan(self, batch: RecordBatch) -> Plan:
        plan = Plan()
        for index in batch.order():
            record = batch.row(index)
            work = self._upsert(record) if index < len(batch.upserts) else self._withdraw(record)
            requests: list[Request] = []
            try:
                requests += work
            except Refused as refused:
                name = errno.errorcode[refused.errno]
                plan.failures.append(RowFailure(index, name, str(refused)))
            plan.requests += requests
            plan.rows += [index] * len(requests)
        return plan

    def claim(self, neighbor: Neighbor) -> list[Request]:
        """Return what makes way for a local host with a remote host's address."""
        return list(self._hops.claim_neighbor(neighbor))

    def _upsert(self, record: Record) -> Iterator[Request]:
        match record:
            case Nexthop():
                yield from self._hops.put_nexthop(record)
            case RemoteVtep():
                yield from self._hops.put_vtep(record)
            case Neighbor():
                yield from self._hops.put_neighbor(record)
            case Flood():
                yield from self._put_flood(record)
            case Mac():
                yield from self._put_mac(record)
            case _:
                raise Refused(errno.EOPNOTSUPP, f"grout takes no {record.kind.name}")

    def _withdraw(self, record: Record) -> Iterator[Request]:
        match record:
            case Nexthop():
                yield from self._hops.drop_nexthop(record.id)
            case RemoteVtep():
                yield from self._hops.drop_vtep(record)
            case Neighbor():
                yield from self._hops.drop_neighbor(record)
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
            return  # and with the VNI went its flood list
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
            return  # gone, or a local host's by now
        if self._tables.is_remote_entry(bridge.id, mac.mac):
            yield "GR_FDB_DEL", bridges.encode_fdb_del(self._api, bridge.id, mac.mac)
        self._tables.dropped(bridge.id, mac.mac)

    def _l2vni(self, vni: int) -> tuple[Iface, Iface]:
        vxlan, bridge = self._ifaces.vxlan(vni), self._ifaces.bridge(vni)
        if not vxlan or not bridge:
            raise Refused(errno.ENODEV, f"there is no L2VNI {vni} in grout")
        return vxlan, bridge


def _encap(vxlan: Iface) -> int:
    assert isinstance(vxlan.info, VxlanInfo)
    return vxlan.info.encap_vrf
