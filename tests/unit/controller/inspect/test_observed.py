"""The datapath's own lookup of an address, and where it differs from the programmed rows."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.inspect.explain import explain
from datapaths.base import Found, Unavailable, Unsupported, Way
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.view import fabric

VTEP = ipaddress.ip_address("192.0.2.12").packed
ROUTER_MAC = bytes.fromhex("0200000000c8")
DROP = Found(nexthop=Nexthop(0, NexthopType.UNREACHABLE))

Table = Mapping[tuple[str, str], Found | None]


def given() -> dict[tuple[str, str], Found]:
    """Return the lookup of a datapath that has every row of `fabric`."""
    view = fabric()
    overlay, group = view.nexthop(5), view.nexthop(4)
    assert overlay
    assert group
    legs = [view.nexthop(member.id) for member in group.members]
    ways = tuple(Way(leg) for leg in legs if leg)
    return {
        ("red", "10.2.9.9"): Found(
            bytes([10, 2, 0, 0]), 16, 68, overlay, (Way(overlay, 1, 100, VTEP, ROUTER_MAC),)
        ),
        ("default", "192.0.2.12"): Found(VTEP, 32, 68, group, ways),
    }


async def asked(table: Table, address: str = "10.2.9.9") -> pb.ExplainResponse:
    async def look_up(vrf: str, packed: bytes) -> Found | None:
        return table.get((vrf, str(ipaddress.ip_address(packed))))

    view = fabric()
    return await explain(view, view.datapath.ports, "red", address, look_up)


async def test_equal_lookups_are_no_problem() -> None:
    answer = await asked(given())
    assert answer.observed.route.prefix == "10.2.0.0/16"
    assert answer.observed.paths == answer.programmed.paths
    assert not answer.problems


async def test_a_datapath_without_lookup_adds_no_problem() -> None:
    view = fabric()
    answer = await explain(view, view.datapath.ports, "red", "10.2.9.9")
    assert not answer.HasField("observed")
    assert answer.not_observed == "this datapath has no lookup"


async def test_a_server_without_lookups_says_the_same() -> None:
    async def look_up(vrf: str, packed: bytes) -> Found | None:
        raise Unsupported("method not implemented")

    view = fabric()
    answer = await explain(view, view.datapath.ports, "red", "10.2.9.9", look_up)
    assert not answer.HasField("observed")
    assert (answer.not_observed, list(answer.problems)) == ("this datapath has no lookup", [])


async def test_without_an_observed_prefix_the_nexthop_is_compared() -> None:
    table: dict[tuple[str, str], Found | None] = dict(given())
    key = "red", "10.2.9.9"
    found = table[key]
    assert found
    table[key] = replace(found, prefix=b"", length=0)
    answer = await asked(table)
    assert not answer.problems
    assert answer.observed.paths == answer.programmed.paths
    other = fabric().nexthop(6)
    table[key] = Found(nexthop=other, ways=found.ways)
    assert list((await asked(table)).problems) == [
        "10.2.0.0/16: nexthop 5 was programmed, the datapath has nexthop 6"
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (None, "10.2.0.0/16 was programmed, but the datapath has no route"),
        (DROP, "10.2.0.0/16 was programmed, but the datapath drops the packet"),
        ({"length": 24}, "10.2.0.0/16 was programmed, the datapath uses 10.2.0.0/24"),
        ({"nexthop": Nexthop(99, NexthopType.DEVICE, device="x")}, "the datapath has nexthop 99"),
        ({"nexthop": Nexthop(0, NexthopType.DEVICE, device="x")}, "the datapath has another"),
    ],
)
async def test_another_route_is_a_problem(
    change: Found | dict[str, object] | None, problem: str
) -> None:
    table: dict[tuple[str, str], Found | None] = dict(given())
    key = "red", "10.2.9.9"
    found = table[key]
    assert found
    table[key] = replace(found, **change) if isinstance(change, dict) else change  # type: ignore[arg-type]  # a field's name and value
    (said,) = (await asked(table)).problems
    assert problem in said


async def test_another_router_mac_and_another_way_out_are_problems() -> None:
    table = given()
    found = table["red", "10.2.9.9"]
    table["red", "10.2.9.9"] = replace(found, ways=(replace(found.ways[0], mac=bytes(6)),))
    table["default", "192.0.2.12"] = replace(table["default", "192.0.2.12"], ways=())
    assert list((await asked(table)).problems) == [
        "inner MAC for VTEP 192.0.2.12: 02:00:00:00:00:c8 was programmed,"
        " the datapath has 00:00:00:00:00:00",
        "VTEP 192.0.2.12: out of eth1, eth2 was programmed, the datapath uses no port",
    ]


async def test_a_silent_datapath_is_one_problem() -> None:
    async def look_up(vrf: str, packed: bytes) -> Found | None:
        raise Unavailable("it is asleep")

    view = fabric()
    answer = await explain(view, view.datapath.ports, "red", "10.2.9.9", look_up)
    assert "the datapath does not answer: it is asleep" in answer.problems
