"""Proof that FRR has no power over anything but its own namespace."""

from tests.lab.frr import Frr
from tests.lab.namespaces import Namespace
from tests.lab.processes import run

# setns(2) from inside FRR's namespaces, as the strongest process that FRR could start: root with
# every capability there. Exit code: the errno, or 0 when the door was open.
BREAK_IN = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDONLY)
sys.stdout.write("0" if libc.setns(fd, 0x40000000) == 0 else str(ctypes.get_errno()))
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
    own = [*user, "--net", "--mount", "--pid"]
    python = ["/usr/bin/python3", "-I", "-S", "-c", BREAK_IN, str(netns.path)]
    return run(["nsenter", f"--target={pid}", *own, "--", *python]).strip()
