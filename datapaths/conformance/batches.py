"""Batches and columns as text, so that a test reads like a table."""

from __future__ import annotations

import ipaddress

import numpy as np

from dualpath.model.records import Record, RecordBatch
from dualpath.model.routes import DEFAULT_VRF, Family, Op, RouteBatch, prefix_text


def batch(*rows: str, vrf: str = DEFAULT_VRF) -> RouteBatch:
    """Build a batch of rows like "+ 10.0.0.0/8 1" and "- 10.0.0.0/8", all of one family."""
    parts = [row.split() for row in rows]
    networks = [ipaddress.ip_network(part[1]) for part in parts]
    family = Family.INET if not networks or networks[0].version == 4 else Family.INET6
    packed = b"".join(network.network_address.packed for network in networks)
    ids = [int(part[2]) if len(part) > 2 else 0 for part in parts]
    return RouteBatch(
        vrf,
        family,
        np.array([Op.UPSERT if part[0] == "+" else Op.WITHDRAW for part in parts], np.uint8),
        np.frombuffer(packed, np.uint8).reshape(len(rows), family.width),
        np.array([network.prefixlen for network in networks], np.uint8),
        np.array([186 if part[0] == "+" else 0 for part in parts], np.uint8),
        np.array(ids, np.uint32),
    )


def rows_of(routes: RouteBatch) -> dict[str, int]:
    """Return prefix: nexthop of a batch."""
    columns = zip(routes.prefixes, routes.lengths.tolist(), routes.nexthops.tolist(), strict=True)
    return {prefix_text(bytes(prefix), length): identity for prefix, length, identity in columns}


def upsert(*records: Record) -> RecordBatch:
    return RecordBatch(records[0].kind, upserts=records)


def withdraw(*records: Record) -> RecordBatch:
    return RecordBatch(records[0].kind, withdrawals=records)
