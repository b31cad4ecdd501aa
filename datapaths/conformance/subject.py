"""The datapath under test, and the objects that checks need in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import numpy as np

from datapaths.base import Capabilities, Datapath, Feature
from datapaths.conformance.batches import rows_of, upsert, withdraw
from datapaths.conformance.verdict import Violation, expect
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port, Vni, Vrf
from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Op, RouteBatch

DEVICE = "dpconf0"
DEVICE_ADDRESSES = (Address.parse("10.0.0.1/24"), Address.parse("fd00::1/64"))
LOCAL = bytes([10, 0, 0, 1])  # our VTEP: an address of the device
L3VNI, L2VNI = 100, 110
TABLE = 4100  # of the VRF, if the checks use one of their own

CLEANED = (
    Kind.NEXTHOP,
    Kind.NEIGHBOR,
    Kind.MAC,
    Kind.ETHERNET_SEGMENT,
    Kind.FLOOD,
    Kind.REMOTE_VTEP,
)


class Environment(Protocol):
    """Acts beside the datapath: as another program, or as a host. Optional: some checks need it."""

    def add_foreign(self, prefix: str) -> None:
        """Install a route of another program."""

    def has_foreign(self, prefix: str) -> bool: ...

    def count_route_writes(self) -> Callable[[], int]:
        """Start counting route writes; return a function that returns the count."""

    async def learn_mac(self, vni: int, mac: bytes) -> None:
        """Send a frame from a host behind a local port of a VNI."""


class Subject:
    """The datapath under test. `reopen` connects to it again; installed rows stay."""

    datapath: Datapath
    capabilities: Capabilities

    def __init__(
        self,
        open_: Callable[[], Awaitable[Datapath]],
        *,
        device: str = DEVICE,
        vrf: str = DEFAULT_VRF,
        environment: Environment | None = None,
    ) -> None:
        self._open = open_
        self.device = device  # an interface with DEVICE_ADDRESSES
        self.vrf = vrf
        self.environment = environment

    async def open(self) -> None:
        self.datapath = await self._open()
        self.capabilities = await self.datapath.capabilities()

    async def reopen(self) -> None:
        """Close the datapath and open it again, from another process or by another connection."""
        await self.datapath.close()
        await self.open()

    def lacks(self, *features: Feature) -> bool:
        return bool(self.capabilities.lacks & set(features))

    # -- looking ----------------------------------------------------------------------------

    async def records(self, kind: Kind) -> set[Record]:
        """Return a dump of a kind. Raises Violation when a record is in it twice."""
        found: list[Record] = []
        async for some in self.datapath.dump(kind):
            if not isinstance(some, RecordBatch) or some.withdrawals:
                raise Violation(f"a dump of {kind.name} has more than upserts of that kind")
            found += some.upserts
        expect(len(found), len(set(found)), f"distinct records in dump({kind.name})")
        return set(found)

    async def routes(self, vrf: str | None = None) -> dict[str, int]:
        """Return nexthops by prefix of a VRF's dump, by default of the test's VRF."""
        found: dict[str, int] = {}
        async for some in self.datapath.dump(Kind.ROUTE):
            if not isinstance(some, RouteBatch) or not (some.ops == Op.UPSERT).all():
                raise Violation("a dump of ROUTE has more than upserts of routes")
            if some.vrf == (self.vrf if vrf is None else vrf):
                found |= rows_of(some)
        return found

    # -- preparing ---------------------------------------------------------------------------

    async def prepare(self, *, port: bool) -> None:
        """Make what the checks need: VRF, VNIs, and a port unless an interface is given."""
        if self.vrf != DEFAULT_VRF:
            await self._make(Vrf(self.vrf, TABLE))
        if port:
            await self._make(_port(self.device))
        await self._make(*self.segments())

    def segments(self) -> tuple[Vni, Vni]:
        vrf = "" if self.vrf == DEFAULT_VRF else self.vrf
        return (
            Vni(L3VNI, layer=3, vrf=vrf, local=LOCAL, mac=bytes.fromhex("020000000064")),
            Vni(L2VNI, vrf=vrf, local=LOCAL, mac=bytes.fromhex("00f30000006e")),
        )

    async def row_counts(self) -> dict[Kind, int]:
        """Return how many rows the datapath has, by kind; without kinds that have none."""
        counts = {}
        for kind in sorted(self.capabilities.kinds):
            count = 0
            async for batch in self.datapath.dump(kind):
                count += len(batch)
            if count:
                counts[kind] = count
        return counts

    async def clean(self) -> None:
        """Remove what a check left behind, passed or failed."""
        async for batch in self.datapath.dump(Kind.ROUTE):
            if isinstance(batch, RouteBatch):
                await self.datapath.apply(_withdrawn(batch))
        for kind in CLEANED:
            if kind in self.capabilities.kinds:
                # Remove groups before their members.
                records = sorted(await self.records(kind), key=lambda r: not _members(r))
                if records:
                    await self.datapath.apply(RecordBatch(kind, withdrawals=tuple(records)))

    async def dismantle(self, *, port: bool) -> None:
        """Remove what `prepare` made."""
        await self.clean()
        await self.datapath.apply(withdraw(*self.segments()))
        if port:
            await self.datapath.apply(withdraw(_port(self.device)))
        if self.vrf != DEFAULT_VRF:
            await self.datapath.apply(withdraw(Vrf(self.vrf, TABLE)))

    async def _make(self, *records: Record) -> None:
        for failure in await self.datapath.apply(upsert(*records)):
            record = records[failure.index]
            raise Violation(f"cannot prepare: {record.kind.name} {record.key}: {failure}")


def _port(device: str) -> Port:
    return Port(device, addresses=DEVICE_ADDRESSES, host=HostEnd(name=f"{device}h"))


def _members(record: Record) -> int:
    return len(getattr(record, "members", ()))


def _withdrawn(batch: RouteBatch) -> RouteBatch:
    n = len(batch)
    return RouteBatch(
        batch.vrf,
        batch.family,
        np.full(n, Op.WITHDRAW, np.uint8),
        batch.prefixes,
        batch.lengths,
        np.zeros(n, np.uint8),
        np.zeros(n, np.uint32),
    )
