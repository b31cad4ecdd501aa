"""The recorder: private, bounded, and never a reason for frr-bridge to end."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import pytest

from dualpath.netlink.message import attribute, encode_message
from dualpath.netlink.numbers import IFLA_IFALIAS, IFLA_IFNAME, RTM_NEWLINK
from frr_bridge.recording import recorder as module
from frr_bridge.recording import tape
from frr_bridge.recording.pcapng import Entry, Feed, RecordingError, read
from frr_bridge.recording.recorder import Recorder
from frr_bridge.recording.scrub import scrub
from frr_bridge.wire.link import IFINFOMSG


def entries(path: Path) -> list[Entry]:
    with path.open("rb") as stream:
        return list(read(stream))


def texts(path: Path) -> list[str]:
    return [entry.data.decode() for entry in entries(path) if entry.feed is Feed.MARK]


def link(alias: bytes) -> bytes:
    body = IFINFOMSG.pack(0, 1, 3, 0, 0)
    attributes = attribute(IFLA_IFNAME, b"eth1\0") + attribute(IFLA_IFALIAS, alias)
    return encode_message(RTM_NEWLINK, 0, 0, body + attributes)


def test_recording_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "r"
    before = os.umask(0)
    try:
        made = Recorder(path)
    finally:
        os.umask(before)
    made.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert texts(path) == ["part 1"]


def test_everything_is_in_order_and_an_alias_is_not_there(tmp_path: Path) -> None:
    made = Recorder(tmp_path / "r")
    made.mark(f"{tape.INPUT}connected")
    made.netlink(link(b"the password is 1234\0"))
    made.fpm(b"", b"frames")
    made.close()
    _, mark, netlink, fpm = entries(tmp_path / "r")
    assert (mark.data, fpm.data) == (b"input connected", b"frames")
    assert b"password" not in netlink.data
    assert b"eth1" in netlink.data
    assert len(netlink.data) == len(link(b"the password is 1234\0"))


@pytest.mark.parametrize("alias", [b"", b"x", b"secret"])
def test_scrubbed_messages_keep_their_lengths(alias: bytes) -> None:
    rows = link(alias) + link(b"more")
    assert len(scrub(rows)) == len(rows)
    assert b"more" not in scrub(rows)


def test_message_that_cannot_be_read_is_left_out() -> None:
    bad = bytearray(link(b"secret"))
    struct.pack_into("=H", bad, 32, 3)  # the first attribute's length
    assert scrub(link(b"a") + bytes(bad)) == scrub(link(b"a"))


def test_full_file_becomes_the_older_one_and_the_next_begins_whole(tmp_path: Path) -> None:
    dumps: list[int] = []
    made = Recorder(tmp_path / "r", limit=4096)
    made.state = lambda: ["state live"]
    made.dump = lambda: dumps.append(1)
    made.fpm(b"", b"a" * 5000)
    made.fpm(b"half a frame ", b"and its end")  # the first bytes of the next file
    made.close()
    assert texts(tmp_path / "r.1") == ["part 1"]
    part, state, fpm = entries(tmp_path / "r")
    assert (part.data, state.data) == (b"part 2", b"state live")
    assert fpm.data == b"half a frame and its end"
    assert dumps == [1]


def test_dump_that_is_larger_than_a_file_does_not_ask_for_another(tmp_path: Path) -> None:
    dumps: list[int] = []
    made = Recorder(tmp_path / "r", limit=4096)
    made.dump = lambda: dumps.append(1)
    for _ in range(50):
        made.fpm(b"", b"a" * 1000)
    made.mark(tape.DUMP_END)
    made.close()
    assert dumps == [1]
    assert sum((tmp_path / name).stat().st_size for name in ("r", "r.1")) < 6 * 4096


def test_earlier_recording_is_kept(tmp_path: Path) -> None:
    for text in ("lost", "behind"):
        made = Recorder(tmp_path / "r")
        made.mark(text)
        made.close()
    assert (texts(tmp_path / "r")[1], texts(tmp_path / "r.1")[1]) == ("behind", "lost")


@pytest.mark.parametrize("name", ["r", "r.1"])
def test_no_other_file_is_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(RecordingError, match=f"{name} exists and is not a recording"):
        Recorder(tmp_path / "r")
    assert (tmp_path / name).read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "r").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Recorder(tmp_path / "r")
    assert not (tmp_path / "elsewhere").exists()


def test_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r")
    with pytest.raises(RecordingError):
        Recorder(tmp_path / "r")


def test_full_disk_ends_the_recording_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(fd: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    made = Recorder(tmp_path / "r")
    monkeypatch.setattr(os, "write", full)
    for _ in range(100):
        made.netlink(link(b""))
    made.close()
    made.mark("lost")
    (line,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert line.endswith("No space left on device; the recording ends here, frr-bridge continues")


def test_disk_that_hangs_ends_the_recording_and_blocks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = Recorder(tmp_path / "r")
    answers = threading.Event()
    monkeypatch.setattr(os, "write", lambda _, data: answers.wait(30) and len(data))
    monkeypatch.setattr(module, "_BEHIND", 1 << 16)
    for _ in range(100):
        made.fpm(b"", bytes(2048))
    assert "behind" in caplog.text
    answers.set()
    made.close()
