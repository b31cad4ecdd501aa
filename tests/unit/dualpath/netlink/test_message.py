"""The netlink codec checks every length; encoding and decoding agree."""

from __future__ import annotations

import random
import struct

import pytest

from dualpath.netlink import numbers as n
from dualpath.netlink.message import (
    Answer,
    Attributes,
    DecodeError,
    Message,
    answer,
    assemble,
    attribute,
    cut,
    encode_message,
    header,
    is_deletion,
    messages,
    request,
    u32,
)

# As Linux 6.x sent them.
DONE = "1400000003000200010000007b20000000000000"
DONE_ENOENT = "3800000003002202070000007b200000feffffff23000100697076343a20464942207461626c6520646f6573206e6f742065786973740000"  # noqa: E501 - as it was recorded
ERROR = "6000000002000002090000007b200000eaffffff2c00000018000505090000000000000002180000fe04000100000000080001000a00000008001e00090300001e0001004e657874686f7020696420646f6573206e6f74206578697374000000"  # noqa: E501
ERROR_CAPPED = "4400000002000003090000007b200000eaffffff2c0000001800050509000000000000001e0001004e657874686f7020696420646f6573206e6f74206578697374000000"  # noqa: E501

FIXED = struct.Struct("=HH")


def opened(text: str) -> Message:
    buffer = bytes.fromhex(text)
    return header(buffer, 0, len(buffer))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DONE, Answer(1)),
        (DONE_ENOENT, Answer(7, 2, "ipv4: FIB table does not exist")),
        (ERROR, Answer(9, 22, "Nexthop id does not exist")),
        (ERROR_CAPPED, Answer(9, 22, "Nexthop id does not exist")),
    ],
)
def test_replies_of_a_real_kernel_are_decoded(text: str, expected: Answer) -> None:
    assert answer(opened(text)) == expected


@pytest.mark.parametrize("text", [ERROR, ERROR_CAPPED, DONE_ENOENT])
@pytest.mark.parametrize("kept", range(4))
def test_truncated_reply_is_a_decode_error(text: str, kept: int) -> None:
    whole = opened(text)
    with pytest.raises(DecodeError):
        answer(whole._replace(end=whole.payload + kept))


def test_done_without_errno_is_a_decode_error() -> None:
    with pytest.raises(DecodeError):
        answer(opened(encode_message(n.NLMSG_DONE, 0, 1, b"").hex()))


def test_echoed_request_longer_than_its_reply_is_a_decode_error() -> None:
    buffer = bytearray(bytes.fromhex(ERROR))
    buffer[20:24] = b"\xff\xff\xff\x7f"
    with pytest.raises(DecodeError, match="echoed"):
        answer(header(bytes(buffer), 0, len(buffer)))


def test_positive_errno_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="errno"):
        answer(opened(encode_message(n.NLMSG_ERROR, 0, 1, struct.pack("=i", 5)).hex()))


def test_route_is_not_a_reply() -> None:
    with pytest.raises(DecodeError, match="not an answer"):
        answer(opened(request(n.RTM_NEWROUTE, 0, bytes(12)).hex()))


def test_messages_are_split_at_padded_lengths() -> None:
    buffer = encode_message(1, 2, 3, b"abcde") + bytes(3) + encode_message(4, 5, 6, b"")
    first, second = messages(buffer)
    assert (first.type, first.flags, first.sequence, first.port, first.body) == (
        *(1, 2, 3, 0),
        b"abcde",
    )
    assert (second.type, second.start, second.end) == (4, 24, 40)
    assert cut(buffer) == [first.start, second.start]


def test_messages_before_an_invalid_length_are_kept() -> None:
    found = messages(encode_message(3, 0, 1, b"") + encode_message(3, 0, 1, b"")[:-1])
    assert next(found).type == 3
    with pytest.raises(DecodeError):
        next(found)


@pytest.mark.parametrize("tail", [b"\0" * 15, struct.pack("=I", 15) + bytes(12), b"\xff" * 16])
def test_cut_and_messages_reject_the_same_buffers(tail: bytes) -> None:
    buffer = encode_message(3, 0, 1, b"abcd") + tail
    with pytest.raises(DecodeError) as by_cut:
        cut(buffer)
    with pytest.raises(DecodeError) as by_messages:
        list(messages(buffer))
    assert by_cut.value.args == by_messages.value.args


def attributes(body: bytes) -> Attributes:
    return Attributes(body, 0, len(body))


def test_attributes_are_read_by_type_and_width() -> None:
    body = attribute(1, b"\7") + attribute(2, b"\1\2") + u32(3, 70000) + attribute(4, b"eth0\0")
    body += attribute(5 | n.NLA_F_NESTED, u32(9, 8)) + attribute(6, bytes(7) + b"\1")
    got = attributes(body)
    assert (got.u8(1), got.be16(2), got.u32(3), got.text(4)) == (7, 0x0102, 70000, "eth0")
    assert (got.nested(5).u32(9), got.be64(6), got.u16(99, 5), got.raw(99)) == (8, 1, 5, b"")
    assert got.values()[3] == struct.pack("=I", 70000)
    assert 3 in got
    assert 99 not in got


def test_last_of_equal_attributes_is_used() -> None:
    assert attributes(u32(3, 1) + u32(3, 2)).u32(3) == 2


@pytest.mark.parametrize(
    "tail", [b"\x03\0\x01\0", b"\x09\0\x01\0\0\0\0\0", b"\1", b"\0\0\0"], ids=str
)
def test_invalid_attribute_is_a_decode_error_and_earlier_ones_are_readable(tail: bytes) -> None:
    body = u32(3, 1) + tail
    with pytest.raises(DecodeError) as refused:
        attributes(body)
    assert refused.value.offset == 8
    kept = Attributes(body, 0, len(body), partly=True)
    assert kept.u32(3) == 1
    assert kept.error


def test_attribute_of_another_width_is_a_decode_error() -> None:
    got = attributes(attribute(3, b"abc"))
    for read in (got.u8, got.u16, got.u32, got.be64):
        with pytest.raises(DecodeError, match="attribute 3"):
            read(3)
    with pytest.raises(DecodeError, match="attribute 3"):
        got.address(3, 4, 16)


def test_message_has_a_fixed_part_and_attributes() -> None:
    [message] = messages(encode_message(20, 0, 1, FIXED.pack(5, 6) + u32(3, 7)))
    assert message.fixed(FIXED) == (5, 6)
    assert message.attributes(FIXED).u32(3) == 7
    with pytest.raises(DecodeError, match="too short"):
        message._replace(end=message.payload + 3).fixed(FIXED)


def test_requests_are_numbered_and_the_last_is_acknowledged() -> None:
    stream = assemble([request(20, 0, b"abcd"), request(21, 0x400, b"")], 0xFFFF_FFFF)
    first, last = messages(bytes(stream))
    assert (first.sequence, first.flags) == (0xFFFF_FFFF, n.NLM_F_REQUEST)
    assert (last.sequence, last.flags) == (0, n.NLM_F_REQUEST | 0x400 | n.NLM_F_ACK)


@pytest.mark.parametrize("kind", [n.RTM_DELLINK, n.RTM_DELROUTE, n.RTM_DELNEIGH, n.RTM_DELNEXTHOP])
def test_deletions_are_recognized_by_type(kind: int) -> None:
    assert is_deletion(request(kind, 0, b""))
    assert not is_deletion(request(kind - 1, 0, b""))


def test_random_bytes_raise_decode_errors_only() -> None:
    noise, refused = random.Random(3), 0
    seeds = [bytes.fromhex(text) for text in (DONE, DONE_ENOENT, ERROR, ERROR_CAPPED)]
    for _ in range(3000):
        buffer = bytearray(noise.choice(seeds))
        for _ in range(noise.randrange(1, 4)):
            buffer[noise.randrange(len(buffer))] = noise.randrange(256)
        try:
            for message in messages(bytes(buffer[: noise.randrange(len(buffer) + 1)])):
                answer(message)
        except DecodeError:
            refused += 1
    assert 0 < refused < 3000
