"""Invalid records and batches are refused before they reach a datapath."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from datapaths.remote import wire
from datapaths.remote.checks import check
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.links import BROKEN_MTU, Address, HostEnd, Port, Vni, Vrf
from dualpath.model.nexthops import FIRST_RESERVED, Member, Nexthop, NexthopType
from dualpath.model.records import Record
from dualpath.model.routes import Family
from tests.fakes.batches import batch, upsert, withdraw

V4, MAC = bytes(4), bytes(6)
VNI = Vni(100, local=V4)
HOP = Nexthop(1, NexthopType.GATEWAY, V4, "eth1")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Vrf(""), "cannot be the name"),
        (Vrf("a" * 16), "cannot be the name"),
        (Vrf("../x"), "cannot be the name"),
        (Vrf(".."), "cannot be the name"),
        (Vrf("a b"), "cannot be the name"),
        (Vrf("a\0"), "cannot be the name"),
        (replace(VNI, vni=0), "no VNI 0"),
        (replace(VNI, vni=1 << 24), "no VNI"),
        (replace(VNI, layer=4), "layer 4"),
        (replace(VNI, local=b"\1\2\3"), "address of 3 bytes"),
        (replace(VNI, port=65536), "UDP port"),
        (replace(VNI, mac=bytes(5)), "MAC of 5 bytes"),
        (replace(VNI, gateways=(Address(V4, 33),)), "prefix of 33 bits"),
        (replace(VNI, mtu=20), "MTU of 20"),
        (Port("eth1", mtu=70000), "MTU"),
        (Port("eth1", addresses=(Address(b"", 0),)), "address of 0 bytes"),
        (Port("eth1", host=HostEnd(netns="../../etc")), "network namespace"),
        (Port("eth1", host=HostEnd(bridge="x/y")), "cannot be the name"),
        (Port("eth1", source_netns="a/b"), "network namespace"),
        (RemoteVtep(1, V4, b""), "MAC of 0 bytes"),
        (Flood(1, bytes(5)), "address of 5 bytes"),
        (Mac(1, MAC, b""), "address of 0 bytes"),
        (Neighbor(1, V4, bytes(7)), "MAC of 7 bytes"),
        (replace(HOP, id=0), "the id 0"),
        (replace(HOP, id=FIRST_RESERVED + 3), "the id"),
        (replace(HOP, gateway=b""), "address of 0 bytes"),
        (replace(HOP, type=NexthopType.GROUP, members=(Member(2, 0),)), "weight of 0"),
        (replace(HOP, type=NexthopType.GROUP, members=(Member(2, 257),)), "weight of 257"),
        (replace(HOP, members=(Member(2),) * 5000), "5000 members"),
    ],
)
def test_invalid_record_is_refused(record: Record, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check(upsert(record))
    if not isinstance(record, Vni) and "MTU" not in why:
        with pytest.raises(ValueError, match=why):
            check(withdraw(record))


def test_vni_without_an_address_can_be_withdrawn() -> None:
    check(withdraw(replace(VNI, local=b"", port=0)))
    with pytest.raises(ValueError, match="no VNI 0"):
        check(withdraw(replace(VNI, vni=0)))


def test_port_that_is_down_can_be_dumped_and_withdrawn() -> None:
    down = upsert(Port("eth1", mtu=BROKEN_MTU))
    assert wire.batch_from_pb(wire.dumped_to_pb(down)) == down
    check(withdraw(*down.upserts))
    with pytest.raises(ValueError, match="MTU"):
        check(down)


@pytest.mark.parametrize(
    "record", [Vrf("red"), VNI, replace(VNI, vni=(1 << 24) - 1), HOP, Port("lo", loopback=True)]
)
def test_valid_record_is_accepted(record: Record) -> None:
    check(upsert(record))


def test_route_batches_are_checked_by_column() -> None:
    good = batch("+ 10.0.0.0/8 1", "- 10.1.0.0/16", "+ 0.0.0.0/0 2", "+ 1.2.3.4/32 3")
    check(good)
    check(batch("+ 2001:db8::/33 1", "+ ::/0 1", "+ ::1/128 1"))
    check(batch())
    with pytest.raises(ValueError, match="neither upsert nor"):
        check(replace(good, ops=np.array([1, 2, 3, 1], np.uint8)))
    with pytest.raises(ValueError, match="neither upsert nor"):
        check(replace(good, ops=np.array([1, 2, 0, 1], np.uint8)))
    with pytest.raises(ValueError, match="host bits"):
        check(replace(good, lengths=np.array([6, 16, 0, 32], np.uint8)))
    with pytest.raises(ValueError, match="without a nexthop"):
        check(replace(good, nexthops=np.array([0, 0, 1, 1], np.uint32)))
    with pytest.raises(ValueError, match="without a VRF"):
        check(replace(good, vrf=""))


@pytest.mark.parametrize("family", list(Family))
def test_every_length_has_its_mask(family: Family) -> None:
    address = "255.255.255.255" if family is Family.INET else ":".join(["ffff"] * 8)
    for length in range(family.width * 8 + 1):
        full = batch(f"+ {address}/{family.width * 8} 1")
        short = replace(full, lengths=np.array([length], np.uint8))
        if length == family.width * 8:
            check(short)
        else:
            with pytest.raises(ValueError, match="host bits"):
                check(short)
