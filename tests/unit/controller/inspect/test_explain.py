from __future__ import annotations

import errno
import ipaddress
import random
from dataclasses import replace

from controller.inspect.explain import explain
from controller.inspect.lookup import Address, covering
from dualpath.model.layer2 import EthernetSegment, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.view import RowState
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.view import FakeRoute, MemoryView, fabric


async def explained(view: MemoryView, address: str, vrf: str = "red") -> pb.ExplainResponse:
    return await explain(view, view.datapath.ports, vrf, address)


async def test_an_overlay_route_is_followed_to_the_ports_of_the_underlay() -> None:
    answer = await explained(fabric(), "10.2.9.9")
    (path,) = answer.programmed.paths
    assert answer.programmed.route.prefix == "10.2.0.0/16"
    assert (path.vni, path.vtep, path.mac) == (100, "192.0.2.12", "02:00:00:00:00:c8")
    assert path.underlay_prefix == "192.0.2.12/32"
    assert path.ports == ["eth1", "eth2"]
    assert answer.frr == answer.desired == answer.programmed
    assert not answer.problems


async def test_an_ipv6_route_goes_over_the_ipv4_underlay() -> None:
    answer = await explained(fabric(), "2001:db8:2::1")
    assert answer.programmed.paths[0].ports == ["eth1", "eth2"]


async def test_a_refused_route_falls_back_to_the_covering_one_and_is_a_problem() -> None:
    answer = await explained(fabric(), "10.2.3.4")
    assert answer.desired.route.prefix == "10.2.3.0/24"
    assert answer.programmed.route.prefix == "10.2.0.0/16"
    assert answer.problems == [
        "the datapath refused 10.2.3.0/24: ENOSPC",
        "10.2.3.0/24 is wanted, the datapath uses 10.2.0.0/16",
    ]


async def test_a_remote_host_of_an_l2vni_is_found_behind_its_vtep() -> None:
    answer = await explained(fabric(), "10.1.0.7")
    (path,) = answer.programmed.paths
    assert (path.vni, path.vtep, path.mac) == (210, "192.0.2.12", "aa:bb:cc:00:00:01")
    assert path.ports == ["eth1", "eth2"]
    assert not answer.problems


SEGMENT = EthernetSegment(
    0x20000001, tuple(ipaddress.ip_address(text).packed for text in ("192.0.2.12", "2001:db8::12"))
)


async def test_a_host_behind_an_ethernet_segment_is_found_behind_each_of_its_vteps() -> None:
    view = fabric()
    view.add(SEGMENT)
    view.add(Mac(210, b"\2" * 6, segment=SEGMENT.id))
    view.add(Neighbor(210, bytes([10, 1, 0, 9]), b"\2" * 6))
    answer = await explained(view, "10.1.0.9")
    assert [path.vtep for path in answer.programmed.paths] == ["192.0.2.12", "2001:db8::12"]
    assert {path.mac for path in answer.programmed.paths} == {"02:02:02:02:02:02"}
    assert answer.programmed.paths[0].ports == ["eth1", "eth2"]


async def test_a_datapath_that_cannot_balance_is_explained_by_the_vtep_that_it_has() -> None:
    view = fabric()
    view.add(SEGMENT)
    view.add(Mac(210, b"\2" * 6, SEGMENT.vteps[0], segment=SEGMENT.id))
    view.add(Neighbor(210, bytes([10, 1, 0, 9]), b"\2" * 6))
    answer = await explained(view, "10.1.0.9")
    assert [path.vtep for path in answer.programmed.paths] == ["192.0.2.12"]


async def test_a_host_that_is_not_remote_is_behind_the_bridge() -> None:
    answer = await explained(fabric(), "10.1.0.8")
    assert answer.programmed.paths[0].ports == ["br210"]
    assert not answer.problems


async def test_a_neighbour_whose_mac_is_unknown_is_a_problem() -> None:
    view = fabric()
    view.add(Neighbor(210, bytes([10, 1, 0, 9]), b"\2" * 6))
    answer = await explained(view, "10.1.0.9")
    assert answer.problems == ["MAC 02:02:02:02:02:02 of 10.1.0.9 is not known in VNI 210"]


async def test_connected_routes_count_as_programmed() -> None:
    answer = await explained(fabric(), "192.0.2.1", "")
    assert answer.programmed.route.prefix == "192.0.2.0/31"
    assert answer.programmed.paths[0].ports == ["eth1"]


async def test_no_route_is_a_problem() -> None:
    answer = await explained(fabric(), "203.0.113.1", "default")
    assert not answer.programmed.HasField("route")
    assert answer.problems == ["FRR has no route to 203.0.113.1 in VRF default"]


async def test_a_drop_needs_no_port() -> None:
    answer = await explained(fabric(), "203.0.113.1")
    assert answer.programmed.route.prefix == "0.0.0.0/0"
    assert list(answer.programmed.paths[0].ports) == []
    assert not answer.problems


async def test_a_held_route_is_in_desired_but_not_in_frr() -> None:
    view = fabric()
    view.add_routes(FakeRoute("10.2.9.0/24", 5, 5, RowState.STALE, vrf="red"))
    answer = await explained(view, "10.2.9.9")
    assert answer.frr.route.prefix == "10.2.0.0/16"
    assert answer.desired.route.prefix == answer.programmed.route.prefix == "10.2.9.0/24"
    assert answer.problems == ["10.2.9.0/24 is held: the present FPM session has not repeated it"]


async def test_a_route_that_is_leaving_still_forwards() -> None:
    view = fabric()
    view.add_routes(FakeRoute("10.2.9.0/24", 0, 5, RowState.LEAVING, vrf="red"))
    answer = await explained(view, "10.2.9.9")
    assert answer.desired.route.prefix == "10.2.0.0/16"
    assert answer.problems[0] == "10.2.9.0/24 is no longer wanted, but the datapath still has it"


async def test_another_nexthop_in_the_datapath_is_a_problem() -> None:
    view = fabric()
    view.add_routes(FakeRoute("10.2.9.0/24", 5, 7, RowState.PENDING, vrf="red"))
    answer = await explained(view, "10.2.9.9")
    assert answer.problems == [
        "10.2.9.0/24 waits to be programmed",
        "10.2.9.0/24: nexthop 5 is wanted, the datapath uses nexthop 7",
    ]


async def test_an_unknown_nexthop_a_missing_vtep_route_and_router_mac_are_problems() -> None:
    view = fabric()
    far = bytes([203, 0, 113, 9])
    view.add(Nexthop(20, NexthopType.GATEWAY, far, vni=100))
    view.add_routes(FakeRoute("10.8.0.0/16", 20, 20, vrf="red"))
    view.add_routes(FakeRoute("10.9.0.0/16", 99, 99, vrf="red"))
    assert (await explained(view, "10.8.0.1")).problems == [
        "no router MAC is known for VTEP 203.0.113.9 in VNI 100",
        "no route to VTEP 203.0.113.9 is from FRR in VRF default",
        "no route to VTEP 203.0.113.9 is programmed in VRF default",
    ]
    assert (await explained(view, "10.9.0.1")).problems == [
        "nexthop 99 is unknown: FRR has not sent it"
    ]


async def test_a_refused_router_mac_is_a_problem() -> None:
    view = fabric()
    far = bytes([192, 0, 2, 13])
    view.add(RemoteVtep(100, far, b"\2" * 6), state=RowState.FAILED, error="ENOBUFS")
    view.add(Nexthop(20, NexthopType.GATEWAY, far, vni=100))
    view.add_routes(FakeRoute("192.0.2.13/32", 3, 3), FakeRoute("10.8.0.0/16", 20, 20, vrf="red"))
    assert (await explained(view, "10.8.0.1")).problems == [
        "the datapath refused the router MAC of VTEP 192.0.2.13 in VNI 100: ENOBUFS"
    ]


async def test_ports_that_are_down_or_missing_are_problems() -> None:
    view = fabric()
    view.ports = [replace(p, up=False) for p in view.ports if p.name != "eth2"]
    answer = await explained(view, "10.2.9.9")
    assert answer.problems == ["the datapath has no port eth2", "port eth1 is down"]


async def test_a_silent_datapath_is_a_problem_and_no_failure() -> None:
    view = fabric()
    view.unavailable = "timeout"
    assert (await explained(view, "10.2.9.9")).problems == ["the datapath does not answer: timeout"]


async def test_longest_match_agrees_with_ipaddress() -> None:
    rng = random.Random(7)
    view = MemoryView(page_limit=17)
    networks = {
        ipaddress.ip_network((rng.getrandbits(6) << 26 | rng.getrandbits(8) << 8, length), False)
        for length in range(33)
        for _ in range(8)
    }
    view.add_routes(*(FakeRoute(str(network), 1, error=errno.EPERM) for network in networks))
    for network in rng.sample(sorted(networks), 60):
        address = network.network_address
        expected = sorted((n for n in networks if address in n), key=lambda n: -n.prefixlen)
        found = await covering(view, "default", Address.parse(str(address)))
        assert [route.prefix for route in found] == [str(n) for n in expected]
