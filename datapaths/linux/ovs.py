"""Open vSwitch's bridges, by its own ovs-vsctl: a leg is attached to one, made if it is to be ours.

Ours are known by an external id. ovs-vswitchd must run in the namespace where the leg ends.
"""

from __future__ import annotations

import errno
import subprocess

OURS = "external_ids:created-by=dualpath"
TIMEOUT_S = 10
_NO_SUCH = 2  # exit code of br-exists


def attach(bridge: str, port: str, *, create: bool) -> None:
    """Make a device a port of a bridge, and of no other. Raises OSError with what OVS says."""
    if create and not _exists(bridge):
        _vsctl("--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, OURS)
    elif not _exists(bridge):
        raise OSError(errno.ENOENT, f"there is no Open vSwitch bridge {bridge}")
    if bridge_of(port) == bridge:
        return
    detach(port)
    _vsctl("add-port", bridge, port, "--", "set", "Port", port, OURS)
    if trouble := _vsctl("get", "Interface", port, "error").strip('[]" \n'):
        detach(port)
        raise OSError(errno.EIO, f"Open vSwitch does not take {port}: {trouble}")


def detach(port: str) -> None:
    """Take a device out of whichever bridge it is in. Absent is fine."""
    _vsctl("--if-exists", "del-port", port)


def remove_bridge(bridge: str) -> None:
    """Remove a bridge if we made it and nothing is left in it."""
    if not _exists(bridge):
        return
    key, value = OURS.removeprefix("external_ids:").split("=")
    made_by = _vsctl("--if-exists", "get", "Bridge", bridge, f"external_ids:{key}").strip('" \n')
    if made_by == value and not _vsctl("list-ports", bridge).split():
        _vsctl("--if-exists", "del-br", bridge)


def bridge_of(port: str) -> str:
    """Return the bridge in which a device is; "" when it is in none, or OVS does not answer."""
    try:
        return _run("port-to-br", port).stdout.strip()
    except OSError:
        return ""


def _exists(bridge: str) -> bool:
    done = _run("br-exists", bridge)
    if done.returncode not in (0, _NO_SUCH):
        raise _refusal(done)
    return done.returncode == 0


def _vsctl(*words: str) -> str:
    done = _run(*words)
    if done.returncode:
        raise _refusal(done)
    return done.stdout


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["ovs-vsctl", f"--timeout={TIMEOUT_S}", *words],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        text = "there is no ovs-vsctl here: install openvswitch-switch, or use a linuxBridge"
        raise OSError(errno.ENOENT, text) from None


def _refusal(done: subprocess.CompletedProcess[str]) -> OSError:
    said = done.stderr.strip().splitlines()
    text = said[-1] if said else f"ovs-vsctl ended with {done.returncode}"
    return OSError(errno.EIO, f"Open vSwitch: {text}")
