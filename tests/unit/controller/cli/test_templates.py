"""A long list is rendered by templates, and nobody sees that."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from controller.cli import columns, table
from controller.cli.listing import ROUTES, Shape
from controller.cli.values import json_text, json_texts, plain
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import state_pb2

NEXTHOP = pb.Nexthop(id=7, type=state_pb2.NEXTHOP_TYPE_GATEWAY, gateway="192.0.2.1", vni=100)
TIMES = (None, Timestamp(seconds=1_700_000_000, nanos=250_000_000), Timestamp(seconds=1, nanos=7))


def standing(noise: random.Random) -> dict[str, Any]:
    return {
        "state": noise.choice([pb.ROW_STATE_PROGRAMMED, pb.ROW_STATE_FAILED]),
        "error": noise.choice(["", "ENOSPC: 100% full", 'say "%s"']),
        "session": noise.randrange(2),
        "changed_at": noise.choice(TIMES),
    }


def route(noise: random.Random) -> pb.Route:
    some = (None, NEXTHOP, pb.Nexthop(id=8))
    return pb.Route(
        vrf=noise.choice(["red", "a%d"]),
        prefix=noise.choice(["10.0.0.0/8", "2001:db8::/32", ""]),
        protocol="bgp",
        desired=noise.choice(some),
        programmed=noise.choice(some),
        **standing(noise),
    )


def nexthop(noise: random.Random) -> pb.NexthopRow:
    value = pb.Nexthop(id=noise.randrange(9), gateway="192.0.2.9", onlink=noise.random() < 0.5)
    return pb.NexthopRow(nexthop=noise.choice([None, value]), **standing(noise))


def mac(noise: random.Random) -> pb.Mac:
    vteps = noise.choice([[], ["192.0.2.1", "192.0.2.2"]])
    name = f"00:00:00:00:00:{noise.randrange(9):02}"
    return pb.Mac(vni=noise.randrange(2), mac=name, vteps=vteps, **standing(noise))


def neighbor(noise: random.Random) -> pb.Neighbor:
    address = noise.choice(["10.0.0.1", "2001:db8::1", ""])
    return pb.Neighbor(vni=1, address=address, mac=noise.choice(["", "m"]), **standing(noise))


ANY_KEY = str
LISTS = {
    "routes": (ROUTES, route),
    "nexthops": (Shape(columns.NEXTHOPS, ANY_KEY, ("nexthop",)), nexthop),
    "macs": (Shape(columns.MACS, ANY_KEY, ("mac",)), mac),
    "neighbors": (Shape(columns.NEIGHBORS, ANY_KEY, ("address", "mac")), neighbor),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_line_of_a_long_table_is_that_of_a_short_one(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shape, make = LISTS[name]
    monkeypatch.setattr(table, "SORT_ROWS", 100)  # so that the widths are those of 100 rows
    monkeypatch.setattr("time.time", lambda: 1_700_000_100.0)
    shown = []
    for own in ((), shape.own):
        rows = made(make, 200)
        table.print_table(shape.columns, rows, own=own)
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert len(shown[0].splitlines()) == 201


@pytest.mark.parametrize("name", LISTS)
def test_a_row_of_a_long_json_array_is_that_of_a_short_one(name: str) -> None:
    shape, make = LISTS[name]
    texts = list(json_texts(made(make, 200), shape.own))
    assert texts == [json_text(row) for row in made(make, 200)]
    assert [json.loads(text) for text in texts] == [plain(row) for row in made(make, 200)]


def made(make: Callable[[random.Random], Message], count: int) -> list[Message]:
    noise = random.Random(count)
    return [make(noise) for _ in range(count)]
