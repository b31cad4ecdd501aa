"""The format of recordings: what is written is read back, and nothing hostile gets through."""

from __future__ import annotations

import contextlib
import io
import random
import struct

import pytest

from frr_bridge.recording import pcapng
from frr_bridge.recording.pcapng import PIECE, Entry, Feed, RecordingError, read

FRAMES = bytes(range(256)) * 600
RECORDING = (
    pcapng.head()
    + pcapng.mark(1, "part 1")
    + pcapng.netlink(2, b"rows....")
    + pcapng.fpm(3, 1, 0, FRAMES)
)


def entries(data: bytes) -> list[Entry]:
    return list(read(io.BytesIO(data)))


def test_packets_are_read_back_with_their_times() -> None:
    mark, netlink, *fpm = entries(RECORDING)
    assert mark == Entry(1, Feed.MARK, b"part 1")
    assert netlink == Entry(2, Feed.NETLINK, b"rows....")
    assert [entry.feed for entry in fpm] == [Feed.FPM] * 3
    assert b"".join(entry.data for entry in fpm) == FRAMES


def test_bytes_of_fpm_are_one_tcp_stream_to_wireshark() -> None:
    first, second = (pcapng.fpm(0, 7, at, b"x" * 9)[28:68] for at in (0, 9))
    assert struct.unpack("!HH", first[20:24]) == (40_007, 2620)
    assert struct.unpack("!I", second[24:28])[0] - struct.unpack("!I", first[24:28])[0] == 9
    assert sum(struct.unpack("!10H", first[:20])) % 0xFFFF == 0  # the IPv4 checksum, RFC 1071


def test_packet_holds_what_an_ipv4_length_can_say() -> None:
    assert PIECE + 40 < 1 << 16


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a recording of frr-bridge"),
        (b"\x7fELF" + bytes(60), "not a recording of frr-bridge"),
        (b"\xd4\xc3\xb2\xa1" + bytes(60), "not a recording of frr-bridge"),
        (RECORDING[:8] + RECORDING[11:7:-1] + RECORDING[12:], "other byte order"),
        (RECORDING.replace(b"dualpath recording", b"dumpcap, the other"), "another program"),
        (RECORDING.replace(b"recording 1", b"recording 2"), "version '2' of the format"),
        (RECORDING[:-3], "cut off at byte"),
        (RECORDING + RECORDING, "another file begins at byte"),
        (RECORDING + struct.pack("=II", 6, 8), "a block of 8 bytes"),
        (RECORDING + struct.pack("=II", 6, 1 << 31), "a block of 2147483648 bytes"),
        (RECORDING + struct.pack("=III", 6, 12, 16), "a block with two lengths"),
        (RECORDING + struct.pack("=III", 6, 12, 12), "a packet without a header"),
        (RECORDING + pcapng._block(6, struct.pack("=5I", 3, 0, 0, 0, 0)), "a packet that cannot"),
        (RECORDING + pcapng._block(6, struct.pack("=5I", 2, 0, 0, 9, 9)), "a packet that cannot"),
        (RECORDING + pcapng._block(6, struct.pack("=5I", 0, 0, 0, 0, 0)), "without its headers"),
        (RECORDING + pcapng._block(1, struct.pack("=HHI", 1, 0, 0)), "interface 3 is not"),
    ],
)
def test_damage_is_explained(data: bytes, why: str) -> None:
    with pytest.raises(RecordingError, match=why):
        entries(data)


def test_what_is_before_the_damage_is_read() -> None:
    source = read(io.BytesIO(RECORDING[:-3]))
    assert next(source).data == b"part 1"


def test_other_blocks_are_skipped() -> None:
    """Wireshark adds statistics when it saves a file."""
    assert entries(RECORDING + pcapng._block(5, bytes(8))) == entries(RECORDING)


def test_damaged_files_raise_nothing_else() -> None:
    source = random.Random(5)
    small = pcapng.head() + pcapng.mark(1, "part 1") + pcapng.fpm(3, 1, 0, b"x" * 50)
    for _ in range(3000):
        data = bytearray(small)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        with contextlib.suppress(RecordingError):
            entries(bytes(data[: source.randint(1, len(data))]))
