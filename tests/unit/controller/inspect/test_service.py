from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, RemoteVtep
from dualpath.model.routes import Family
from dualpath.model.view import Change, RowState
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.view import NOW, FakeRoute
from tests.unit.controller.inspect.conftest import Served

LISTS = ["Nexthops", "Macs", "Neighbors", "Vteps", "Vnis", "Vrfs", "Ports", "Lsps"]


def change(text: str, vrf: str = "red", kind: Kind = Kind.ROUTE) -> Change:
    return Change(0, NOW, kind, text, vrf, RowState.PROGRAMMED, False, "")


async def test_status_carries_the_sequence_to_watch_from(served: Served) -> None:
    served.view.happen(change("10.0.0.0/24"))
    status = await served.stub.Status(pb.StatusRequest())
    assert (status.datapath, status.ready, status.sequence) == ("kernel", True, 1)
    assert {c.kind: c.failed for c in status.counts}[pb.KIND_ROUTE] == 1
    assert not status.HasField("stale_after")


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_has_rows(served: Served, name: str) -> None:
    rows = await served.rows(f"List{name}", pb.ListRequest())
    assert rows
    state = pb.ROW_STATE_UNMANAGED if name == "Lsps" else pb.ROW_STATE_PROGRAMMED
    assert all(row.state == state for row in rows)


@pytest.mark.parametrize("name", LISTS)
async def test_a_vrf_that_does_not_exist_has_no_rows(served: Served, name: str) -> None:
    assert await served.rows(f"List{name}", pb.ListRequest(vrf="blue")) == []


@pytest.mark.parametrize(
    ("name", "filters", "count"),
    [
        ("Nexthops", {"vni": 100}, 2),
        ("Nexthops", {"vrf": "red"}, 3),  # two over the L3VNI, one out of the L2VNI's bridge
        ("Nexthops", {"vrf": "default"}, 4),  # a group belongs to the VRF of its members
        ("Nexthops", {"family": pb.FAMILY_IPV6}, 1),
        ("Macs", {"vrf": "red", "vni": 210}, 1),
        ("Neighbors", {"family": pb.FAMILY_IPV6}, 0),
        ("Vteps", {"vni": 100}, 1),
        ("Ports", {"vrf": "red"}, 1),
        ("Vnis", {"states": [pb.ROW_STATE_FAILED]}, 0),
        ("Vrfs", {"vni": 100}, 1),  # by its L3VNI
        ("Vrfs", {"vni": 210}, 0),
        ("Vrfs", {"family": pb.FAMILY_IPV4}, 0),
        ("Lsps", {"vni": 100}, 0),
    ],
)
async def test_lists_are_filtered(
    served: Served, name: str, filters: dict[str, Any], count: int
) -> None:
    assert len(await served.rows(f"List{name}", pb.ListRequest(**filters))) == count


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_of_records_add_up(served: Served, limit: int) -> None:
    token, macs = "", []
    served.view.add(*(Mac(210, bytes([2, 0, 0, 0, 0, n])) for n in range(5)))
    while True:
        request = pb.ListRequest(vni=210, limit=limit, page_token=token)
        messages = [m async for m in served.stub.ListMacs(request)]
        macs += [row.mac for m in messages for row in m.macs]
        token = messages[-1].next_page_token if messages else ""
        if not token:
            break
    assert len(macs) == len(set(macs)) == 6


async def test_a_row_removed_between_two_pages_hides_no_other(served: Served) -> None:
    macs = [Mac(210, bytes([2, 0, 0, 0, 0, n])) for n in range(6)]
    served.view.add(*macs)
    seen: list[str] = []
    token = ""
    while token or not seen:
        request = pb.ListRequest(vni=210, limit=2, page_token=token)
        messages = [m async for m in served.stub.ListMacs(request)]
        seen += [row.mac for m in messages for row in m.macs]
        token = messages[-1].next_page_token if messages else ""
        served.view.remove(macs[0])  # which the first page has shown
        served.view.remove(macs[3])  # which none has
    assert seen == ["aa:bb:cc:00:00:01", *(m.mac.hex(":") for m in macs if m is not macs[3])]


async def test_pages_of_two_kinds_add_up(served: Served) -> None:
    for n in range(3):
        served.view.add(Flood(210, bytes([192, 0, 2, n])), RemoteVtep(100, bytes([192, 0, 2, n])))
    seen: list[tuple[int, str]] = []
    token = ""
    while token or not seen:
        request = pb.ListRequest(limit=3, page_token=token)
        messages = [m async for m in served.stub.ListVteps(request)]
        seen += [(row.role, row.vtep) for m in messages for row in m.vteps]
        token = messages[-1].next_page_token if messages else ""
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("page_limit", [2, 1000])
async def test_pages_of_routes_add_up_over_holes_and_tables(
    served: Served, limit: int, page_limit: int
) -> None:
    served.view.remove_route("red", "10.2.0.0/16")
    served.view.page_limit = page_limit
    token, prefixes = "", []
    while True:
        request = pb.ListRoutesRequest(limit=limit, page_token=token)
        messages = [m async for m in served.stub.ListRoutes(request)]
        page = [row.prefix for m in messages for row in m.routes]
        assert len(page) <= limit
        prefixes += page
        token = messages[-1].next_page_token
        if not token:
            break
    assert len(prefixes) == len(set(prefixes)) == 7


async def test_many_routes_come_in_several_messages(served: Served) -> None:
    served.view.add_routes(*(FakeRoute(f"11.0.{n // 256}.{n % 256}/32", 1) for n in range(1200)))
    request = pb.ListRoutesRequest(prefix="11.0.0.0/8", longer=True)
    sizes = [len(m.routes) async for m in served.stub.ListRoutes(request)]
    assert sizes == [512, 512, 176]


async def test_ports_show_the_link_as_the_datapath_has_it(served: Served) -> None:
    ports = {p.name: p for p in await served.rows("ListPorts", pb.ListRequest())}
    assert (ports["eth1"].link.mtu, ports["eth1"].link.rx_packets) == (9000, 10)
    assert ports["h1"].type == pb.Port.TYPE_HOST


async def test_ports_are_listed_without_links_when_the_datapath_is_away(served: Served) -> None:
    served.view.unavailable = "timeout"
    messages = [m async for m in served.stub.ListPorts(pb.ListRequest())]
    assert "timeout" in messages[0].unavailable
    assert not any(port.HasField("link") for m in messages for port in m.ports)
    assert sum(len(m.ports) for m in messages) == 4


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ListRoutes", pb.ListRoutesRequest(prefix="nonsense")),
        ("ListRoutes", pb.ListRoutesRequest(page_token="nonsense")),
        ("ListMacs", pb.ListRequest(page_token="nonsense")),
        ("ListMacs", pb.ListRequest(page_token="12")),
        ("ListRoutes", pb.ListRoutesRequest(page_token=f"default/4/{'9' * 20}")),
        ("ListRoutes", pb.ListRoutesRequest(page_token=f"default/4/{'9' * 5000}")),
        ("ListMacs", pb.ListRequest(page_token=f"3-{'9' * 20}")),
        ("ListMacs", pb.ListRequest(page_token=f"3-{'9' * 5000}")),
        ("ListMacs", pb.ListRequest(family=9)),  # type: ignore[arg-type]  # on purpose
    ],
)
async def test_a_list_refuses_nonsense(served: Served, method: str, request_: Any) -> None:  # noqa: ANN401 - two types
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.rows(method, request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_watch_yields_past_changes_and_then_new_ones(served: Served) -> None:
    served.view.happen(change("10.0.0.0/24"))
    served.view.happen(change("10.0.1.0/24"))
    watch = served.stub.Watch(pb.WatchRequest(after=1))
    first = await watch.read()
    assert [c.text for c in first.changes] == ["10.0.1.0/24"]
    served.view.happen(change("10.0.2.0/24"))
    second = await watch.read()
    assert [(c.sequence, c.text) for c in second.changes] == [(3, "10.0.2.0/24")]
    watch.cancel()


async def test_watch_without_a_sequence_begins_now(served: Served) -> None:
    served.view.happen(change("10.0.0.0/24"))
    watch = served.stub.Watch(pb.WatchRequest())
    await watch.wait_for_connection()
    served.view.happen(change("10.0.1.0/24"))
    assert [c.sequence for c in (await watch.read()).changes] == [2]
    watch.cancel()


async def test_watch_filters_and_batches(served: Served) -> None:
    for number in range(1500):
        vrf = "red" if number % 3 == 0 else "blue"
        served.view.happen(change(str(number), vrf, Kind.ROUTE if number % 2 else Kind.MAC))
    request = pb.WatchRequest(after=0, vrf="red", kinds=[pb.KIND_ROUTE])
    seen: list[str] = []
    async for message in served.stub.Watch(request):
        assert len(message.changes) <= 512
        seen += [c.text for c in message.changes]
        if len(seen) == 250:
            break
    assert seen == [str(number) for number in range(1500) if number % 6 == 3]


async def test_watch_from_before_the_journal_is_out_of_range(served: Served) -> None:
    served.view.forgotten = 10
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Watch(pb.WatchRequest(after=5)).read()
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_watch_from_before_a_restart_is_out_of_range(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Watch(pb.WatchRequest(after=5)).read()
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert "began again" in str(caught.value.details())


async def test_resync_returns_how_many_rows_differed(served: Served) -> None:
    served.view.differed = 3
    assert (await served.stub.Resync(pb.ResyncRequest())).differed == 3


async def test_resync_without_a_datapath_is_unavailable(served: Served) -> None:
    served.view.unavailable = "timeout"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Resync(pb.ResyncRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_release_returns_a_sentence(served: Served) -> None:
    assert (await served.stub.Release(pb.ReleaseRequest())).message == "nothing is held"


@pytest.mark.parametrize("name", ["", "dualpath.v1.Inspect"])
async def test_health_follows_ready(served: Served, name: str) -> None:
    stub = health_pb2_grpc.HealthStub(served.channel)
    request = health_pb2.HealthCheckRequest(service=name)
    assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
    served.view.state = replace(served.view.state, ready=False)
    assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert served.view.counted == 0  # status is polled every second, also with a million routes


async def test_a_generic_client_learns_everything_by_reflection(served: Served) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    ask = reflection_pb2.ServerReflectionRequest
    call = stub.ServerReflectionInfo()
    await call.write(ask(list_services=""))
    names = {s.name for s in (await call.read()).list_services_response.service}
    assert {"dualpath.v1.Inspect", "grpc.health.v1.Health"} <= names
    await call.write(ask(file_containing_symbol="dualpath.v1.Inspect"))
    files = (await call.read()).file_descriptor_response.file_descriptor_proto
    await call.done_writing()
    pool = DescriptorPool()
    for serialized in reversed(files):
        pool.AddSerializedFile(serialized)
    service = pool.FindServiceByName("dualpath.v1.Inspect")
    assert service.FindMethodByName("ListRoutes").server_streaming


async def test_explain_of_an_unknown_vrf_names_those_that_exist(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Explain(pb.ExplainRequest(vrf="blue", address="10.0.0.1"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "default, red" in str(caught.value.details())


@pytest.mark.parametrize("address", ["", "10.0.0.0/8", "host"])
async def test_explain_of_no_address_is_refused(served: Served, address: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Explain(pb.ExplainRequest(vrf="red", address=address))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_fake_gives_pages_by_slot() -> None:
    from tests.fakes.view import fabric

    view = fabric()
    view.remove_route("red", "10.1.0.0/24")
    rows, following = view.routes("red", Family.INET, 0, 1)
    assert (rows.lengths.tolist(), following) == ([16], 2)


async def test_status_shows_the_datapaths_facts(served: Served) -> None:
    said = (await served.stub.Status(pb.StatusRequest())).datapath_status
    assert (said.name, said.version, said.unavailable) == ("kernel", "6.12", "")
    assert (said.facts[0].name, said.facts[0].value) == ("api version", "13")
    assert [(fib.family, fib.used, fib.blocks) for fib in said.fibs] == [(4, 3, 256), (6, 1, 0)]
    assert said.nodes[0].cycles == 5000
    served.view.unavailable = "grout is gone"
    said = (await served.stub.Status(pb.StatusRequest())).datapath_status
    assert said.unavailable == "grout is gone"
