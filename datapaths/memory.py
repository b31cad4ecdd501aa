"""A datapath in dictionaries: for tests, and as the shortest example.

`python -m datapaths.remote.serve --datapath memory` serves it, as a stand-in for a real one.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import AsyncIterator, Iterable, Sequence

import numpy as np

from datapaths.base import (
    Batch,
    Capabilities,
    CaughtUp,
    Facts,
    FibUse,
    Found,
    Learned,
    LearnedMac,
    LearnedNeighbor,
    Lost,
    PortChanged,
    PortState,
    RowFailure,
    Unavailable,
    Way,
)
from datapaths.inbox import Inbox
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.links import Port
from dualpath.model.nexthops import FIRST_RESERVED, Nexthop, NexthopType, is_reserved
from dualpath.model.records import Key, Record, RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Family, Op, RouteBatch

Prefix = tuple[bytes, int]


class MemoryDatapath:
    """Implements the contract. Nexthops may use ports and `devices`; None allows any device.

    Tests read its state, emit events with `tell`, and make it fail: by `refuse` (an errno's name by
    kind and key, or for a route by VRF and prefix) or by `unavailable`.
    """

    name = "memory"

    def __init__(self, devices: Iterable[str] | None = None) -> None:
        self.devices = None if devices is None else set(devices)
        self.records: dict[Kind, dict[Key, Record]] = {kind: {} for kind in Kind}
        self.routes: dict[tuple[str, Family], dict[Prefix, int]] = {}
        self.refuse: dict[tuple[object, object], int] = {}
        self.unavailable = False
        self.writes = 0  # number of rows that changed something
        self._inbox = Inbox()
        self._known: dict[Key, Learned] = {}  # the state that a new listener gets first

    async def capabilities(self) -> Capabilities:
        return Capabilities(self.name, "1", frozenset(Kind) - {Kind.LSP}, looks_up=True)

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        if self.unavailable:
            raise Unavailable("switched off by a test")
        if isinstance(batch, RouteBatch):
            return self._apply_routes(batch)
        failures: list[RowFailure] = []
        for index in range(len(batch)):
            record = batch.row(index)
            if index >= len(batch.upserts):
                self._withdraw(record)
            elif problem := self._problem(record):
                failures.append(RowFailure(index, *problem))
            else:
                self.writes += self.records[batch.kind].get(record.key) != record
                self.records[batch.kind][record.key] = record
        return failures

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        if kind is not Kind.ROUTE:
            yield RecordBatch(kind, upserts=tuple(self.records[kind].values()))
            return
        for (vrf, family), routes in self.routes.items():
            yield _batch(vrf, family, routes)

    async def ports(self) -> Sequence[PortState]:
        ports = [record for record in self.records[Kind.PORT].values() if isinstance(record, Port)]
        return [PortState(port.name, True, bytes(6), port.mtu or 1500) for port in ports]

    async def facts(self) -> Facts:
        if self.unavailable:
            raise Unavailable("switched off by a test")
        uses = [FibUse(vrf, family, len(rows)) for (vrf, family), rows in self.routes.items()]
        return Facts((("writes", str(self.writes)),), tuple(uses))

    async def learned(self) -> AsyncIterator[Learned]:
        reader = self._inbox.open()
        for event in self._known.values():
            self._inbox.put(event)
        self._inbox.put(CaughtUp())
        while events := await self._inbox.get(reader):
            for event in events:
                yield event

    async def close(self) -> None:
        self._inbox.close()

    def reopen(self) -> None:
        """Open again after `close`, as another process over the same state would."""
        self._inbox = Inbox()

    def tell(self, event: Learned) -> None:
        """Make `learned` yield an event. A new listener gets it too, unless it is a loss."""
        match event:
            case LearnedMac():
                self._know(("mac", event.vni, event.mac), event, event.gone)
            case LearnedNeighbor():
                self._know(("neighbor", event.vni, event.address), event, event.gone)
            case PortChanged():
                self._know(("port", event.name), event, False)
            case Lost() | CaughtUp():
                pass
        self._inbox.put(event)

    def _know(self, key: Key, event: Learned, gone: bool) -> None:
        self._known.pop(key, None)
        if not gone:
            self._known[key] = event

    def lose(self, record: Record) -> None:
        """Remove a record as another program would, and emit the loss."""
        self._withdraw(record)
        self.tell(Lost(record.kind, (record,)))

    def lookup(self, address: str, vrf: str = DEFAULT_VRF) -> int | None:
        """Return the nexthop of the longest match, None if there is none."""
        found = self._covering(vrf, ipaddress.ip_address(address).packed)
        return found[1] if found else None

    async def look_up(self, vrf: str, address: bytes) -> Found | None:
        if self.unavailable:
            raise Unavailable("switched off by a test")
        if not (found := self._covering(vrf, address)):
            return None
        (prefix, length), id_ = found
        nexthop = self._nexthop(id_)
        legs = [(m.weight, self._nexthop(m.id)) for m in nexthop.members] or [(1, nexthop)]
        ways = tuple(Way(leg, weight, leg.vni, leg.vtep) for weight, leg in legs)
        return Found(prefix, length, 0, nexthop, ways)

    def _covering(self, vrf: str, address: bytes) -> tuple[Prefix, int] | None:
        family = Family.INET if len(address) == 4 else Family.INET6
        routes = self.routes.get((vrf, family), {})
        for length in range(family.width * 8, -1, -1):
            network = ipaddress.ip_network((address, length), strict=False)
            prefix = network.network_address.packed, length
            if (id_ := routes.get(prefix)) is not None:
                return prefix, id_
        return None

    def _nexthop(self, id_: int) -> Nexthop:
        if is_reserved(id_):
            return Nexthop(id_, NexthopType(id_ - FIRST_RESERVED))
        found = self.records[Kind.NEXTHOP][id_]
        assert isinstance(found, Nexthop)
        return found

    def _apply_routes(self, batch: RouteBatch) -> list[RowFailure]:
        known = batch.vrf == DEFAULT_VRF or batch.vrf in self.records[Kind.VRF]
        routes = self.routes.setdefault((batch.vrf, batch.family), {})
        failures: list[RowFailure] = []
        for i, id_ in enumerate(batch.nexthops.tolist()):
            prefix = batch.prefixes[i].tobytes(), int(batch.lengths[i])
            if batch.ops[i] == Op.WITHDRAW:
                self.writes += routes.pop(prefix, None) is not None
            elif not known:
                failures.append(RowFailure(i, errno.ENODEV, f"no VRF {batch.vrf}"))
            elif error := self.refuse.get((batch.vrf, prefix)):
                failures.append(RowFailure(i, error, "refused by a test"))
            elif not is_reserved(id_) and id_ not in self.records[Kind.NEXTHOP]:
                failures.append(RowFailure(i, errno.EINVAL, "Nexthop id does not exist"))
            else:
                self.writes += routes.get(prefix) != id_
                routes[prefix] = id_
        return failures

    def _withdraw(self, record: Record) -> None:
        self.writes += self.records[record.kind].pop(record.key, None) is not None
        if isinstance(record, Nexthop):  # as in the kernel, routes are removed with their nexthop
            for routes in self.routes.values():
                for prefix in [key for key, id_ in routes.items() if id_ == record.id]:
                    del routes[prefix]

    def _problem(self, record: Record) -> tuple[int, str] | None:
        if error := self.refuse.get((record.kind, record.key)):
            return error, "refused by a test"
        vni = getattr(record, "vni", 0)
        if record.kind is not Kind.VNI and vni and vni not in self.records[Kind.VNI]:
            return errno.ENODEV, f"there is no VNI {vni}"
        segments = self.records[Kind.ETHERNET_SEGMENT]
        if isinstance(record, Mac) and record.segment and record.segment not in segments:
            return errno.EINVAL, f"there is no Ethernet segment {record.segment}"
        if not isinstance(record, Nexthop):
            return None
        if not all(member.id in self.records[Kind.NEXTHOP] for member in record.members):
            return errno.EINVAL, "Nexthop id does not exist"
        if record.type in (NexthopType.UNREACHABLE, NexthopType.PROHIBIT):
            return errno.EINVAL, "no such nexthop object"
        if record.device and not self._has_device(record.device):
            return errno.ENODEV, f"there is no device {record.device}"
        return None

    def _has_device(self, name: str) -> bool:
        return self.devices is None or name in self.devices or name in self.records[Kind.PORT]


def _batch(vrf: str, family: Family, routes: dict[Prefix, int]) -> RouteBatch:
    n = len(routes)
    prefixes = b"".join(prefix for prefix, _ in routes)
    return RouteBatch(
        vrf,
        family,
        np.full(n, Op.UPSERT, np.uint8),
        np.frombuffer(prefixes, np.uint8).reshape(n, family.width),
        np.array([length for _, length in routes], np.uint8),
        np.zeros(n, np.uint8),
        np.array(list(routes.values()), np.uint32),
    )
