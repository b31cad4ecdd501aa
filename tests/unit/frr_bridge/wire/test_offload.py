from __future__ import annotations

import numpy as np

from dualpath.model.routes import Family
from frr_bridge.wire.fpm import FpmFramer
from frr_bridge.wire.offload import RTM_F_OFFLOAD_FAILED, offload
from frr_bridge.wire.route import RTMSG
from tests.unit.frr_bridge.wire.render import render_stream


def answer(table: int, family: Family, *rows: tuple[bytes, int, int, bool]) -> bytes:
    prefixes = np.frombuffer(b"".join(row[0] for row in rows), np.uint8)
    return offload(
        table,
        family,
        prefixes.reshape(-1, family.width),
        np.array([row[1] for row in rows], np.uint8),
        np.array([row[2] for row in rows], np.uint8),
        np.array([row[3] for row in rows], np.bool_),
    )


def test_the_smallest_answer_that_zebra_takes() -> None:
    expected = (
        "01010030 2c000000 1800 0100 00000000 00000000"
        "02 18 00 00 fe ba 00 01 00400000 08000100 14000000 08000f00 fe000000"
    )
    got = answer(254, Family.INET, (bytes([20, 0, 0, 0]), 24, 186, False))
    assert got == bytes.fromhex(expected)


def test_a_large_table_is_said_in_the_attribute_only() -> None:
    got = answer(1100, Family.INET, (bytes([20, 0, 0, 0]), 24, 186, False))
    assert RTMSG.unpack_from(got, 20)[4] == 0
    assert got.endswith(bytes.fromhex("08000f00 4c040000"))


def test_every_row_has_a_frame_and_its_own_outcome() -> None:
    rows = [(bytes([20, 0, i, 0]), 24, 10 + i, i == 1) for i in range(3)]
    got = answer(254, Family.INET, *rows)
    frames = FpmFramer().feed(got)
    values = [RTMSG.unpack_from(payload, 16) for payload in frames.payloads()]
    assert [value[8] for value in values] == [0x4000, RTM_F_OFFLOAD_FAILED, 0x4000]
    assert [value[5] for value in values] == [10, 11, 12]


def test_ipv6() -> None:
    got = answer(254, Family.INET6, (bytes.fromhex("20010db8") + bytes(12), 32, 186, False))
    assert "error no nexthop (byte 20)" in render_stream(got)  # there is none to name
    assert len(got) == 60
    assert bytes.fromhex("0a200000 feba0001") in got


def test_no_rows() -> None:
    assert answer(254, Family.INET) == b""
