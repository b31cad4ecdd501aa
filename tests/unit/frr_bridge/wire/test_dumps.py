from __future__ import annotations

import pytest

from dualpath.netlink.numbers import AF_BRIDGE
from frr_bridge.wire import dumps


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (
            dumps.get_links(),
            "28000000 1200 0103 00000000 00000000" + "00" * 16 + "08001d00 08000000",
        ),
        (
            dumps.get_neighbors(AF_BRIDGE),
            "1c000000 1e00 0103 00000000 00000000 07" + "00" * 11,
        ),
        (dumps.get_nexthops(), "18000000 6a00 0103 00000000 00000000" + "00" * 8),
    ],
)
def test_dump_requests_are_encoded_as_iproute2_sends_them(octets: bytes, expected: str) -> None:
    assert octets == bytes.fromhex(expected)
