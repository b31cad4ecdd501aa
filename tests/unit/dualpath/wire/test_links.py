"""Every field of every record round-trips, new fields included."""

from __future__ import annotations

import dataclasses
import types
import typing

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Address, HostEnd, Port, Vni, Vrf
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import Record
from dualpath.wire.state import record_from_pb, record_to_pb

ADDRESS = Address.parse("2001:db8::1/64")
MADE: dict[object, object] = {
    str: "text",
    int: 7,
    bool: True,
    bytes: bytes(16),
    Address: ADDRESS,
    Member: Member(9, 3),
    NexthopType: NexthopType.GROUP,
}


def filled(record: type) -> typing.Any:  # noqa: ANN401  whatever record
    """Return a record without any default value."""
    hints = typing.get_type_hints(record)
    values = {field.name: _made(hints[field.name]) for field in dataclasses.fields(record)}
    return record(**values)


def _made(hint: object) -> object:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return (_made(parts[0]),)
    if origin is types.UnionType:
        return _made(next(part for part in parts if part is not types.NoneType))
    return filled(HostEnd) if hint is HostEnd else MADE[hint]


@pytest.mark.parametrize("record", [Vrf, Vni, Port, RemoteVtep, Flood, Mac, Neighbor, Nexthop, Lsp])
def test_every_field_round_trips(record: type) -> None:
    value = filled(record)
    defaults = {
        field.name
        for field in dataclasses.fields(record)
        if getattr(value, field.name) == field.default
    }
    assert not defaults
    assert record_from_pb(record_to_pb(value)) == value


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ROUTE])
def test_every_kind_round_trips(kind: Kind) -> None:
    classes = {record.kind for record in typing.get_args(Record)}
    assert kind in classes


def test_own_namespace_differs_from_an_unset_one() -> None:
    for source in (None, "", "blue"):
        port = Port("eth1", source_netns=source)
        assert record_from_pb(record_to_pb(port)) == port
