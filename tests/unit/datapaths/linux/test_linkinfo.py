"""What is read of a device's message."""

from __future__ import annotations

import pytest

from datapaths.linux.linkinfo import OF_KIND, OF_PORT, Info
from dualpath.netlink.message import DecodeError, attribute, u32


def test_attribute_of_a_kind_is_read_by_its_name() -> None:
    octets = u32(1, 110) + attribute(15, (4789).to_bytes(2, "big")) + attribute(20, b"\1")
    info = Info(octets, OF_KIND["vxlan"])
    assert info.get("vxlan_id") == 110
    assert info.get("vxlan_port") == 4789
    assert info.get("vxlan_udp_zero_csum6_rx") == 1


@pytest.mark.parametrize("octets", [b"", attribute(8, b""), attribute(8, bytes(4))])
def test_attribute_that_is_missing_or_has_another_width_is_none(octets: bytes) -> None:
    assert Info(octets, OF_PORT).get("learning") is None
    assert Info(octets, OF_PORT).get("vxlan_id") is None


def test_bytes_that_are_no_attributes_are_an_error() -> None:
    with pytest.raises(DecodeError):
        Info(b"\1\0\0\0\0", OF_PORT).get("learning")
