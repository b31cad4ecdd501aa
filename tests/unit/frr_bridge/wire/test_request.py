from __future__ import annotations

import pytest

from frr_bridge.errors import DecodeError
from frr_bridge.wire import request
from frr_bridge.wire.netlink import AF_BRIDGE, AF_INET, message
from frr_bridge.wire.request import Answer, answer, split
from tests.unit.frr_bridge.wire import real


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (
            request.get_links(7),
            "28000000 1200 0103 07000000 00000000" + "00" * 16 + "08001d00 08000000",
        ),
        (request.get_addresses(8), "18000000 1600 0103 08000000 00000000" + "00" * 8),
        (
            request.get_neighbors(9, AF_BRIDGE),
            "1c000000 1e00 0103 09000000 00000000 07" + "00" * 11,
        ),
        (request.get_nexthops(10), "18000000 6a00 0103 0a000000 00000000" + "00" * 8),
        (
            request.get_routes(11, AF_INET, 1100),
            "24000000 1a00 0103 0b000000 00000000 02" + "00" * 11 + "08000f00 4c040000",
        ),
    ],
)
def test_requests(octets: bytes, expected: str) -> None:
    assert octets == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (real.K_DONE, Answer(1)),
        (real.K_DONE_ENOENT, Answer(7, 2, "ipv4: FIB table does not exist")),
        (real.K_ERROR, Answer(9, 22, "Nexthop id does not exist")),
        (real.K_ERROR_CAPPED, Answer(9, 22, "Nexthop id does not exist")),
    ],
)
def test_real_answers(text: str, expected: Answer) -> None:
    assert answer(*real.opened(text)) == expected


def test_a_datagram_is_split_into_messages() -> None:
    datagram = real.octets(real.K_SELF_MAC) + real.octets(real.K_DONE)
    assert [(m.type, m.start, m.end) for m in split(datagram)] == [(28, 0, 68), (3, 68, 88)]


def test_what_is_before_a_bad_length_is_kept() -> None:
    datagram = real.octets(real.K_DONE) + message(3, 0, 1, b"")[:-1]
    messages = split(datagram)
    assert next(messages).type == 3
    with pytest.raises(DecodeError):
        next(messages)


@pytest.mark.parametrize("text", [real.K_ERROR, real.K_ERROR_CAPPED, real.K_DONE_ENOENT])
def test_truncated_answers_are_refused(text: str) -> None:
    buffer, whole = real.opened(text)
    for end in range(whole.body, whole.body + 4):
        with pytest.raises(DecodeError):
            answer(buffer, whole._replace(type=2, end=end))


def test_an_echo_that_is_too_long_is_refused() -> None:
    buffer = bytearray(real.octets(real.K_ERROR))
    buffer[20:24] = b"\xff\xff\xff\x7f"
    with pytest.raises(DecodeError, match="echoed"):
        answer(bytes(buffer), real.opened(real.K_ERROR)[1])


def test_a_route_is_no_answer() -> None:
    with pytest.raises(DecodeError, match="not an answer"):
        answer(*real.opened(real.NHID))
