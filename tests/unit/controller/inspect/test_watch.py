"""Which changes a watch shows, and to which VRF and VNI they belong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Lsp, Mac
from dualpath.model.links import Vni, Vrf
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record
from dualpath.model.routes import Family
from dualpath.model.view import Change, RowState
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.view import NOW
from tests.fakes.waiting import until_steady
from tests.unit.controller.inspect.conftest import Served

VTEP = bytes([192, 0, 2, 12])
VTEP6 = bytes.fromhex("20010db8") + bytes(12)


def of(record: Record, *, withdrawn: bool = False) -> Change:
    state = RowState.UNMANAGED if record.kind is Kind.LSP else RowState.PROGRAMMED
    text = f"{record.kind.name} {record.key}"
    return Change(0, NOW, record.kind, text, "", state, withdrawn, "", record)


def route(text: str, vrf: str, nexthop: Nexthop | None, family: Family = Family.INET) -> Change:
    state, gone = RowState.PROGRAMMED, nexthop is None
    return Change(0, NOW, Kind.ROUTE, text, vrf, state, gone, "", nexthop, family)


async def first(served: Served, **filters: Any) -> list[pb.Change]:  # noqa: ANN401 - of a request
    """Return the first message of a watch from the beginning."""
    served.view.happen(of(Lsp(99)))  # the last, where LSPs pass
    watch = served.stub.Watch(pb.WatchRequest(after=0, **filters))
    message = await watch.read()
    watch.cancel()
    return list(message.changes)


async def test_records_belong_where_lists_say(served: Served) -> None:
    served.view.happen(of(Vrf("red", 1001)))
    served.view.happen(of(Flood(210, VTEP)))
    served.view.happen(of(Mac(999, bytes(6), VTEP)))
    changes = await first(served)
    assert [(c.vrf, c.vni) for c in changes] == [("red", 100), ("red", 210), ("", 999), ("", 0)]


@pytest.mark.parametrize(
    ("filters", "texts"),
    [
        ({"vrf": "red"}, ["FLOOD", "NEXTHOP", "10.9.0.0/16", "10.8.0.0/16", "2001:db8:9::/48"]),
        ({"vni": 100}, ["NEXTHOP", "10.9.0.0/16", "10.8.0.0/16", "2001:db8:9::/48"]),
        ({"vni": 210}, ["FLOOD"]),
        ({"family": pb.FAMILY_IPV6}, ["2001:db8:9::/48"]),
        ({"vrf": "default"}, ["198.51.100.0/24"]),
        ({"states": [pb.ROW_STATE_UNMANAGED]}, ["LSP"]),
        ({"kinds": [pb.KIND_LSP]}, ["LSP"]),
    ],
)
async def test_changes_are_filtered_as_lists_are(
    served: Served, filters: dict[str, Any], texts: list[str]
) -> None:
    over, out = served.view.nexthop(5), served.view.nexthop(3)
    assert over
    served.view.happen(of(Flood(210, VTEP)))
    served.view.happen(of(over))
    served.view.happen(route("10.9.0.0/16", "red", over))
    served.view.happen(route("10.8.0.0/16", "red", None))
    served.view.happen(route("2001:db8:9::/48", "red", over, Family.INET6))
    served.view.happen(route("198.51.100.0/24", "default", out))
    assert [c.text.partition(" ")[0] for c in await first(served, **filters)] == texts


async def test_a_row_removed_with_its_vni_still_belongs_to_its_vrf(served: Served) -> None:
    gone = Vni(300, 2, "blue", VTEP6)
    served.view.happen(of(gone))
    served.view.happen(of(Flood(300, VTEP6)))
    served.view.happen(of(Flood(300, VTEP6), withdrawn=True))
    served.view.happen(of(gone, withdrawn=True))
    changes = await first(served, vrf="blue", family=pb.FAMILY_IPV6)
    assert [(c.vni, c.withdrawn) for c in changes] == [
        (300, False),
        (300, False),
        (300, True),
        (300, True),
    ]


async def test_a_group_is_shown_where_it_was_asked_for(served: Served) -> None:
    group = served.view.nexthop(4)
    assert group
    served.view.happen(of(group))
    assert [c.vrf for c in await first(served, vrf="default")] == ["default"]


@pytest.mark.parametrize("state", [pb.ROW_STATE_STALE, pb.ROW_STATE_PENDING, pb.ROW_STATE_LEAVING])
async def test_a_state_that_no_change_has_is_refused(served: Served, state: pb.RowState) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Watch(pb.WatchRequest(states=[state])).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "list rows" in str(caught.value.details())


async def test_changes_are_not_made_for_a_client_that_does_not_read(served: Served) -> None:
    """Otherwise clients that do not read their streams would use up the daemon's memory."""
    made = 0

    async def changes(after: int) -> AsyncIterator[Change]:
        nonlocal made
        while True:
            made += 1
            yield replace(of(Flood(100, VTEP)), sequence=after + made, text="x" * 1000)

    served.view.changes = changes  # type: ignore[method-assign]
    streams = [served.stub.Watch(pb.WatchRequest(after=0)) for _ in range(3)]
    for stream in streams:
        await stream.initial_metadata()
    await until_steady(lambda: made, 0.5)
    assert 0 < made < len(streams) * 20_000
    for stream in streams:
        stream.cancel()
