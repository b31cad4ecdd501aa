from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
import pytest

from controller.inspect import routes
from controller.inspect.filters import BadRequest
from dualpath.model.routes import Family
from dualpath.model.view import RouteRows, RowState
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.view import FakeRoute, MemoryView, fabric


def rows_of(rows: RouteRows, view: MemoryView) -> Sequence[pb.Route]:
    return routes.message(rows, routes.encoded_nexthops(view.nexthop)).routes


def listed(view: MemoryView, request: pb.ListRoutesRequest) -> list[str]:
    """Return the prefixes that pass, of all tables."""
    wanted = routes.RouteFilter(request)
    found = []
    for vrf, family in view.route_tables():
        if wanted.wants(vrf, family):
            rows, _ = view.routes(vrf, family, 0, 1000)
            hits = np.flatnonzero(wanted.mask(rows, view.nexthop))
            found += [r.prefix for r in rows_of(routes.take(rows, hits), view)]
    return found


@pytest.mark.parametrize("family", Family)
def test_netmasks_are_those_of_ipaddress(family: Family) -> None:
    any_address = "0.0.0.0" if family is Family.INET else "::"
    for length, mask in enumerate(routes.netmasks(family)):
        assert mask.tobytes() == ipaddress.ip_network(f"{any_address}/{length}").netmask.packed


@pytest.mark.parametrize(
    ("request_", "prefixes"),
    [
        ({"prefix": "10.2.0.0/16"}, ["10.2.0.0/16"]),
        ({"prefix": "10.2.0.0/16", "longer": True}, ["10.2.0.0/16", "10.2.3.0/24"]),
        ({"prefix": "0.0.0.0/0", "longer": True, "vrf": "default"}, 3),
        ({"prefix": "192.0.2.12"}, ["192.0.2.12/32"]),
        ({"prefix": "2001:db8::/32", "longer": True}, ["2001:db8:2::/64"]),
        ({"vrf": "red", "family": pb.FAMILY_IPV6}, ["2001:db8:2::/64"]),
        ({"vni": 100, "family": pb.FAMILY_IPV4}, ["10.2.0.0/16", "10.2.3.0/24"]),
        ({"vni": 100, "states": [pb.ROW_STATE_FAILED]}, ["10.2.3.0/24"]),
        ({"nexthop_id": 3}, ["198.51.100.0/24"]),
        ({"vrf": "blue"}, []),
    ],
)
def test_filters_must_all_hold(request_: dict[str, object], prefixes: list[str] | int) -> None:
    found = listed(fabric(), pb.ListRoutesRequest(**request_))  # type: ignore[arg-type]  # fields
    assert (found if isinstance(prefixes, list) else len(found)) == prefixes


@pytest.mark.parametrize(
    "request_",
    [
        {"prefix": "10.0.0.1/8"},
        {"prefix": "ten"},
        {"longer": True},
        {"family": 5},
        {"prefix": "10.0.0.0/8", "family": pb.FAMILY_IPV6},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(request_: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        routes.RouteFilter(pb.ListRoutesRequest(**request_))  # type: ignore[arg-type]  # fields


def test_a_row_shows_desired_and_programmed() -> None:
    view = fabric()
    view.add_routes(FakeRoute("10.9.0.0/16", 5, 1, RowState.PENDING, vrf="red", protocol=250))
    rows, _ = view.routes("red", Family.INET, 4, 1)
    (route,) = rows_of(rows, view)
    assert (route.desired.vtep, route.programmed.device) == ("192.0.2.12", "eth1")
    assert (route.state, route.protocol, route.session) == (pb.ROW_STATE_PENDING, "250", 2)
    assert route.changed_at.ToJsonString() == "2023-11-14T22:13:20.250Z"


def test_a_failed_row_names_its_errno_and_has_no_programmed_nexthop() -> None:
    view = fabric()
    rows, _ = view.routes("red", Family.INET, 2, 1)
    (route,) = rows_of(rows, view)
    assert route.error == "ENOSPC"
    assert not route.HasField("programmed")


def test_a_route_through_an_unknown_nexthop_keeps_its_id() -> None:
    view = MemoryView()
    view.add_routes(FakeRoute("10.0.0.0/8", 77))
    (route,) = rows_of(view.routes("default", Family.INET, 0, 1)[0], view)
    assert route.desired == pb.Nexthop(id=77)


@pytest.mark.parametrize("token", ["red", "red/5/0", "red/4/-1", "red/4/x", "/", "röd/4/1"])
def test_a_page_token_of_another_list_is_refused(token: str) -> None:
    with pytest.raises(BadRequest):
        routes.parse_token(token)


def test_a_page_token_comes_back_as_it_was() -> None:
    assert routes.parse_token(routes.position("red", Family.INET6, 7)) == ("red", Family.INET6, 7)
