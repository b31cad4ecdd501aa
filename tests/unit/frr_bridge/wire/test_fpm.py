from __future__ import annotations

import contextlib
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frr_bridge.wire import fpm
from frr_bridge.wire.fpm import FpmFramer, FramingError, frame, scan
from tests.unit.frr_bridge.wire.build import by_id, frames, gateway, route, withdrawal

STREAM = frames(
    route(b"\x0a\0\0\0", 8, by_id(1)), route(bytes(16), 0, by_id(2)), withdrawal(b"\x0b\0\0\0", 9)
)


def payloads(*pieces: bytes) -> list[bytes]:
    framer = FpmFramer()
    return [bytes(payload) for piece in pieces for payload in framer.feed(piece).payloads()]


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_frames_do_not_depend_on_where_the_stream_is_cut(cut: int) -> None:
    assert payloads(STREAM[:cut], STREAM[cut:]) == payloads(STREAM)


def test_frames_do_not_depend_on_the_size_of_reads() -> None:
    stream = STREAM * 200
    pieces = [stream[at : at + 4099] for at in range(0, len(stream), 4099)]
    assert payloads(*pieces) == payloads(stream) == payloads(STREAM) * 200
    assert payloads(*(stream[at : at + 1] for at in range(len(stream)))) == payloads(stream)


def test_a_frame_is_what_the_framer_returns() -> None:
    assert payloads(frame(b"abcd")) == [b"abcd"]
    assert frame(b"abcd") == bytes.fromhex("01010008") + b"abcd"


def test_a_payload_too_long_for_the_header_is_refused() -> None:
    assert len(frame(bytes(65531))) == 65535
    with pytest.raises(ValueError, match="65532"):
        frame(bytes(65532))


@pytest.mark.parametrize(
    "header", ["02010008", "00010008", "01010003", "01010000", "ffffffff", "01020003"]
)
@pytest.mark.parametrize("before", [0, 200])
def test_an_impossible_header_ends_the_connection(header: str, before: int) -> None:
    stream = STREAM * before
    with pytest.raises(FramingError) as caught:
        payloads(stream + bytes.fromhex(header) + bytes(8))
    assert caught.value.offset == len(stream)
    assert caught.value.raw.startswith(bytes.fromhex(header))


def test_a_frame_that_is_not_netlink_is_skipped_and_counted() -> None:
    framer = FpmFramer()
    protobuf = struct.pack("!BBH", 1, 2, 7) + b"abc"
    got = framer.feed(STREAM + protobuf + STREAM)
    assert [bytes(p) for p in got.payloads()] == payloads(STREAM * 2)
    assert framer.skipped == 1


def test_an_address_that_looks_like_a_header_is_not_one() -> None:
    stream = frames(*(route(b"\x01\x01\0\x40", 32, gateway(b"\x01\x01\0\x14", 2)),) * 300)
    offsets, end, _ = scan(stream)
    assert len(offsets) == 300
    assert end == len(stream)


@given(st.integers(0, 2**32), st.sampled_from([4, 1]), st.booleans())
def test_the_search_finds_what_the_walk_finds(seed: int, step: int, other_kinds: bool) -> None:
    source = random.Random(seed)
    stream = b""
    while len(stream) < 3 * fpm.SMALL:
        kind = source.choice([1, 1, 1, 2]) if other_kinds else 1
        length = 4 + step * source.randrange(40)
        noise = source.choice([b"\1\1\0\x14", source.randbytes(4)])
        stream += struct.pack("!BBH", 1, kind, length) + (noise * 40)[: length - 4]
    stream += b"\1\1"[: source.randrange(3)]
    walked, end, skipped = fpm._walk(stream, 0)
    offsets, found_end, found_skipped = scan(stream)
    assert offsets.tolist() == walked
    assert (found_end, found_skipped) == (end, skipped)


@given(st.binary(max_size=3 * fpm.SMALL))
def test_random_bytes_end_in_a_framing_error_or_in_frames(data: bytes) -> None:
    with contextlib.suppress(FramingError):
        payloads(b"\1\1\0\x04" * 2000 + data)
