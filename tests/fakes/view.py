"""A daemon's state in memory: small tables, a journal, and a repair that always works."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from datapaths.base import Capabilities, Facts, FibUse, NodeStats, PortState, Unavailable
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Address, HostEnd, Port, Vni, Vrf
from dualpath.model.nexthops import (
    BLACKHOLE,
    FIRST_RESERVED,
    V4_MAPPED,
    Member,
    Nexthop,
    NexthopType,
    is_reserved,
)
from dualpath.model.plan import Plan
from dualpath.model.records import Record
from dualpath.model.routes import Family
from dualpath.model.view import (
    Audited,
    Change,
    Difference,
    Histogram,
    KindCount,
    RecordRow,
    RouteRows,
    RowState,
    Status,
    Timing,
)

NOW = 1_700_000_000.25

STATUS = Status(
    version="0.1.0",
    datapath="kernel",
    netns="dualpath",
    frr_netns="frr",
    started_at=NOW,
    bridge="connected",
    session=2,
    session_state="live",
    reason="",
    stale_after=0.0,
    counts=(),
    repaired=0,
    ready=True,
)

TIMING = Timing(0.0, Histogram((0.01, 1.0), (3, 4, 5), 12.5))

FACTS = Facts(
    (("api version", "13"), ("memory", "test mode")),
    (FibUse("red", Family.INET, 3, 65536, 256), FibUse("red", Family.INET6, 1)),
    (NodeStats("ip_input", 1000, 10, 5000),),
)


@dataclass(frozen=True, slots=True)
class FakeRoute:
    """A route as a test writes it. `desired` and `programmed` are nexthop ids."""

    prefix: str
    desired: int = 0
    programmed: int = 0
    state: RowState = RowState.PROGRAMMED
    vrf: str = "default"
    protocol: int = 186
    error: int = 0
    session: int = 2


@dataclass
class MemoryView:
    """Implements `controller.inspect.view.Inspected`; tests write its fields."""

    state: Status = STATUS
    rows: list[RecordRow] = field(default_factory=list)
    journal: list[Change] = field(default_factory=list)
    forgotten: int = 0  # the journal does not hold changes up to this one
    differed: int = 0
    differences: list[Difference] = field(default_factory=list)  # an audit finds
    unchecked: str = ""  # what an audit could not compare, and why
    page_limit: int = 1_000_000  # returns smaller pages than asked for
    ports: list[PortState] = field(default_factory=list)
    unavailable: str = ""  # why the datapath does not answer
    planned: Plan | None = None
    timed: Timing = TIMING
    _made: int = 0
    counted: int = 0  # how often all rows were
    _tables: dict[tuple[str, Family], list[FakeRoute | None]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def vteps(self, mac: Mac) -> tuple[bytes, ...]:
        segments = [row.record for row in self.rows if isinstance(row.record, EthernetSegment)]
        return next((it.vteps for it in segments if it.id == mac.segment), ())

    def add(self, *records: Record, state: RowState = RowState.PROGRAMMED, error: str = "") -> None:
        for record in records:
            self._made += 1
            row = RecordRow(record, state, error, session=2, changed_at=NOW, number=self._made)
            self.rows.append(row)

    def remove(self, record: Record) -> None:
        self.rows[:] = [row for row in self.rows if row.record != record]

    def add_routes(self, *routes: FakeRoute) -> None:
        for route in routes:
            version = ipaddress.ip_network(route.prefix).version
            family = Family.INET if version == 4 else Family.INET6
            self._tables.setdefault((route.vrf, family), []).append(route)

    def remove_route(self, vrf: str, prefix: str) -> None:
        """Leave a hole: the other rows keep their slots."""
        for (name, _), slots in self._tables.items():
            if name == vrf:
                slots[:] = [None if r and r.prefix == prefix else r for r in slots]

    def happen(self, change: Change) -> None:
        """Append to the journal, with the next sequence number."""
        self.journal.append(replace(change, sequence=self.sequence() + 1))
        self._changed.set()
        self._changed = asyncio.Event()

    def sequence(self) -> int:
        return self.journal[-1].sequence if self.journal else self.forgotten

    def not_ready(self) -> str:
        return self.state.not_ready

    def timing(self) -> Timing:
        return self.timed

    def ready(self) -> bool:
        return self.state.ready

    def datapath_name(self) -> str:
        return self.state.datapath

    def status(self) -> Status:
        self.counted += 1
        counts = tuple(self._count(kind) for kind in Kind)
        return replace(
            self.state, counts=tuple(c for c in counts if c.desired or c.programmed or c.unmanaged)
        )

    def _count(self, kind: Kind) -> KindCount:
        states = [row.state for row in self.records(kind)]
        if kind is Kind.ROUTE:
            states = [r.state for slots in self._tables.values() for r in slots if r]
        unmanaged = states.count(RowState.UNMANAGED)
        wanted = len(states) - states.count(RowState.LEAVING) - unmanaged
        inside = sum(
            state in (RowState.PROGRAMMED, RowState.STALE, RowState.LEAVING) for state in states
        )
        failed, stale = states.count(RowState.FAILED), states.count(RowState.STALE)
        return KindCount(kind, wanted, inside, failed, stale, unmanaged)

    def route_tables(self) -> Sequence[tuple[str, Family]]:
        return sorted(self._tables)

    def routes(self, vrf: str, family: Family, start: int, limit: int) -> tuple[RouteRows, int]:
        slots = self._tables.get((vrf, family), [])
        used = [slot for slot in range(start, len(slots)) if slots[slot] is not None]
        limit = min(limit, self.page_limit)
        following = used[limit] if len(used) > limit else -1
        return _columns(vrf, family, [r for s in used[:limit] if (r := slots[s])]), following

    def records(self, kind: Kind) -> Iterator[RecordRow]:
        return iter([row for row in self.rows if row.record.kind is kind])

    def nexthop(self, id_: int) -> Nexthop | None:
        if is_reserved(id_):
            return Nexthop(id_, NexthopType(id_ - FIRST_RESERVED))
        for row in self.records(Kind.NEXTHOP):
            if isinstance(row.record, Nexthop) and row.record.id == id_:
                return row.record
        return None

    async def changes(self, after: int) -> AsyncIterator[Change]:
        if not self.forgotten <= after <= self.sequence():
            raise LookupError(after)
        while True:
            changed = self._changed
            for change in [c for c in self.journal if c.sequence > after]:
                after = change.sequence
                yield change
            await changed.wait()

    async def audit(self, limit: int) -> Audited:
        return Audited(len(self.differences), tuple(self.differences[:limit]), self.unchecked)

    async def resync(self) -> int:
        if self.unavailable:
            raise Unavailable(self.unavailable)
        return self.differed

    def plan(self) -> Plan | None:
        return self.planned

    def release(self) -> str:
        return "nothing is held"

    @property
    def datapath(self) -> ViewedDatapath:
        """Stand in for the datapath."""
        return ViewedDatapath(self)


class ViewedDatapath:
    """The datapath beside a view: its ports, and a graph of one node."""

    def __init__(self, view: MemoryView) -> None:
        self._view = view

    async def capabilities(self) -> Capabilities:
        self._check()
        return Capabilities("kernel", "6.12", frozenset(Kind))

    async def ports(self) -> Sequence[PortState]:
        self._check()
        return self._view.ports

    async def facts(self) -> Facts:
        self._check()
        return FACTS

    def _check(self) -> None:
        if self._view.unavailable:
            raise Unavailable(self._view.unavailable)


def _columns(vrf: str, family: Family, routes: Sequence[FakeRoute]) -> RouteRows:
    networks = [ipaddress.ip_network(route.prefix) for route in routes]
    packed = b"".join(network.network_address.packed for network in networks)
    return RouteRows(
        vrf=vrf,
        family=family,
        prefixes=np.frombuffer(packed, np.uint8).reshape(-1, family.width),
        lengths=np.array([network.prefixlen for network in networks], np.uint8),
        protocols=np.array([route.protocol for route in routes], np.uint8),
        desired=np.array([route.desired for route in routes], np.uint32),
        programmed=np.array([route.programmed for route in routes], np.uint32),
        states=np.array([route.state for route in routes], np.uint8),
        errors=np.array([route.error for route in routes], np.uint8),
        sessions=np.array([route.session for route in routes], np.uint32),
        changed_at=np.full(len(routes), NOW),
    )


def fabric() -> MemoryView:
    """Return a small PE: two uplinks, an L3VNI in VRF red, an L2VNI in it, a route of each sort."""
    view = MemoryView()
    _add_devices(view)
    _add_overlay(view)
    view.add_routes(
        FakeRoute("192.0.2.0/31", 1, state=RowState.UNMANAGED, protocol=2),
        FakeRoute("192.0.2.12/32", 4, 4),
        FakeRoute("198.51.100.0/24", 3, 3),
        FakeRoute("10.1.0.0/24", 7, state=RowState.UNMANAGED, protocol=2, vrf="red"),
        FakeRoute("10.2.0.0/16", 5, 5, vrf="red"),
        FakeRoute("10.2.3.0/24", 5, 0, RowState.FAILED, vrf="red", error=errno.ENOSPC),
        FakeRoute("0.0.0.0/0", BLACKHOLE, BLACKHOLE, vrf="red"),
        FakeRoute("2001:db8:2::/64", 6, 6, vrf="red"),
    )
    return view


def _add_devices(view: MemoryView) -> None:
    local = bytes([192, 0, 2, 11])
    gateway = Address.parse("10.1.0.1/24")
    view.add(
        Vrf("red", 1001),
        Vni(100, 3, "red", local, mac=bytes.fromhex("020000000064")),
        Vni(210, 2, "red", local, mac=bytes.fromhex("0200000000d2"), gateways=(gateway,)),
        Port("eth1", addresses=(Address.parse("192.0.2.0/31"),), mtu=9000, twin=True),
        Port("eth2", twin=True),
        Port("h1", vrf="red", host=HostEnd(name="red0")),
        Port("lo", loopback=True, addresses=(Address.parse("192.0.2.11/32"),)),
    )
    mac = bytes.fromhex("020000000001")
    view.ports += [
        PortState("eth1", True, mac, 9000, ("192.0.2.0/31",), 10, 1000, 20, 2000),
        PortState("eth2", True, mac, 1500),
        PortState("h1", True, mac, 1450),
        PortState("lo", True, b"", 65536),
    ]


def _add_overlay(view: MemoryView) -> None:
    vtep = bytes([192, 0, 2, 12])
    host = bytes.fromhex("aabbcc000001")
    view.add(
        Nexthop(1, NexthopType.DEVICE, device="eth1"),
        Nexthop(2, NexthopType.GATEWAY, bytes([192, 0, 2, 1]), "eth1"),
        Nexthop(3, NexthopType.GATEWAY, bytes([192, 0, 2, 3]), "eth2"),
        Nexthop(4, NexthopType.GROUP, members=(Member(2, 1), Member(3, 2))),
        Nexthop(5, NexthopType.GATEWAY, vtep, vni=100, onlink=True),
        Nexthop(6, NexthopType.GATEWAY, V4_MAPPED + vtep, vni=100, onlink=True),
        Nexthop(7, NexthopType.DEVICE, device="br210"),
        RemoteVtep(100, vtep, bytes.fromhex("0200000000c8")),
        Flood(210, vtep),
        Mac(210, host, vtep),
        Neighbor(210, bytes([10, 1, 0, 7]), host),
    )
    view.add(Lsp(16, ("via 192.0.2.1 dev eth1 label 100",)), state=RowState.UNMANAGED)
