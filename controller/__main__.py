"""`controller`: composition root. Settings, checks that end in one sentence, objects, run."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from dataclasses import replace

from controller.backends import BACKENDS
from controller.daemon import Daemon
from controller.intent import layout
from controller.intent.documents import ManifestError
from controller.intent.layout import Intent
from controller.intent.loader import load
from controller.intent.node import Namespaces, NodeOverrides
from controller.intent.schema import Resources
from controller.metrics.server import MetricsError
from controller.provision import Spaces, ensure_namespaces, underlay_mtu
from controller.rpc.connect import ConnectError
from controller.rpc.listen import ListenError
from controller.settings import DEFAULT_NETNS, Settings, parse
from datapaths.base import DatapathError
from datapaths.kernel import netns

log = logging.getLogger("controller")

EXPECTED = (ConnectError, DatapathError, ListenError, ManifestError, MetricsError, OSError)


class Refused(Exception):
    """We cannot start; the text is one sentence that says what to do."""


def main() -> None:
    settings = parse(sys.argv[1:])
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        resources = _load(settings)
        spaces = _spaces(settings, resources.node.namespaces if resources else Namespaces())
        _check(settings, spaces)
        intent = _intent(resources, spaces) if resources else None
        asyncio.run(_run(settings, spaces, intent))
    except Refused as refused:
        sys.exit(f"controller: {refused}")
    except EXPECTED as error:
        sys.exit(f"controller: {error}")


async def _run(settings: Settings, spaces: Spaces, intent: Intent | None) -> None:
    host = intent.namespaces.host if intent else ""
    backend = BACKENDS[settings.datapath](settings, spaces, host)
    work = asyncio.ensure_future(Daemon(settings, spaces, backend, intent).run())
    for stop in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stop, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped; the datapath goes on forwarding")
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group


def _load(settings: Settings) -> Resources | None:
    """Read the manifests. A bad one disturbs no other; nothing but bad ones is refused."""
    if settings.config is None:
        return None
    overrides = NodeOverrides(settings.node_name, settings.node_index)
    resources = load([settings.config], overrides)
    if not resources.items:
        bad = next(iter(resources.rejected), None)
        why = f"{bad.kind} {bad.name}: {bad.message}" if bad else "there is no resource in it"
        raise Refused(f"--config {settings.config}: {why}")
    return resources


def _spaces(settings: Settings, named: Namespaces) -> Spaces:
    """Return the namespaces; what only the command line names is not ours to make."""
    control = settings.frr_netns or named.control
    return Spaces(
        forwarding=settings.netns or named.forwarding or DEFAULT_NETNS,
        control=control,
        make_forwarding=settings.netns in (None, named.forwarding),
        make_control=bool(control) and control == named.control,
    )


def _intent(resources: Resources, spaces: Spaces) -> Intent:
    """Compile for the node as it is: its namespaces, and the MTU of its NICs."""
    host = resources.node.namespaces.host
    node = replace(resources.node, namespaces=Namespaces(spaces.forwarding, spaces.control, host))
    intent = layout.compile(resources, node)
    mtu = underlay_mtu(intent.ports, (spaces.forwarding, host))
    return layout.compile(resources, node, mtu) if mtu else intent


def _check(settings: Settings, spaces: Spaces) -> None:
    """Refuse what cannot work, before anything is changed."""
    if os.geteuid() != 0:
        raise Refused("only root may make and change network namespaces; run it with sudo")
    for name, ours, option in (
        (spaces.forwarding, spaces.make_forwarding, "--netns"),
        (spaces.control, spaces.make_control, "--frr-netns"),
    ):
        if not ours and not netns.exists(name):
            raise Refused(
                f"{option}: there is no network namespace {name}; make it first, "
                f"with `ip netns add {name}`, or name one that exists"
            )
    ensure_namespaces(spaces)
    if netns.same(spaces.forwarding, spaces.control):
        raise Refused(
            "FRR's namespace and the forwarding namespace are the same, so zebra would program "
            "what forwards: pass --frr-netns with the namespace that FRR runs in"
        )
    _check_state_dir(settings)
    if settings.bridge == "child":
        _check_fpm(settings, spaces.control)


def _check_state_dir(settings: Settings) -> None:
    probe = settings.state_dir / ".probe"
    try:
        settings.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        probe.write_text("dualpath\n")
        probe.unlink()
    except OSError as error:
        raise Refused(f"--state-dir {settings.state_dir}: {error.strerror}") from None


def _check_fpm(settings: Settings, control: str) -> None:
    """Refuse a port that somebody has, unless that is a bridge to take over."""
    if (settings.state_dir / "bridge.pid").exists():
        return
    host, port = settings.fpm_address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with netns.entered(control), socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise Refused(f"--fpm {settings.fpm}: {error.strerror}") from None
            raise Refused(
                f"--fpm {settings.fpm}: somebody listens there in FRR's namespace already; stop "
                "that frr-bridge, or choose another port here and in FRR's `fpm address`"
            ) from None


if __name__ == "__main__":
    main()
