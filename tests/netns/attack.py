"""What a process in FRR's namespaces tries against the machine. Stands alone: it runs as it is, by
`python3 -I -c`, with the things to attack as JSON; prints what each attempt came to as JSON.

A result is an errno's name, or "done" when it worked.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MNT_DETACH, PTRACE_SEIZE = 4096, 2, 0x4206
NEW = os.O_CREAT | os.O_WRONLY
libc = ctypes.CDLL(None, use_errno=True)
at = json.loads(sys.argv[1])


def call(name: str, *arguments: Any) -> None:  # noqa: ANN401  what C takes
    ctypes.set_errno(0)
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def write(path: str, data: bytes = b"x", flags: int = os.O_WRONLY) -> None:
    fd = os.open(path, flags)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def rewrite(path: str) -> None:
    """Write the present contents again, so that a machine that permits it is unchanged."""
    with open(path, "rb") as file:
        data = file.read()
    write(path, data)


def peek(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


def in_child(work: Callable[[], object]) -> None:
    """Run in a child process, as a thread cannot leave an entered namespace; raise its error."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        try:
            work()
            code = 0
        except OSError as error:
            code = error.errno or errno.EIO
        os.write(write_end, bytes([min(code, 255)]))
        os._exit(0)
    os.close(write_end)
    code = os.read(read_end, 1)[0]
    os.close(read_end)
    os.wait()
    if code:
        raise OSError(code, "child")


def mount_over(path: str) -> None:
    call("mount", b"none", os.fsencode(path), b"tmpfs", 0, None)


def bind_over(path: str) -> None:
    call("mount", os.fsencode(at["tmp"]), os.fsencode(path), None, MS_BIND, None)


def unshared_mount() -> None:
    call("unshare", CLONE_NEWNS)
    mount_over("/etc")


def nested_root() -> None:
    call("unshare", CLONE_NEWUSER)


def setuid_program(program: str, target: str) -> None:
    subprocess.run([program, target], stderr=subprocess.DEVNULL, check=False)
    if os.path.exists(target):
        return
    raise PermissionError(errno.EPERM, "the program did nothing")


def become_root() -> None:
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    write(at["secret"])


def tell_root_service() -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(at["service"])
        if client.recv(4) != b"root":
            raise PermissionError(errno.EPERM, "not taken for root")


def link_into(netns_pid: str) -> None:
    done = subprocess.run(
        ["ip", "link", "add", "evil0", "type", "veth", "peer", "name", "evil1", "netns", netns_pid],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise PermissionError(errno.EPERM, done.stderr.decode())


def traced(pid: int) -> None:
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    call("ptrace", PTRACE_SEIZE, pid, None, None)


def raise_limit() -> None:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 10, (1 << 20) + 1))
    except ValueError as error:  # Python's name for EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def entering(fd: int, kind: int) -> Callable[[], None]:
    return lambda: in_child(lambda: call("setns", fd, kind))


root, frrs, inits = at["root_pid"], at["frr_pid"], at["namespaces"]
ATTEMPTS: dict[str, Callable[[], object]] = {
    "read root's file": lambda: peek(at["secret"]),
    "write root's file": lambda: write(at["secret"]),
    "chmod root's file": lambda: os.chmod(at["public"], 0o777),
    "chown root's file": lambda: os.chown(at["public"], os.getuid(), os.getgid()),
    "remove root's file": lambda: os.unlink(at["public"]),
    "make a file in root's directory": lambda: write(
        at["dir"] + "/new", b"", os.O_CREAT | os.O_WRONLY
    ),
    "read /etc/shadow": lambda: peek("/etc/shadow"),
    "write to /etc": lambda: write("/etc/evil", b"", NEW),
    "read root's environment": lambda: peek(f"/proc/{root}/environ"),
    "read root's memory": lambda: peek(f"/proc/{root}/mem"),
    "write root's memory": lambda: write(f"/proc/{root}/mem"),
    "enter by root's working directory": lambda: os.listdir(f"/proc/{root}/cwd/"),
    "mount over /etc": lambda: in_child(lambda: mount_over("/etc")),
    "bind over /etc": lambda: in_child(lambda: bind_over("/etc")),
    "mount over /tmp": lambda: in_child(lambda: mount_over(at["tmp"])),
    "mount in a new mount namespace": lambda: in_child(unshared_mount),
    "become root of a new user namespace": lambda: in_child(nested_root),
    "make a network namespace": lambda: in_child(lambda: call("unshare", CLONE_NEWNET)),
    "unmount what hides the pins": lambda: in_child(
        lambda: call("umount2", b"/run/netns", MNT_DETACH)
    ),
    "change root": lambda: in_child(lambda: os.chroot(at["tmp"])),
    "ptrace root's process": lambda: in_child(lambda: traced(root)),
    "ptrace a process of user frr outside": lambda: in_child(lambda: traced(frrs)),
    "kill root's process": lambda: os.kill(root, 0),
    "kill nobody's process": lambda: os.kill(at["nobody_pid"], 0),
    "become uid 0 of the host": lambda: in_child(become_root),
    "run a setuid program": lambda: setuid_program(at["setuid"], at["dir"] + "/by-setuid"),
    "be taken for root by a service": tell_root_service,
    "make a device": lambda: os.mknod(at["tmp"] + "/null", 0o20666, os.makedev(1, 3)),
    "make a disk": lambda: os.mknod(at["tmp"] + "/disk", 0o60666, os.makedev(8, 0)),
    "load a module": lambda: call("syscall", at["finit_module"], 0, b"", 0),
    "set the host's name": lambda: in_child(lambda: call("sethostname", b"evil", 4)),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "write kernel.core_pattern": lambda: rewrite("/proc/sys/kernel/core_pattern"),
    "write kernel.modprobe": lambda: rewrite("/proc/sys/kernel/modprobe"),
    "write vm.overcommit_memory": lambda: rewrite("/proc/sys/vm/overcommit_memory"),
    "write user.max_user_namespaces": lambda: write("/proc/sys/user/max_user_namespaces", b"9\n"),
    "write sysrq-trigger": lambda: os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY)),
    "swap": lambda: call("swapon", os.fsencode(at["tmp"]), 0),
    "raise a hard limit": raise_limit,
    "put a device into the host's namespace": lambda: link_into("1"),
    "find the forwarding namespace": lambda: peek(at["forwarding"]),
    "find the bus of the controller": lambda: os.listdir("/run/dualpath/userns"),
    **{f"enter {name}": entering(fd, kind) for name, (fd, kind) in inits.items()},
}


def result(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "done"


signal.alarm(60)
json.dump({name: result(attempt) for name, attempt in ATTEMPTS.items()}, sys.stdout)
