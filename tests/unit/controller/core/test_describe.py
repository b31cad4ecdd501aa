"""Every record has a description, also one without its optional fields."""

from __future__ import annotations

import pytest

from controller.core.describe import describe
from dualpath.model.layer2 import Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Port, Vni, Vrf
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import Record

MAC = bytes.fromhex("0200000000aa")
V4, V6 = bytes([10, 0, 0, 2]), bytes(15) + b"\1"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Vrf("red"), ("red", "")),
        (Vni(100), ("100", "")),
        (Port("eth1"), ("eth1", "")),
        (RemoteVtep(100, V4, MAC), ("100 10.0.0.2", "router MAC 02:00:00:00:00:aa")),
        (RemoteVtep(100, V4), ("100 10.0.0.2", "router MAC ")),
        (Flood(110, V6), ("110 ::1", "")),
        (Mac(110, MAC, V4), ("110 02:00:00:00:00:aa", "vtep 10.0.0.2")),
        (Mac(110, MAC), ("110 02:00:00:00:00:aa", "local")),
        (Neighbor(110, V6, MAC), ("110 ::1", "02:00:00:00:00:aa")),
        (Neighbor(110, V4), ("110 10.0.0.2", "")),
        (Nexthop(7, NexthopType.GATEWAY, V4, "eth1"), ("7", "via 10.0.0.2 dev eth1")),
        (Nexthop(7, NexthopType.DEVICE, device="eth1"), ("7", "dev eth1")),
        (Nexthop(7, NexthopType.BLACKHOLE), ("7", "blackhole")),
        (Nexthop(7, NexthopType.GROUP, members=(Member(1, 2),)), ("7", "group 1x2")),
        (Lsp(16), ("16", "")),
    ],
)
def test_a_record_as_text(record: Record, words: tuple[str, str]) -> None:
    assert describe(record) == words
