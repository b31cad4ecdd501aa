"""FRR's last good configuration, for a router that starts while no controller runs.

A container of FRR starts with an empty /etc/frr. Without a controller it would have no sessions,
and its neighbors keep its routes for their restart time only. So frr-bridge stores each
configuration that FRR accepted in the state directory, and the next router gives it to FRR.

A configuration of other devices is worse than none. So it is given to FRR only if

- it was made for this network namespace: the machine's boot and the namespace's cookie, which the
  kernel never reuses;
- no controller has wanted another one since: the controller removes it before it asks for another.

The state directory is root's, and the file has passwords: only root may read it.
"""

from __future__ import annotations

import errno
import json
import logging
import socket
import struct
from contextlib import suppress
from pathlib import Path

from dualpath.process import frrfile
from frr_bridge.directory import PRIVATE_FILE, Directory
from frr_bridge.frr_apply import MODE, FrrPaths
from frr_bridge.rights import ours

log = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SO_NETNS_COOKIE = 71  # asm-generic/socket.h, Linux 5.14
COOKIE = struct.Struct("=Q")
NOTHING = "! The controller writes this file.\n"
"""Instead of a configuration; what an earlier start of this container left must not be used."""


def namespace_id() -> str:
    """Return what identifies this thread's network namespace for ever; "" before Linux 5.14.

    Raises OSError.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            cookie = probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, COOKIE.size)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            return ""
        raise
    return f"{BOOT_ID.read_text().strip()}/{COOKIE.unpack(cookie)[0]}"


def keep(state_dir: Path, settings: bytes, text: str) -> None:
    """Store a configuration that FRR accepted, instead of an earlier one; only log a failure."""
    name = frrfile.name_of(settings)
    try:
        frrfile.forget(state_dir)
        if not (namespace := namespace_id()):
            return
        content = json.dumps({"namespace": namespace, "text": text})
        with (
            Directory(state_dir, ours()) as directory,
            directory.candidate(frrfile.PARTIAL, content, PRIVATE_FILE) as candidate,
        ):
            directory.replace(name, candidate.name)
    except OSError as error:
        log.warning(
            "%s: %s; if the router restarts while no controller runs, FRR has no configuration",
            state_dir / name,
            error.strerror,
        )


def stored(state_dir: Path, namespace: str) -> str | None:
    """Return the configuration of a namespace; None when it is absent, or anything else is there.

    Raises OSError.
    """
    names = [path.name for path in frrfile.found(state_dir)]
    if len(names) != 1:
        return None
    fields = None
    with Directory(state_dir, ours()) as directory, suppress(ValueError, RecursionError):
        fields = json.loads(directory.read(names[0]) or "")
    if not isinstance(fields, dict) or not namespace or fields.get("namespace") != namespace:
        return None
    text = fields.get("text")
    return text if isinstance(text, str) else None


def restore(state_dir: Path, paths: FrrPaths) -> str:
    """Write frr.conf before FRR starts; return why it is an empty one, "" if it is not.

    The current network namespace must be FRR's. Raises OSError when frr.conf cannot be written.
    """
    text, why = None, "none is stored for this namespace"
    try:
        text = stored(state_dir, namespace_id())
    except OSError as error:
        why = f"{error.filename or state_dir}: {error.strerror}"
    with (
        Directory(paths.config_dir, paths.rights()) as directory,
        directory.candidate(".frr.conf.", NOTHING if text is None else text, MODE) as candidate,
    ):
        directory.replace(paths.file.name, candidate.name)
    return why if text is None else ""
