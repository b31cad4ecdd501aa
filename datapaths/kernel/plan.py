"""Plan the netlink requests for a batch of records, from its differences to the picture. Pure.

A row that the kernel already has needs no request. A row succeeds if all its requests do. Deleting
a row that does not exist is a success.
"""

from __future__ import annotations

import errno
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from datapaths.base import RowFailure
from datapaths.kernel.layer2 import Layer2
from datapaths.kernel.linktable import LinkTable
from datapaths.kernel.nexthoptable import NexthopTable, normal
from datapaths.kernel.segmenttable import SegmentTable, group_of
from datapaths.kernel.wire import neighbors, nexthops
from datapaths.kernel.wire.links import Link
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED, Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch
from dualpath.netlink import numbers as n

Touched = Hashable
"""("fdb", VNI, MAC), ("flood", VNI, VTEP), ("host", VNI, address), ("nexthop", id),
("segment", id)."""


class Refused(Exception):
    """The row cannot be expressed as requests."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.errno = number


@dataclass(slots=True)
class Plan:
    """Requests in order; `requests[i]` is for row `rows[i]` of the batch."""

    requests: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)
    touched: set[Touched] = field(default_factory=set)
    """The keys that these requests change: their notifications are not a loss."""


class Planner:
    """Plans batches of all kinds except devices and routes."""

    def __init__(
        self, links: LinkTable, layer2: Layer2, known: NexthopTable, segments: SegmentTable
    ) -> None:
        self._links = links
        self._layer2 = layer2
        self._known = known
        self._segments = segments

    def plan(self, batch: RecordBatch) -> Plan:
        plan = Plan()
        leaving: set[Hashable] = {record.key for record in batch.withdrawals}
        for index in batch.order():
            record, upsert = batch.row(index), index < len(batch.upserts)
            requests: list[bytes] = []
            try:
                if upsert:
                    requests += self._upsert(record, leaving, plan.touched)
                else:
                    requests += self._withdraw(record, leaving, plan.touched)
            except Refused as refused:
                plan.failures.append(RowFailure(index, refused.errno, str(refused)))
            plan.requests += requests
            plan.rows += [index] * len(requests)
        if batch.kind is Kind.ETHERNET_SEGMENT:
            unused = self._unused_vteps(batch, plan)
            plan.requests += [nexthops.drop(id_) for id_ in unused]
            plan.rows += [len(batch) - 1] * len(unused)
        return plan

    def _unused_vteps(self, batch: RecordBatch, plan: Plan) -> list[int]:
        """Return the ids of VTEPs in no group once the batch is applied."""
        failed = {failure.index for failure in plan.failures}
        after: dict[int, tuple[bytes, ...]] = {}
        for index in batch.order():
            record = batch.row(index)
            if isinstance(record, EthernetSegment) and index not in failed:
                upsert = index < len(batch.upserts)
                after[group_of(record.id)] = record.vteps if upsert else ()
        return self._segments.unused(after)

    def _upsert(
        self, record: Record, leaving: set[Hashable], touched: set[Touched]
    ) -> Iterator[bytes]:
        match record:
            case Nexthop():
                touched.add(("nexthop", record.id))
                yield from self._put_nexthop(normal(record))
            case RemoteVtep():
                yield from self._put_vtep(self._device(record.vni), record, leaving, touched)
            case Flood():
                vxlan = self._device(record.vni)
                if record.vtep not in self._layer2.floods.get(vxlan.index, ()):
                    touched.add(("flood", record.vni, record.vtep))
                    yield neighbors.put_flood(vxlan.index, record.vtep)
            case EthernetSegment():
                touched.add(("segment", record.id))
                yield from self._put_segment(record)
            case Mac():
                touched.add(("fdb", record.vni, record.mac))
                vxlan = self._device(record.vni)
                group = group_of(record.segment) if record.segment else 0
                vtep = b"" if group else record.vtep
                yield from self._put_mac(vxlan, record.mac, vtep, record.sticky, group)
            case Neighbor():
                touched.add(("host", record.vni, record.address))
                bridge = self._device(record.vni).master
                yield from self._put_host(bridge, record.address, record.mac, record.router)
            case _:
                raise Refused(errno.EOPNOTSUPP, f"no netlink request for {record.kind.name}")

    def _withdraw(
        self, record: Record, leaving: set[Hashable], touched: set[Touched]
    ) -> Iterator[bytes]:
        if isinstance(record, Nexthop):
            touched.add(("nexthop", record.id))
            if record.id not in self._known.foreign:
                yield nexthops.drop(record.id)
            return
        if isinstance(record, EthernetSegment):
            touched.add(("segment", record.id))
            if group_of(record.id) not in self._known.foreign:
                yield nexthops.drop(group_of(record.id))
            return
        vni = record.vni if isinstance(record, RemoteVtep | Flood | Mac | Neighbor) else 0
        vxlan = self._links.vxlan(vni)
        if not vxlan or not vxlan.master:
            return  # the kernel deleted all rows together with the devices
        match record:
            case RemoteVtep():
                yield from self._drop_vtep(vxlan, record, leaving, touched)
            case Flood():
                touched.add(("flood", vni, record.vtep))
                yield neighbors.drop_flood(vxlan.index, record.vtep)
            case Mac():
                if not self._layer2.is_router(vxlan, record.mac):
                    yield from self._drop_mac(vxlan, record.mac, touched)
            case Neighbor():
                address = record.address.removeprefix(V4_MAPPED)
                if not self._layer2.router_mac(vxlan, address):
                    touched.add(("host", vni, record.address))
                    yield from self._drop_host(vxlan.master, record.address)
            case _:
                pass

    def _put_segment(self, segment: EthernetSegment) -> Iterator[bytes]:
        group = group_of(segment.id)
        if group in self._known.foreign:
            raise Refused(errno.EEXIST, f"nexthop {group} was made by another program")
        if self._segments.get(group) == segment:
            return
        for vtep in segment.vteps:
            if not self._segments.holds(vtep):
                yield nexthops.put_vtep(self._segments.id_of(vtep), vtep)
        yield nexthops.put_vteps(group, [self._segments.id_of(vtep) for vtep in segment.vteps])

    def _put_nexthop(self, nexthop: Nexthop) -> Iterator[bytes]:
        if nexthop.id in self._known.foreign:
            raise Refused(errno.EEXIST, f"nexthop {nexthop.id} was made by another program")
        if self._known.get(nexthop.id) == nexthop:
            return
        try:
            yield nexthops.put(nexthop, self._oif(nexthop))
        except ValueError as error:
            raise Refused(errno.EINVAL, str(error)) from error

    def _oif(self, nexthop: Nexthop) -> int:
        if nexthop.type not in (NexthopType.GATEWAY, NexthopType.DEVICE):
            return 0
        if nexthop.vni:
            return self._device(nexthop.vni).master
        link = self._links.named(nexthop.device)
        if not link:
            reason = f"no device {nexthop.device or '(unnamed)'} in the forwarding namespace"
            raise Refused(errno.ENODEV, reason)
        return link.index

    def _device(self, vni: int) -> Link:
        vxlan = self._links.vxlan(vni)
        if not vxlan:
            reason = f"no VXLAN device with VNI {vni} in the forwarding namespace"
            raise Refused(errno.ENODEV, reason)
        if not vxlan.master:
            raise Refused(errno.ENODEV, f"{vxlan.name} (VNI {vni}) is in no bridge")
        return vxlan

    def _put_mac(
        self, vxlan: Link, mac: bytes, vtep: bytes, sticky: bool, group: int = 0
    ) -> Iterator[bytes]:
        tunnel = self._layer2.tunnel(vxlan.index, mac)
        other = tunnel and bool(tunnel.group) != bool(group)
        if tunnel and (other or not tunnel.flags & n.NTF_EXT_LEARNED):
            # The kernel refuses to replace an entry by one that differs in NTF_EXT_LEARNED, or in
            # having a group (vxlan_fdb_update_existing).
            yield neighbors.drop_self(vxlan.index, mac)
            tunnel = None
        if not tunnel or (tunnel.vtep, tunnel.group) != (vtep, group):
            yield neighbors.put_self(vxlan.index, mac, vtep, group)
        row = self._layer2.station(vxlan.master, mac)
        if self._layer2.behind(vxlan, mac) and row:
            if bool(row.flags & n.NTF_STICKY) == sticky:
                return
            # An update does not clear flags, so NTF_STICKY needs a new entry.
            yield neighbors.drop_master(vxlan.index, mac)
        yield neighbors.put_master(vxlan.index, mac, sticky)

    def _drop_mac(self, vxlan: Link, mac: bytes, touched: set[Touched]) -> Iterator[bytes]:
        touched.add(("fdb", vxlan.vni, mac))
        yield neighbors.drop_master(vxlan.index, mac)
        yield neighbors.drop_self(vxlan.index, mac)

    def _put_host(
        self, bridge: int, address: bytes, mac: bytes, router: bool = False
    ) -> Iterator[bytes]:
        row = self._layer2.programmed(bridge, address)
        equal = row and row.mac == mac and row.state == n.NUD_NOARP
        if not equal or bool(row and row.flags & n.NTF_ROUTER) != router:
            yield neighbors.put_neighbor(bridge, address, mac, router)

    def _drop_host(self, bridge: int, address: bytes) -> Iterator[bytes]:
        """Remove our row, unless a local host has claimed the address."""
        row = self._layer2.host(bridge, address)
        if not self._layer2.yield_claim(bridge, address) and row and row.ours:
            yield neighbors.drop_neighbor(bridge, address)

    def _put_vtep(
        self, vxlan: Link, record: RemoteVtep, leaving: set[Hashable], touched: set[Touched]
    ) -> Iterator[bytes]:
        old = self._layer2.host(vxlan.master, record.vtep)
        touched.add(("fdb", record.vni, record.mac))
        known = self._layer2.tunnel(vxlan.index, record.mac)
        shared = known and known.vtep in self._sharers(vxlan, record, record.mac, leaving)
        yield from self._put_mac(
            vxlan, record.mac, known.vtep if known and shared else record.vtep, sticky=False
        )
        for address in self._spellings(record.vtep):
            touched.add(("host", record.vni, address))
            yield from self._put_host(vxlan.master, address, record.mac)
        if old and old.ours and old.mac != record.mac:
            yield from self._release(vxlan, record, old.mac, leaving, touched)

    def _drop_vtep(
        self, vxlan: Link, record: RemoteVtep, leaving: set[Hashable], touched: set[Touched]
    ) -> Iterator[bytes]:
        row = self._layer2.host(vxlan.master, record.vtep)
        for address in self._spellings(record.vtep):
            touched.add(("host", record.vni, address))
            yield neighbors.drop_neighbor(vxlan.master, address)
        yield from self._release(vxlan, record, row.mac if row else record.mac, leaving, touched)

    def _release(
        self,
        vxlan: Link,
        record: RemoteVtep,
        mac: bytes,
        leaving: set[Hashable],
        touched: set[Touched],
    ) -> Iterator[bytes]:
        """Remove a router MAC from a VTEP; point it to another VTEP that shares it, if any."""
        touched.add(("fdb", record.vni, mac))
        if others := self._sharers(vxlan, record, mac, leaving):
            yield from self._put_mac(vxlan, mac, others[0], sticky=False)
        else:
            yield from self._drop_mac(vxlan, mac, touched)

    def _sharers(
        self, vxlan: Link, record: RemoteVtep, mac: bytes, leaving: set[Hashable]
    ) -> list[bytes]:
        """Return the other VTEPs with this router MAC that are not withdrawn now."""
        return sorted(
            address
            for address in self._layer2.addresses(vxlan.master, mac)
            if self._layer2.router_mac(vxlan, address) == mac
            and address != record.vtep
            and (record.vni, address) not in leaving
            and not address.startswith(V4_MAPPED)
        )

    def _spellings(self, vtep: bytes) -> Sequence[bytes]:
        """Return the forms of a VTEP as a gateway: an IPv6 route has ::ffff:a.b.c.d."""
        mapped = len(vtep) == 4 and self._layer2.mapped
        return (vtep, V4_MAPPED + vtep) if mapped else (vtep,)
