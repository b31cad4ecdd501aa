"""Gives back every NIC that a controller took, and removes everything that it made, except FRR.

A failing step stops only steps that would destroy something: a namespace that still contains a NIC
stays. Marks and records identify everything, so a teardown can be repeated, even after a crash.
Synchronous, as root, and never beside a running controller.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from controller.cni import undo
from controller.cni.records import Record
from controller.node.namespacerecord import NamespaceRecord
from datapaths.base import Batch, DatapathError
from datapaths.grout.ports import devices
from datapaths.kernel.driver import LAYOUT_KINDS, KernelDatapath
from datapaths.kernel.layout import Layout
from datapaths.linux import legs, netns, nics, ports
from datapaths.linux.links import Links
from datapaths.linux.namespaces import Namespaces
from datapaths.linux.shadows import Shadow, Shadows
from datapaths.linux.twins import Twins
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Op, RouteBatch

EVERYWHERE = frozenset(
    {"lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "sit0"}
    | {"ip6tnl0", "ip6gre0", "ip6_vti0"}
)
"""Devices that the kernel makes in every namespace (net.core.fb_tunnels_only_for_init_net)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was done, or would be done; `problem` is the reason if it failed."""

    what: str  # "nic", "devices", "cni", "namespace"
    name: str
    detail: str
    problem: str = ""


def planned(left: NamespaceRecord) -> Iterator[Step]:
    """Yield the steps of `undone` without doing them."""
    if netns.exists(left.forwarding):
        yield from _nics(left)
        yield Step("devices", left.forwarding, "remove every device, route and filter of ours")
    for name, record, problem in undo.left(left.forwarding):
        yield _by_plugins(name, record, problem)
    if left.control and netns.exists(left.control):
        yield Step("devices", left.control, "remove FRR's twins and shadow devices")
        yield from _name_of_pod(left)
    for name in left.made:
        if netns.exists(name) and not (name == left.control and any(_name_of_pod(left))):
            yield _namespace(name)


def undone(left: NamespaceRecord) -> Iterator[Step]:
    """Undo everything; yield each step once it is done or has failed."""
    stuck: set[str] = set()
    if netns.exists(left.forwarding):
        for step in _nics(left):
            problem = _tried(lambda step=step: _give_back(left, step.name))
            stuck |= {left.forwarding} if problem else set()
            yield replace(step, problem=problem)
        detail = "removed every device, route and filter of ours"
        yield Step("devices", left.forwarding, detail, _tried(lambda: _empty(left)))
    for name, record, problem in list(undo.left(left.forwarding)):
        problem = problem or (undo.undo(record, left.forwarding) if record else "")
        yield _by_plugins(name, record, problem)
    if left.control and netns.exists(left.control):
        shadows = Shadows(left.control)
        problem = _tried(lambda: shadows.ensure_base(Shadow()))
        yield Step("devices", left.control, "removed FRR's twins and shadow devices", problem)
        yield from _named_by_us(left)
    for name in left.made:
        if netns.exists(name):
            step = _namespace(name)
            if name in stuck:
                step = replace(step, problem="a NIC is still in it")
            elif not step.problem:
                step = replace(step, problem=_tried(lambda name=name: _remove(name)))
            yield step


def given_back(left: NamespaceRecord, keeps: Collection[str]) -> Iterator[Step]:
    """Give NICs back, except some; yield each step once it is done or has failed."""
    if netns.exists(left.forwarding):
        for step in _nics(left):
            if step.name not in keeps:
                yield replace(step, problem=_tried(lambda step=step: _give_back(left, step.name)))


def nics_of(left: NamespaceRecord | None) -> tuple[str, ...]:
    """Return the NICs that Dualpath has now."""
    if left is None or not netns.exists(left.forwarding):
        return ()
    return tuple(step.name for step in _nics(left))


def _nics(left: NamespaceRecord) -> Iterator[Step]:
    with Namespaces(left.forwarding, left.host) as namespaces:
        links = namespaces.forwarding
        for link in links.all():
            if not link.mark or link.mark.what not in ("port", "device"):
                continue
            if not (home := link.mark.text("from")):
                continue
            name = link.mark.text("port") or link.name
            where = legs.decode_netns(home) or left.host or "the machine's namespace"
            noted, _ = nics.saved_addresses(name, link.mac)
            own = [*links.addresses.of(link.name), *(held.address for held in noted)]
            with_ = ", ".join(map(str, dict.fromkeys(own))) or "no address"
            yield Step("nic", name, f"back to {where}, with {with_}")


def _by_plugins(name: str, record: Record | None, problem: str) -> Step:
    plugins = record.device.plugins if record else "unknown plugins"
    return Step("cni", name, f"removed by the plugins that made it: {plugins}", problem)


def _give_back(left: NamespaceRecord, name: str) -> None:
    with Namespaces(left.forwarding, left.host) as namespaces:
        devices.remove(namespaces, name)
        ports.remove_port(namespaces, Port(name))


def _empty(left: NamespaceRecord) -> None:
    """Remove twins, host legs and devices; also routes, if the namespace stays."""
    Twins(left.forwarding, left.control).remove()
    with Namespaces(left.forwarding, left.host) as namespaces:
        nics.recover(namespaces)
        for link, mark in list(namespaces.forwarding.marked("device")):
            devices.remove(namespaces, mark.text("port") or link.name)
    asyncio.run(_withdraw_all(left))


async def _withdraw_all(left: NamespaceRecord) -> None:
    layout = Layout(
        left.forwarding, left.host, neighbor_limit=0
    )  # limits of the whole machine stay
    datapath = KernelDatapath(left.forwarding, left.host, layout)
    whole = left.forwarding in left.made  # removed with its namespace
    try:
        await datapath.capabilities()
        for kind in sorted(Kind, reverse=True):
            if kind is Kind.LSP or (whole and kind not in LAYOUT_KINDS):
                continue
            batches = [batch async for batch in datapath.dump(kind)]
            for batch in batches:
                failures = await datapath.apply(_withdrawn(batch))
                if failures:
                    raise OSError(0, str(failures[0]))
    finally:
        await datapath.close()


def _withdrawn(batch: Batch) -> Batch:
    if isinstance(batch, RouteBatch):
        return replace(batch, ops=np.full(len(batch), Op.WITHDRAW, np.uint8))
    return RecordBatch(batch.kind, withdrawals=tuple(reversed(batch.upserts)))


def _namespace(name: str) -> Step:
    step = Step("namespace", name, "removed")
    if pids := list(_inside(name)):
        some = ", ".join(map(str, pids[:5]))
        return replace(step, problem=f"it stays while process {some} runs in it")
    return step


def _name_of_pod(left: NamespaceRecord) -> Iterator[Step]:
    if left.pod and not netns.pinned(left.control):
        yield Step("namespace", left.control, "lost its name; it is a pod's")


def _named_by_us(left: NamespaceRecord) -> Iterator[Step]:
    for step in _name_of_pod(left):
        yield replace(step, problem=_tried(lambda: netns.remove(left.control)))


def _remove(name: str) -> None:
    """Remove a namespace, unless that would destroy another program's device in it."""
    with Links(name) as links:
        devices = (link for link in links.all() if not link.made)
        others = [link.name for link in devices if link.name not in EVERYWHERE]
    if others:
        some = ", ".join(sorted(others)[:5])
        raise OSError(errno.EBUSY, f"it stays while {some} is in it: move that out, or delete it")
    netns.remove(name)


def _inside(name: str) -> Iterator[int]:
    """Yield the processes in a namespace."""
    identity = netns.identity(name)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                found = os.stat(entry / "ns/net")
                if (found.st_dev, found.st_ino) == identity:
                    yield int(entry.name)


def _tried(work: object) -> str:
    assert callable(work)
    try:
        work()
    except (OSError, DatapathError) as error:
        return error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return ""
