"""Finds the devices that a start would make, change and remove, in both namespaces. Reads only.

In an existing namespace, the code that makes a device reports the differences (`Links.dry`). In an
absent one, everything would be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from controller.dryrun.report import Change, called
from controller.intent.layout import Device, Intent
from controller.intent.show import show
from controller.node.namespacerecord import NamespaceRecord
from controller.node.namespaces import NamespacePair
from controller.node.teardown import nics_of
from datapaths.base import Unavailable
from datapaths.kernel.layout import Layout
from datapaths.linux import netns
from datapaths.linux.dryrun import DELETED, MISSING, Unrepairable
from datapaths.linux.links import Links
from datapaths.linux.shadows import Shadow, Shadows, access_port, shadow_of
from datapaths.linux.twins import Twins, wants_twin
from dualpath.model.frr import tcp_ports
from dualpath.model.kinds import Kind
from dualpath.model.links import Port, Vni
from dualpath.model.plan import PlannedDevice

KINDS = (Kind.VRF, Kind.VNI, Kind.PORT)
Found = Iterator[Change | Unrepairable]


def is_nic(port: Device) -> bool:
    return isinstance(port, Port) and port.host is None and not port.loopback


class Forwarding:
    """The forwarding namespace, compared with the intent."""

    def __init__(self, intent: Intent, netns_name: str, host: str, neighbor_limit: int) -> None:
        self._intent = intent
        self._netns = netns_name
        self._host = host
        self._plan = {(d.kind, d.name): d for d in show(intent).devices}
        self._layout = Layout(netns_name, host, neighbor_limit)
        self._there = self._dumped() if netns.exists(netns_name) else {}

    def nics(self) -> list[Port]:
        """Return the NICs that are not in the namespace yet, and would be moved."""
        taken = nics_of(
            NamespaceRecord(self._netns, host=self._host)
        )  # grout's NICs have another name
        there = {*taken, *(key for kind, key in self._there if kind is Kind.PORT)}
        return [port for port in self._intent.ports if is_nic(port) and port.name not in there]

    def of_plugins(self) -> Found:
        """Yield the ports that CNI plugins would make."""
        for made in self._intent.cni:
            if made.name in {port.name for port in self.nics()}:
                yield Change("make", "cni", f"{made.name}, by {made.plugins}", called(self._netns))

    def differing(self) -> Found:
        """Yield what would change, except NICs that move in."""
        records = [d for d in self._intent.devices if d not in self.nics()]
        present = [d for d in records if (d.kind, d.key) in self._there]
        if self._there:
            for record, faults in self._layout.differing(present):
                assert isinstance(record, Device)
                yield from self._differences("change", record, faults)
        for record in records:
            if record not in present:
                yield from self._differences("make", record, list(self._obstacles(record)))
        yield from self._leaving()

    def _dumped(self) -> dict[tuple[Kind, object], Device]:
        found: dict[tuple[Kind, object], Device] = {}
        for kind in KINDS:
            for record in self._layout.dump(kind):
                assert isinstance(record, Device)
                found[kind, record.key] = record
        return found

    def _differences(self, action: str, record: Device, faults: Sequence[str]) -> Found:
        planned = self._plan[record.kind.name, str(record.key)]
        name = f"{planned.name}, for {planned.resource}" if planned.resource else planned.name
        for fault in faults:
            if isinstance(fault, Unrepairable):
                yield Unrepairable(f"{planned.kind.lower()} {planned.name}: {fault}")
        shown = [fault for fault in faults if not isinstance(fault, Unrepairable)]
        details = tuple(shown) if action == "change" else _attributes(planned)
        if shown or action == "make":
            yield Change(action, planned.kind.lower(), name, called(self._netns), details)

    def _obstacles(self, record: Device) -> Iterator[str]:
        """Yield what prevents a host leg from being made."""
        if not isinstance(record, Port) or record.host is None:
            return
        name = record.host.netns or self._host
        try:
            with Links(name, dry=True) as links:
                far = links.find(record.host.name)
                if far and not far.made:
                    text = f"{far.name} exists in {called(name)} and is not Dualpath's"
                    yield Unrepairable(f"{text}: rename or delete it")
                bridge = record.host.bridge
                foreign = bridge and not record.host.create_bridge and not record.host.ovs
                if foreign and not links.find(bridge):
                    yield Unrepairable(f"no interface {bridge} in {called(name)}")
        except Unavailable as error:
            yield Unrepairable(str(error))

    def _leaving(self) -> Found:
        wanted = {(d.kind, d.key) for d in self._intent.devices}
        for (kind, key), record in self._there.items():
            if (kind, key) in wanted:
                continue
            if is_nic(record):
                yield Change("give back", "nic", str(key), called(self._netns))
            else:
                yield Change("remove", kind.name.lower(), str(key), called(self._netns))


def _attributes(planned: PlannedDevice) -> tuple[str, ...]:
    shown = ("table", "vrf", "local", "gateways", "addresses", "host_netns", "host_name")
    found = {name: text for name, text in planned.attributes.items() if name in shown}
    return (", ".join(f"{name} {text}" for name, text in found.items()),) if found else ()


def control(intent: Intent, namespaces: NamespacePair, *, by_kernel: bool) -> Found:
    """Yield what would change of FRR's devices: shadow devices and twins.

    The wiring of a twin is compared only for the kernel datapath.
    """
    where = called(namespaces.control)
    shadow = shadow_of(intent.vrfs, intent.vnis, intent.ports)
    twins = [port.name for port in intent.ports if wants_twin(port)]
    if not netns.exists(namespaces.control):
        for name in _names(shadow):
            yield Change("make", "shadow", name, where)
        for name in twins:
            yield Change("make", "twin", name, where)
        return
    faults = [it.reason for it in Shadows(namespaces.control).differing(shadow)]
    yield from _by_device(faults, "shadow", where)
    if not netns.exists(namespaces.forwarding):
        for name in twins:
            yield Change("make", "twin", name, where)
        return
    driver = Twins(namespaces.forwarding, namespaces.control)
    there = {twin.name for twin in driver.dump()}
    found = driver.differing(intent.ports, tcp_ports(intent.frr)) if by_kernel else []
    for name in twins:
        if name not in there:
            yield Change("make", "twin", name, where)
        elif mine := tuple(fault for port, fault in found if port == name):
            yield Change("change", "twin", name, where, mine)
    for name in sorted(there - set(twins)):
        yield Change("remove", "twin", name, where)


def _names(shadow: Shadow) -> Iterator[str]:
    if shadow.loopback:
        yield "lo"
    yield from (vrf.name for vrf in shadow.vrfs)
    for vni in shadow.vnis:
        yield from _shadows_of(vni)


def _shadows_of(vni: Vni) -> Iterable[str]:
    return (vni.bridge, vni.device, *([access_port(vni.vni)] if vni.layer == 2 else []))


def _by_device(faults: Sequence[str], what: str, where: str) -> Found:
    """Yield faults device by device: each begins with the device's name and a colon."""
    by_name: dict[str, list[str]] = {}
    for fault in faults:
        if isinstance(fault, Unrepairable):
            yield fault
        else:
            name, colon, text = fault.partition(": ")
            by_name.setdefault(name if colon else "settings", []).append(text if colon else fault)
    for name, texts in by_name.items():
        if DELETED in texts:
            yield Change("remove", what, name, where)
        elif MISSING in texts:
            yield Change("make", what, name, where)
        else:
            yield Change("change", what, name, where, tuple(texts))
