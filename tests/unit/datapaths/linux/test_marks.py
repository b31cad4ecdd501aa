"""Marks on owned devices are written and parsed without loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapaths.linux.marks import Mark, decode, encode
from dualpath.model.links import Address

ADDRESSES = tuple(Address.parse(text) for text in ("10.0.0.2/31", "10.0.0.1/32", "fd00::1/64"))


def test_mark_round_trips_with_its_addresses_in_order() -> None:
    mark = Mark("port", ADDRESSES, {"ns": "/run/netns/x", "layer": 2})
    assert decode(encode(mark)) == mark


def test_empty_fields_are_not_written() -> None:
    assert encode(Mark("vrf", (), {"twin": 0, "was": ""})) == encode(Mark("vrf"))


def test_equal_marks_have_equal_text() -> None:
    assert encode(Mark("x", (), {"a": 1, "b": 2})) == encode(Mark("x", (), {"b": 2, "a": 1}))


def test_mark_longer_than_an_alias_is_refused() -> None:
    many = tuple(Address(bytes([0xFD, *([0xAB] * 14), i]), 128) for i in range(8))
    with pytest.raises(OSError, match="too many addresses"):
        encode(Mark("port", many))


def test_existing_alias_that_leaves_no_room_is_an_error_with_advice() -> None:
    with pytest.raises(OSError, match="shorten it by 18 bytes"):
        encode(Mark("port", notes={"was": "x" * 240}))
    encode(Mark("port", notes={"was": "x" * (240 - 18)}))


@pytest.mark.parametrize(
    "alias", ["", "uplink", "dualpath:", "dualpath:[]", 'dualpath:{"what":1,"addr":"x"}']
)
def test_foreign_alias_is_not_a_mark(alias: str) -> None:
    assert decode(alias) is None


@given(st.text(max_size=60))
def test_any_alias_is_parsed_without_an_error(text: str) -> None:
    decode(f"dualpath:{text}")
