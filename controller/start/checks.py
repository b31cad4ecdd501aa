"""Checks before the controller changes anything; each refusal is one sentence."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat

from controller.intent.documents import ManifestError
from controller.intent.node import Namespaces
from controller.intent.schema import Resources
from controller.manifests.source import Manifests
from controller.node.namespaces import NamespacePair
from controller.node.supervisor import bridge_of
from controller.settings import Settings
from datapaths.linux import netns
from dualpath.process.options import DEFAULT_NETNS
from dualpath.rpc import listen


class Refused(Exception):
    """The controller cannot start; the text is one sentence that says what to do."""


def load(settings: Settings, manifests: Manifests) -> Resources:
    """Read the manifests. A rejected resource affects no other; without a valid one, refuse."""
    resources = manifests.read()
    if not resources.items:
        found = [violation for bad in resources.rejected for violation in bad.violations]
        if found:
            raise ManifestError(*found)
        named = ", ".join(map(str, settings.config))
        raise Refused(f"--config {named}: no resource found")
    return resources


def namespaces_of(settings: Settings, named: Namespaces) -> NamespacePair:
    """Return the namespaces; do not make one that only the command line names."""
    control = settings.frr_netns or named.control
    return NamespacePair(
        forwarding=settings.netns or named.forwarding or DEFAULT_NETNS,
        control=control,
        make_forwarding=settings.netns in (None, named.forwarding),
        make_control=bool(control) and control == named.control and not settings.frr_pod,
        pod=settings.frr_pod is not None,
    )


def check_root() -> None:
    if os.geteuid() != 0:
        raise Refused("only root may make and change network namespaces; run it with sudo")


def check_namespaces(namespaces: NamespacePair) -> None:
    """Refuse absent namespaces that we may not make, and one namespace for both purposes."""
    if namespaces.pod and (not namespaces.control or "/" in namespaces.control):
        raise Refused(
            "--frr-pod: the pod's namespace needs a name: give --frr-netns, or "
            "`namespaces: {control: frr}` in the Node manifest"
        )
    for name, ours, option in (
        (namespaces.forwarding, namespaces.make_forwarding, "--netns"),
        (namespaces.control, namespaces.make_control or namespaces.pod, "--frr-netns"),
    ):
        if not ours and not netns.exists(name):
            raise Refused(
                f"{option}: no network namespace {name}; make it first, "
                f"with `ip netns add {name}`, or name one that exists"
            )
    if _same(namespaces.forwarding, namespaces.control):
        raise Refused(
            "FRR's namespace and the forwarding namespace are the same, so zebra would program "
            "what forwards: pass --frr-netns with the namespace that FRR runs in"
        )


def check_listeners(settings: Settings, control: str) -> None:
    """Refuse addresses that cannot be listened on. Makes the directories of sockets."""
    listen.probe(settings.listen, listen.Tls(*settings.tls) if settings.tls else None)
    if settings.metrics:
        if path := listen.unix_path(settings.metrics):
            listen.prepare(path)
        else:
            listen.probe_tcp(settings.metrics)
    if settings.ui:
        listen.probe_tcp(settings.ui)
    if settings.bridge == "child":
        _check_fpm(settings, control)


def _same(a: str, b: str) -> bool:
    """Return whether two namespaces are the same; either may not exist yet."""
    if netns.exists(a) and netns.exists(b):
        return netns.same(a, b)
    return netns.path_of(a) == netns.path_of(b)


def check_state_dir(settings: Settings) -> None:
    """Refuse a directory that is not writable, or in which other users could replace files."""
    probe = settings.state_dir / ".probe"
    try:
        settings.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        found = settings.state_dir.stat()
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & stat.S_IWOTH:
            raise Refused(
                f"--state-dir {settings.state_dir}: users other than root may write there; use a "
                "directory of root's"
            )
        probe.unlink(missing_ok=True)
        with probe.open("x", encoding="utf-8") as opened:
            opened.write("dualpath\n")
        probe.unlink()
    except OSError as error:
        raise Refused(f"--state-dir {settings.state_dir}: {error.strerror}") from None


def _check_fpm(settings: Settings, control: str) -> None:
    """Refuse a port in use, unless it belongs to an frr-bridge that we take over."""
    if bridge_of(settings.state_dir):
        return
    host, port = settings.fpm_address
    if not netns.exists(control):
        if not ipaddress.ip_address(host).is_loopback:
            raise Refused(f"--fpm {settings.fpm}: a new namespace has loopback addresses only")
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with netns.entered(control), socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL and ipaddress.ip_address(host).is_loopback:
                return  # somebody flushed the addresses of lo; it is added again
            if error.errno != errno.EADDRINUSE:
                raise Refused(f"--fpm {settings.fpm}: {error.strerror}") from None
            raise Refused(
                f"--fpm {settings.fpm}: another process listens there in FRR's namespace; stop "
                "that frr-bridge, or choose another port here and in FRR's `fpm address`"
            ) from None
