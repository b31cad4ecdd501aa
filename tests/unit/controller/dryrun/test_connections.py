"""SSH sessions found by a process's parents, and rows of /proc/net/tcp."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path

import pytest

from controller.dryrun.connections import ESTABLISHED, LISTEN, Ssh, decode, parse, ssh_session


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1 1 192.0.2.2 22", Ssh(packed("192.0.2.1"), packed("192.0.2.2"))),
        ("2001:db8::1 1 2001:db8::2 22", Ssh(packed("2001:db8::1"), packed("2001:db8::2"))),
        ("::ffff:192.0.2.1 1 ::ffff:192.0.2.2 22", Ssh(packed("192.0.2.1"), packed("192.0.2.2"))),
        ("fe80::1%eth1 1 fe80::2%eth1 22", Ssh(packed("fe80::1"), packed("fe80::2"), "eth1")),
        ("", None),
        ("192.0.2.1 1 192.0.2.2", None),
        ("host 1 other 22", None),
    ],
)
def test_ssh_connection_is_read_or_refused(text: str, found: Ssh | None) -> None:
    assert parse(text) == found


def process(proc: Path, pid: int, parent: int, environment: str) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "status").write_text(f"Name:\tx\nPPid:\t{parent}\n")
    (proc / str(pid) / "environ").write_bytes(environment.encode())


def test_ssh_session_is_found_through_sudo(tmp_path: Path) -> None:
    process(tmp_path, 30, 20, "PATH=/bin\0SUDO_USER=me\0")
    process(tmp_path, 20, 10, "A=b\0SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22\0")
    process(tmp_path, 10, 0, "SSH_CONNECTION=192.0.2.8 1 192.0.2.9 22\0")
    assert ssh_session(30, tmp_path) == Ssh(packed("192.0.2.1"), packed("192.0.2.2"))


def test_process_without_ssh_has_no_session(tmp_path: Path) -> None:
    process(tmp_path, 30, 10, "PATH=/bin\0")
    process(tmp_path, 10, 0, "")
    assert ssh_session(30, tmp_path) is None
    assert ssh_session(99, tmp_path) is None


@pytest.mark.skipif(sys.byteorder != "little", reason="the rows are of a little-endian machine")
def test_tcp_rows_of_both_families_are_decoded() -> None:
    v4 = decode("0: 020200C0:0016 010200C0:C350 01 00000000:00000000 00:00000000 0 0 0 1")
    assert (v4.state, v4.local, v4.port) == (ESTABLISHED, packed("192.0.2.2"), 22)
    assert v4.remote == packed("192.0.2.1")
    v6 = decode("0: B80D0120000000000000000002000000:0016 " + "0" * 32 + ":0000 0A 0")
    assert (v6.state, v6.local, v6.port) == (LISTEN, packed("2001:db8::2"), 22)
    mapped = decode("0: 0000000000000000FFFF0000020200C0:0016 " + "0" * 32 + ":0000 01 0")
    assert mapped.local == packed("192.0.2.2")
