"""Which user owns the other end of a connection."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from dualpath.rpc.peers import Owner, owner_of_peer

CALLER = """
import socket, sys
caller = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sys.stdin.read()
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_owner_of_a_tcp_connection_is_found(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]) as caller,
    ):
        served, _ = listener.accept()
        with served:
            inode = os.fstat(caller.fileno()).st_ino
            assert owner_of_peer(served) == Owner(os.getuid(), inode)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_another_user_is_distinguished_from_this_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        listener.settimeout(5)
        program = ["/usr/bin/python3", "-I", "-S", "-c", CALLER, host, str(port)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, user=65534, cwd="/") as caller:
            served, _ = listener.accept()
            with served:
                owner = owner_of_peer(served)
            assert caller.stdin
            caller.stdin.close()
    assert owner
    assert owner.uid == 65534


def test_closed_end_has_no_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
        with served:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            caller.close()
            assert owner_of_peer(served) is None


def test_owner_of_a_unix_connection_is_found(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind(str(tmp_path / "a"))
        listener.listen()
        caller.connect(str(tmp_path / "a"))
        served, _ = listener.accept()
        with served:
            assert owner_of_peer(served) == Owner(os.getuid())
