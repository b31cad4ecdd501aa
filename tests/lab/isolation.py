"""Proof that FRR has no power beyond its own namespace."""

import subprocess

from tests.lab.frr import Frr
from tests.lab.namespaces import Namespace
from tests.lab.processes import run

# setns(2) from inside FRR's namespaces, as the strongest process that FRR could start: root with
# every capability there. It is even given the namespace, open as its standard input, as the file is
# hidden from FRR. Exit code: the errno, or 0 when the door was open.
BREAK_IN = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.stdout.write("0" if libc.setns(0, 0x40000000) == 0 else str(ctypes.get_errno()))
"""
EPERM = "1"


def assert_no_way_in(frr: Frr, netns: Namespace) -> None:
    """Show that none of FRR's daemons can enter `netns`, even by its file, even as root."""
    pids = frr.pids()
    assert pids, f"{frr.name} does not run"
    forwarding = run(["stat", "-L", "-c", "%i", str(netns.path)]).strip()
    for name, pid in pids.items():
        own = run(["stat", "-L", "-c", "%i", f"/proc/{pid}/ns/net"]).strip()
        assert own != forwarding, f"{name} of {frr.name} runs in {netns.name}"
        answer = _try_to_enter(frr, pid, netns)
        assert answer == EPERM, f"{name} of {frr.name} may enter {netns.name}: errno {answer}"


def _try_to_enter(frr: Frr, pid: int, netns: Namespace) -> str:
    user = [] if frr.namespace.userns is None else ["--user"]
    python = ["/usr/bin/python3", "-I", "-S", "-c", BREAK_IN]
    with netns.path.open("rb") as door:
        return subprocess.run(
            ["nsenter", f"--target={pid}", *user, "--net", "--mount", "--", *python],
            stdin=door,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60.0,
        ).stdout.strip()
