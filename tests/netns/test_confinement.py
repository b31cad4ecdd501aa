"""A compromised FRR daemon cannot affect the machine."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from datapaths.base import Unsupported
from datapaths.linux import idmap, netns
from tests.netns.namespaces import fresh, run

pytestmark = pytest.mark.netns

NAME = "dp-dev-confined"
ATTACK = Path(__file__).with_name("attack.py").read_text()
PYTHON = "/usr/bin/python3"  # one that every user may run
STAND_IN = "daemon"  # for user frr, on a machine without FRR
BGPD = "net_bind_service,net_admin,net_raw,sys_admin"
FINIT_MODULE = {"x86_64": 313, "aarch64": 273}

EXEC = [sys.executable, "-P", "-m", "frr_bridge.frr_exec"]


@dataclass(frozen=True, slots=True)
class World:
    """The targets of an attack, and the command that enters FRR's namespaces."""

    targets: dict[str, Any]
    enter: list[str]
    descriptors: list[int]

    def attack(self, *wrapper: str) -> dict[str, str]:
        command = [
            *self.enter,
            *wrapper,
            PYTHON,
            "-I",
            "-S",
            "-c",
            ATTACK,
            json.dumps(self.targets),
        ]
        done = subprocess.run(
            command,
            pass_fds=self.descriptors,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, str] = json.loads(done.stdout)
        return found


@pytest.fixture
def frr_uid(monkeypatch: pytest.MonkeyPatch) -> int:
    try:
        return pwd.getpwnam(idmap.USER).pw_uid
    except KeyError:
        monkeypatch.setattr(idmap, "USER", STAND_IN)
        return pwd.getpwnam(STAND_IN).pw_uid


@pytest.fixture
def tree() -> Iterator[Path]:
    """Create root's files in a directory that every user may read."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    try:
        (root / "secret").write_text("secret\n")
        (root / "secret").chmod(0o600)
        (root / "public").touch(0o644)
        (root / "dir").mkdir()
        (root / "dir").chmod(0o755)
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        shutil.copy(shutil.which("touch") or "", root / "setuid")
        (root / "setuid").chmod(0o4755)
        yield root
    finally:
        shutil.rmtree(root)


@pytest.fixture
def world(tree: Path, frr_uid: int) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        stack.callback(netns.remove, NAME, tree / "userns")
        try:
            netns.create_isolated(NAME, tree / "userns")
        except Unsupported as error:
            pytest.skip(str(error))
        (forwarding,) = stack.enter_context(fresh("forwarding"))
        namespaces = {
            "the forwarding namespace": (netns.path_of(forwarding), netns.CLONE_NEWNET),
            "the machine's network": ("/proc/self/ns/net", netns.CLONE_NEWNET),
            "the machine's mounts": ("/proc/self/ns/mnt", 0x20000),
            "the machine's users": ("/proc/self/ns/user", 0x10000000),
            "the machine's processes": ("/proc/self/ns/pid", 0x20000000),
        }
        opened = {
            name: (os.open(path, os.O_RDONLY), kind) for name, (path, kind) in namespaces.items()
        }
        for fd, _ in opened.values():
            stack.callback(os.close, fd)
        targets = {
            "secret": str(tree / "secret"),
            "public": str(tree / "public"),
            "dir": str(tree / "dir"),
            "tmp": str(tree / "tmp"),
            "setuid": str(tree / "setuid"),
            "service": stack.enter_context(service(tree / "service")),
            "forwarding": netns.path_of(forwarding),
            "root_pid": stack.enter_context(sleeping(0)),
            "frr_pid": stack.enter_context(sleeping(frr_uid)),
            "nobody_pid": stack.enter_context(sleeping(65534)),
            "namespaces": opened,
            "finit_module": FINIT_MODULE[os.uname().machine],
        }
        enter = [*EXEC, f"--netns={NAME}", f"--userns-dir={tree / 'userns'}", "--"]
        yield World(targets, enter, [fd for fd, _ in opened.values()])
        assert (tree / "secret").read_text() == "secret\n"
        assert not list((tree / "dir").iterdir())
        assert "evil" not in run("ip link show")


@contextlib.contextmanager
def sleeping(uid: int) -> Iterator[int]:
    """Run a process of a user outside."""
    with subprocess.Popen(["sleep", "600"], user=uid, cwd="/") as process:
        yield process.pid
        assert process.poll() is None, "somebody killed it"
        process.kill()


@contextlib.contextmanager
def service(path: Path) -> Iterator[str]:
    """Serve clients with root's socket credentials, as D-Bus does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o777)
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                connection.send(b"root" if struct.unpack("=iII", peer)[1] == 0 else b"else")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(path)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def as_user(uid: int, capabilities: str = "") -> list[str]:
    words = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    if capabilities:
        raised = ",".join(f"+{name}" for name in capabilities.split(","))
        words += [f"--inh-caps={raised}", f"--ambient-caps={raised}"]
    return ["setpriv", *words, "--"]


def worked(found: dict[str, str]) -> list[str]:
    return [name for name, result in found.items() if result == "done"]


def test_compromised_bgpd_cannot_affect_the_machine(world: World, frr_uid: int) -> None:
    found = world.attack(*as_user(frr_uid, BGPD))
    assert len(found) > 40
    assert worked(found) == []


def test_root_in_frrs_namespaces_cannot_affect_the_machine(world: World) -> None:
    assert worked(world.attack()) == []


def test_nobody_in_frrs_namespaces_cannot_affect_the_machine(world: World) -> None:
    assert worked(world.attack(*as_user(65534))) == []


def test_program_started_by_nsenter_is_not_the_machines_root(world: World, tree: Path) -> None:
    """Then it sees the pins, and has all capabilities in its own namespaces.

    The limit on namespaces is that of its own user namespace.
    """
    enter = ["nsenter", f"--user={tree / 'userns' / NAME}", f"--net=/run/netns/{NAME}", "--"]
    found = World(world.targets, enter, world.descriptors).attack()
    assert set(worked(found)) <= {
        "find the forwarding namespace",
        "find the bus of the controller",
        "change root",
        "write user.max_user_namespaces",
    }


def test_compromised_bgpd_can_reach_only_what_user_frr_owns(world: World, frr_uid: int) -> None:
    """A process of user frr outside, such as vtysh of frr-bridge, can be ended; see SECURITY.md."""
    kill = f"import os; os.kill({world.targets['frr_pid']}, 0)"
    command = [*world.enter, *as_user(frr_uid), PYTHON, "-I", "-c", kill]
    subprocess.run(command, check=True, timeout=30)


def test_frr_has_the_capabilities_that_it_needs(world: World, tree: Path, frr_uid: int) -> None:
    """Root inside does what frrinit.sh and watchfrr do in a directory of user frr."""
    home = tree / "frr"
    home.mkdir(0o700)
    os.chown(home, frr_uid, frr_uid)
    script = (
        f"set -e; install -o {frr_uid} -g 0 -m 0640 /dev/null {home}/a; echo 1 > {home}/pid;"
        " ip link add v0 type veth peer name v1; echo 1 > /proc/sys/net/ipv4/ip_forward"
    )
    subprocess.run([*world.enter, "sh", "-c", script], check=True, timeout=30)
    assert (home / "a").stat().st_uid == frr_uid
    assert (home / "pid").stat().st_uid == idmap.FIRST


def test_control_namespace_of_an_earlier_version_is_refused(tree: Path) -> None:
    holder = subprocess.Popen(["unshare", "--user", "--net", "sleep", "60"])
    try:
        here = os.stat("/proc/self/ns/net").st_ino
        while os.stat(f"/proc/{holder.pid}/ns/net").st_ino == here:
            pass
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{holder.pid}/{kind}").write_text("0 0 65536\n")
        command = [*EXEC, f"--netns=/proc/{holder.pid}/ns/net", f"--userns-dir={tree}", "--", "id"]
        (tree / "net").symlink_to(f"/proc/{holder.pid}/ns/user")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    finally:
        holder.kill()
        holder.wait()
    assert done.returncode == 1
    assert "is the machine's root" in done.stderr
    assert done.stdout == ""


def test_control_namespace_without_a_user_namespace_is_refused(tree: Path) -> None:
    with fresh("plain") as (plain,):
        command = [*EXEC, f"--netns={plain}", "--", "id"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "has no user namespace of its own" in done.stderr
