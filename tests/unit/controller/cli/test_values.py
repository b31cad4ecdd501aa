from __future__ import annotations

import json

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from controller.cli.columns import _route_nexthop, nexthop_text
from controller.cli.values import json_text, plain
from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import state_pb2

NEXTHOP = pb.Nexthop(id=1, type=state_pb2.NEXTHOP_TYPE_GATEWAY, gateway="192.0.2.1")


@pytest.mark.parametrize(
    "message",
    [
        pb.StatusResponse(repaired=2**40, counts=[pb.KindCount(kind=pb.KIND_ROUTE, desired=7)]),
        pb.Route(prefix="10.0.0.0/8", desired=NEXTHOP, changed_at=Timestamp(seconds=5, nanos=7)),
        pb.Route(programmed=pb.Nexthop(members=[pb.GroupMember(weight=2, nexthop=NEXTHOP)])),
        pb.Change(sequence=3, kind=pb.KIND_LSP, withdrawn=True),
        pb.ExplainResponse(problems=["a", "b"], frr=pb.Lookup()),
        pb.Port(name="eth1", link=pb.Link(up=True, rx_bytes=1)),
    ],
)
def test_values_are_formatted_as_json_format_does(message: Message) -> None:
    assert plain(message) == MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert json_text(message) == json.dumps(plain(message))


def test_only_equal_nexthops_have_equal_text() -> None:
    first, second = (
        pb.Route(desired=pb.Nexthop(id=1, gateway=gateway)) for gateway in ("192.0.2.1", "é\n")
    )
    for row in (first, second, first):
        assert json_text(row) == json.dumps(plain(row))
        assert nexthop_text(row.desired) == _route_nexthop(row)


def test_enum_value_of_a_newer_daemon_is_shown_as_its_number() -> None:
    row = pb.Mac.FromString(b"\x58\x63")  # field 11, the state, is 99
    assert plain(row)["state"] == 99
    assert json.loads(json_text(row))["state"] == 99
