"""Composes a dry run: the same options, manifests and checks as a start, but no change.

It also runs beside a controller, and then shows what the current manifests would change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from controller.dryrun import connections, devices, frr
from controller.dryrun.nics import moving
from controller.dryrun.report import Change, Report, called
from controller.intent.layout import Intent
from controller.intent.node import Namespaces
from controller.manifests.source import Manifests
from controller.node.namespaces import NamespacePair
from controller.settings import Settings
from controller.start import checks
from datapaths.linux import neightables, netns, sysctls
from datapaths.linux.dryrun import Unrepairable
from dualpath.process.lock import is_held


def rehearse(settings: Settings) -> Report:
    """Return what a start would change. Raises the errors of a start before its first change."""
    manifests = Manifests(settings) if settings.config else None
    resources = checks.load(settings, manifests) if manifests else None
    named = resources.node.namespaces if resources else Namespaces()
    namespaces = checks.namespaces_of(settings, named)
    checks.check_namespaces(namespaces)
    report = Report()
    if not is_held(settings.state_dir / "controller.lock"):
        report.problems += _taken(settings, namespaces.control)
    report.add(_namespaces(namespaces))
    report.add(_settings(settings, namespaces))
    if manifests:
        _devices(report, settings, manifests.compile(namespaces), namespaces, named.host)
    return report


def _taken(settings: Settings, control: str) -> Iterator[str]:
    _, port = settings.fpm_address
    if settings.bridge != "child" or not netns.exists(control):
        return
    listening = connections.LISTEN
    if any(it.port == port and it.state == listening for it in connections.tcp_sockets(control)):
        yield f"--fpm {settings.fpm}: another process listens on that port in FRR's namespace"


def _namespaces(namespaces: NamespacePair) -> Iterator[Change]:
    if namespaces.make_forwarding and not netns.exists(namespaces.forwarding):
        yield Change("make", "namespace", f"{namespaces.forwarding}, which forwards")
    if namespaces.make_control and not netns.exists(namespaces.control):
        yield Change("make", "namespace", f"{namespaces.control}, FRR's, with its own users")
    if namespaces.pod and not netns.exists(namespaces.control):
        yield Change("make", "namespace", f"{namespaces.control}, FRR's, later that of its pod")


def _settings(settings: Settings, namespaces: NamespacePair) -> Iterator[Change]:
    if settings.datapath == "kernel" and settings.neighbor_limit:
        raised = neightables.limits_to_raise(settings.neighbor_limit)
        for name, value in raised.items():
            yield Change("change", "setting", f"{name} to {value}, for the whole machine")
    if netns.exists(namespaces.forwarding):
        for key in sysctls.differing(namespaces.forwarding, sysctls.FORWARDING):
            value = sysctls.FORWARDING[key]
            yield Change("change", "setting", f"{key} to {value}", called(namespaces.forwarding))


def _devices(
    report: Report, settings: Settings, intent: Intent, namespaces: NamespacePair, host: str
) -> None:
    ssh = connections.ours()
    forwarding = devices.Forwarding(intent, namespaces.forwarding, host, settings.neighbor_limit)
    _sort(report, forwarding.of_plugins())
    by_plugins = {made.name for made in intent.cni}
    for port in forwarding.nics():
        if port.name in by_plugins:
            continue
        home = port.source_netns if port.source_netns is not None else namespaces.forwarding
        found = moving(port, home or host, namespaces.forwarding, ssh)
        report.add(found.changes)
        report.warnings += found.warnings
        report.problems += found.problems
    by_kernel = settings.datapath == "kernel"
    if by_kernel or not netns.exists(namespaces.forwarding):
        _sort(report, forwarding.differing())
    else:
        report.warnings.append(
            "what grout already has was not compared: only grout-agent can ask it"
        )
    _sort(report, devices.control(intent, namespaces, by_kernel=by_kernel))
    for status in intent.statuses:
        if not status.ready:
            report.problems += [str(v) for v in status.violations] or [
                f"{status.kind} {status.name}: {status.message}"
            ]
    if namespaces.pod:
        report.warnings.append("frr.conf was not compared: it is in FRR's pod (--frr-pod)")
    else:
        _frr(report, settings, intent)


def _frr(report: Report, settings: Settings, intent: Intent) -> None:
    conf = frr.difference(intent.frr, settings.frr_name)
    report.frr_conf += conf.lines
    if conf.lines:
        report.add([Change("change" if conf.exists else "make", "file", conf.path)])
    refused, limited = asyncio.run(frr.release(settings.frr_name))
    report.problems += [text for text in (conf.problem, refused) if text]
    report.warnings += [limited] if limited else []


def _sort(report: Report, found: Iterable[Change | Unrepairable]) -> None:
    for one in found:
        if isinstance(one, Change):
            report.changes.append(one)
        else:
            report.problems.append(str(one))
