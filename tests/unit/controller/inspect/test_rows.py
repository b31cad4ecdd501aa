from __future__ import annotations

import pytest

from controller.inspect import rows
from controller.inspect.text import address_text, errno_text, mac_text, protocol_text, timestamp
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac
from dualpath.model.nexthops import BLACKHOLE, Member, Nexthop, NexthopType
from dualpath.model.view import RecordRow, RowState
from dualpath.pb import state_pb2
from tests.fakes.view import fabric


def test_numbers_on_the_wire_are_those_of_the_model() -> None:
    assert all(int(number) == state for state, number in rows.STATES.items())
    assert all(int(number) == kind for kind, number in rows.KINDS.items())
    assert all(int(number) == type_ for type_, number in rows.TYPES.items())
    assert len(rows.STATES) == len(RowState)
    assert len(rows.KINDS) == len(Kind)


def test_a_group_is_expanded_to_its_legs() -> None:
    view = fabric()
    group = rows.Nexthops(view.nexthop).message(4)
    assert group is not None
    assert [(m.weight, m.nexthop.device) for m in group.members] == [(1, "eth1"), (2, "eth2")]


def test_a_group_in_a_group_is_not_followed() -> None:
    group = Nexthop(9, NexthopType.GROUP, members=(Member(9),))
    message = rows.nexthop(group, lambda _: group)
    assert [m.nexthop.id for m in message.members] == [9]
    assert not message.members[0].nexthop.members


def test_a_mapped_gateway_gives_its_vtep_as_ipv4() -> None:
    message = rows.Nexthops(fabric().nexthop).message(6)
    assert message is not None
    assert (message.gateway, message.vtep) == ("::ffff:192.0.2.12", "192.0.2.12")


def test_a_reserved_nexthop_has_its_type() -> None:
    message = rows.Nexthops(fabric().nexthop).message(BLACKHOLE)
    assert message is not None
    assert message.type == state_pb2.NEXTHOP_TYPE_BLACKHOLE


def test_a_row_of_another_kind_is_a_bug() -> None:
    with pytest.raises(TypeError, match="FLOOD"):
        rows.macs([RecordRow(Flood(1, b"\1\2\3\4"), RowState.PROGRAMMED)], lambda _: ())


def test_a_row_without_a_time_has_none() -> None:
    row = RecordRow(Mac(210, b"\xaa" * 6), RowState.PENDING)
    assert not rows.macs([row], lambda _: ()).macs[0].HasField("changed_at")


def test_text_is_as_people_write_it() -> None:
    assert address_text(b"") == ""
    assert address_text(bytes(15) + b"\1") == "::1"
    assert mac_text(bytes.fromhex("aabbcc000001")) == "aa:bb:cc:00:00:01"
    assert (errno_text(0), errno_text(2), errno_text(255)) == ("", "ENOENT", "errno 255")
    assert timestamp(0.0) is None


@pytest.mark.parametrize(
    ("number", "name"), [(2, "kernel"), (68, "dualpath"), (186, "bgp"), (77, "77")]
)
def test_protocols_are_named(number: int, name: str) -> None:
    assert protocol_text(number) == name
