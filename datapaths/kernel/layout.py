"""Create, read and remove the devices of the forwarding namespace: VRFs, VNIs and ports.

It blocks: call it in a thread without an event loop. It keeps no state: the marks on the devices
show which are ours, and their purpose.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import replace

from datapaths.base import PortState, RowFailure, Unavailable
from datapaths.linux import neightables, nics, overlay, ports, sysctls
from datapaths.linux.linkinfo import Link
from datapaths.linux.links import Links
from datapaths.linux.namespaces import Namespaces
from dualpath.model.kinds import Kind
from dualpath.model.links import BROKEN_MTU, Port, Vni, Vrf
from dualpath.model.records import Record, RecordBatch

FEW = 8
"""Read devices one by one for up to this many records, and in one dump for more."""
KINDS = frozenset({Kind.VRF, Kind.VNI, Kind.PORT})


class Layout:
    """Builds the intent's devices in one forwarding namespace.

    `host_netns` is the namespace that "" means in a record: the controller's. `neighbor_limit` is
    for the machine's neighbor tables; 0 leaves them as they are.
    """

    def __init__(
        self,
        netns: str,
        host_netns: str = "",
        neighbor_limit: int = neightables.DEFAULT_LIMIT,
    ) -> None:
        self._netns = netns
        self._host_netns = host_netns
        self._neighbor_limit = neighbor_limit

    def prepare(self) -> list[str]:
        """Enable forwarding in the namespace, and raise the limits of the neighbor tables.

        Return the settings that this kernel does not have.
        """
        neightables.ensure_limits(self._neighbor_limit)
        missing = sysctls.ensure(self._netns, sysctls.FORWARDING)
        with self._open() as namespaces:
            nics.recover(namespaces)
            ports.save_nics(namespaces)
        return missing

    def apply(self, batch: RecordBatch) -> list[RowFailure]:
        """Apply every row, upserts first; return the rows that failed.

        Raises Unavailable if the forwarding namespace does not exist.
        """
        failures: list[RowFailure] = []
        with self._open() as namespaces:
            if len(batch) > FEW:
                namespaces.forwarding.load()
            for index in range(len(batch)):
                try:
                    if index < len(batch.upserts):
                        _upsert(namespaces, batch.row(index))
                    else:
                        _withdraw(namespaces, batch.row(index))
                except Unavailable as error:  # a host's namespace is missing: only this row fails
                    failures.append(RowFailure(index, errno.ENOENT, str(error)))
                except OSError as error:
                    number = error.errno or errno.EIO
                    failures.append(RowFailure(index, number, error.strerror or str(error)))
        return failures

    def dump(self, kind: Kind) -> list[Record]:
        """Return our devices as records, equal to the records that they were made from.

        If a record's devices have drifted, return it with a value that no intent can have: then it
        never equals the desired record, and is repaired.
        """
        with self._open(dry=True) as namespaces:
            namespaces.forwarding.load()
            records = list(_dump(namespaces, kind))
            return [_broken(r) if _faults(namespaces, r) else r for r in records]

    def differing(self, records: Sequence[Record]) -> list[tuple[Record, list[str]]]:
        """Return the records whose devices differ, each with its differences."""
        with self._open(dry=True) as namespaces:
            if len(records) > FEW:
                namespaces.forwarding.load()
            found = [(record, _faults(namespaces, record)) for record in records]
            return [(record, faults) for record, faults in found if faults]

    def ports(self) -> list[PortState]:
        """Return our ports with their counters and all their addresses."""
        with self._open() as namespaces:
            links = namespaces.forwarding
            return [_state(link, links) for link, _ in links.marked("port")]

    def leave(self, netns: str) -> None:
        """Give back the NICs in a namespace; log those that cannot be."""
        with Namespaces(netns, self._host_netns) as namespaces:
            ports.give_back_nics(namespaces)

    def _open(self, *, dry: bool = False) -> Namespaces:
        return Namespaces(self._netns, self._host_netns, dry=dry)


def devices_of(record: Record) -> set[str]:
    """Return the names of a record's devices, in all namespaces."""
    match record:
        case Vrf():
            return {record.name}
        case Vni():
            return {record.bridge, record.device}
        case Port():
            return {record.name, *([record.host.name] if record.host else [])}
        case _:
            raise ValueError(f"{record.kind.name} is no kind of device")


def _dump(namespaces: Namespaces, kind: Kind) -> Iterator[Record]:
    match kind:
        case Kind.VRF:
            yield from overlay.dump_vrfs(namespaces.forwarding)
        case Kind.VNI:
            yield from overlay.dump_vnis(namespaces.forwarding)
        case Kind.PORT:
            yield from ports.dump_ports(namespaces)
        case _:
            raise ValueError(f"{kind.name} is no kind of device")


def _faults(namespaces: Namespaces, record: Record) -> list[str]:
    return namespaces.faults(lambda: _upsert(namespaces, record))


def _broken(record: Record) -> Record:
    match record:
        case Vrf():
            return replace(record, table=0)
        case Vni():
            return replace(record, local=b"")
        case Port():
            return replace(record, mtu=BROKEN_MTU)
        case _:
            raise ValueError(f"{record.kind.name} is no kind of device")


def _upsert(namespaces: Namespaces, record: Record) -> None:
    match record:
        case Vrf():
            overlay.ensure_vrf(namespaces.forwarding, record, forwards=True)
            overlay.ensure_unreachable(namespaces.forwarding, record)
            namespaces.forwarding.rules.ensure_vrfs_first()
        case Vni():
            if _routes_nothing(record):
                namespaces.forwarding.rules.ensure_blackhole(record.bridge)
            else:
                namespaces.forwarding.rules.remove_blackhole(record.bridge)
            overlay.ensure_vni(namespaces.forwarding, record, link_local=True)
        case Port():
            if record.loopback:  # the record of `lo` includes the namespace's settings
                namespaces.forwarding.sysctl(sysctls.FORWARDING)
            ports.ensure_port(namespaces, record)
        case _:
            raise ValueError(f"{record.kind.name} is no kind of device")


def _withdraw(namespaces: Namespaces, record: Record) -> None:
    match record:
        case Vrf():
            overlay.remove_vrf(namespaces.forwarding, record)
        case Vni():
            overlay.remove_vni(namespaces.forwarding, record)
            namespaces.forwarding.rules.remove_blackhole(record.bridge)
        case Port():
            ports.remove_port(namespaces, record)
        case _:
            raise ValueError(f"{record.kind.name} is no kind of device")


def _routes_nothing(vni: Vni) -> bool:
    """Return whether a VNI's bridge has no VRF and no gateway: then it must route nothing."""
    return not vni.vrf and not vni.gateways


def _state(link: Link, links: Links) -> PortState:
    addresses: Sequence[str] = [str(address) for address in links.addresses.of(link.name)]
    counters = links.counters(link.name)
    return PortState(
        name=link.name,
        up=link.up and link.carrier,
        mac=link.mac,
        mtu=link.mtu,
        addresses=tuple(addresses),
        rx_packets=counters.rx_packets,
        rx_bytes=counters.rx_bytes,
        tx_packets=counters.tx_packets,
        tx_bytes=counters.tx_bytes,
    )
