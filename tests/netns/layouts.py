"""Records of a layout that several tests share."""

from __future__ import annotations

from datapaths.base import RowFailure
from datapaths.kernel.layout import Layout
from dualpath.model.links import Address, HostEnd, Port
from dualpath.model.records import Record, RecordBatch


def addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(Address.parse(text) for text in texts)


def routed(host: str) -> Port:
    """Return a leg with addresses at both ends; the far one is in namespace `host`."""
    end = HostEnd(host, "eth0", addresses=addresses("192.168.9.2/24", "fd00:9::2/64"))
    return Port("pe0", addresses=addresses("192.168.9.1/24", "fd00:9::1/64"), mtu=1450, host=end)


def bridged(host: str) -> Port:
    """Return a leg of VNI 110 into a bridge that is made for it."""
    end = HostEnd(host, "eth1", bridge="br-hs-110", create_bridge=True)
    return Port("pe1", vni=110, vrf="red", host=end, mtu=1450)


def upsert(layout: Layout, *records: Record) -> list[RowFailure]:
    return layout.apply(RecordBatch(records[0].kind, upserts=records))


def withdraw(layout: Layout, *records: Record) -> list[RowFailure]:
    return layout.apply(RecordBatch(records[0].kind, withdrawals=records))
