"""Attach host ends to Open vSwitch bridges with `ovs-vsctl`; create a bridge where asked to.

Bridges and ports that Dualpath made carry an external id. ovs-vswitchd must run in the namespace of
the host end.
"""

from __future__ import annotations

import errno
import subprocess

OURS = "external_ids:created-by=dualpath"
TIMEOUT_S = 10
_NO_SUCH = 2  # exit code of br-exists


def attach(bridge: str, port: str, *, create: bool) -> None:
    """Make a device a port of a bridge, and of no other. Raises OSError with OVS's message."""
    if create and not _exists(bridge):
        _vsctl("--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, OURS)
    elif not _exists(bridge):
        text = f"no Open vSwitch bridge {bridge}: create it, or set autoCreate"
        raise OSError(errno.ENOENT, text)
    if bridge_of(port) == bridge:
        return
    detach(port)
    _vsctl("add-port", bridge, port, "--", "set", "Port", port, OURS)
    if error := _vsctl("get", "Interface", port, "error").strip('[]" \n'):
        detach(port)
        raise OSError(errno.EIO, f"Open vSwitch refused {port}: {error}")


def detach(port: str) -> None:
    """Remove a device from the bridge that it is in, if any."""
    _vsctl("--if-exists", "del-port", port)


def remove_bridge(bridge: str) -> None:
    """Remove a bridge if Dualpath made it and it has no ports left."""
    if not _exists(bridge):
        return
    key, value = OURS.removeprefix("external_ids:").split("=")
    made_by = _vsctl("--if-exists", "get", "Bridge", bridge, f"external_ids:{key}").strip('" \n')
    if made_by == value and not _vsctl("list-ports", bridge).split():
        _vsctl("--if-exists", "del-br", bridge)


def bridge_of(port: str) -> str:
    """Return the bridge of a device; "" if it is in none, or if OVS does not answer."""
    try:
        return _run("port-to-br", port).stdout.strip()
    except OSError:
        return ""


def _exists(bridge: str) -> bool:
    done = _run("br-exists", bridge)
    if done.returncode not in (0, _NO_SUCH):
        raise _refusal(done)
    return done.returncode == 0


def _vsctl(*arguments: str) -> str:
    done = _run(*arguments)
    if done.returncode:
        raise _refusal(done)
    return done.stdout


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["ovs-vsctl", f"--timeout={TIMEOUT_S}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        text = "ovs-vsctl not found: install openvswitch-switch, or use a linuxBridge"
        raise OSError(errno.ENOENT, text) from None


def _refusal(done: subprocess.CompletedProcess[str]) -> OSError:
    lines = done.stderr.strip().splitlines()
    text = lines[-1] if lines else f"ovs-vsctl exited with {done.returncode}"
    return OSError(errno.EIO, f"Open vSwitch: {text}")
