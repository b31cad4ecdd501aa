"""Compiles the resources of a node into intent: its devices, and FRR's settings. Pure.

A device depends only on its resource and the node's number. So adding a resource changes no device
of another resource.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from controller.intent import addressing, bgp, schema
from controller.intent.accepted import Accepted
from controller.intent.fields import Spec
from controller.intent.node import Namespaces, Node
from controller.intent.overlay import HostSession, L2Vni, L3Passthrough, L3Vni
from controller.intent.remarks import overlay_mtu, remarked
from controller.intent.resolve import select
from controller.intent.schema import Owner, Resources
from controller.intent.underlay import Underlay
from controller.intent.validate import also_wrong, validate
from dualpath.model.cni import CniDevice
from dualpath.model.frr import FrrSettings
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port, Vni, Vrf
from dualpath.model.records import Key
from dualpath.model.view import ResourceStatus

FIRST_TABLE = 1_000_000
"""A VRF's routing table is this plus its L3VNI: far from tables that people choose by hand."""

UNDERLAY_MTU = 1500
PASSTHROUGH_PORT = "pt-ns"
PASSTHROUGH_HOST = "pt-host"


Device = Vrf | Vni | Port
DeviceKey = tuple[Kind, Key]


@dataclass(frozen=True, slots=True)
class Intent:
    """Everything that the manifests want on one node."""

    node: Node = field(default_factory=Node)
    vrfs: tuple[Vrf, ...] = ()
    vnis: tuple[Vni, ...] = ()
    ports: tuple[Port, ...] = ()  # a NIC's addresses are empty: it keeps those that it has
    frr: FrrSettings = field(default_factory=FrrSettings)
    statuses: tuple[ResourceStatus, ...] = ()
    underlay_mtu: int = 0
    cni: tuple[CniDevice, ...] = ()  # the ports that CNI plugins make
    datapath: str = ""  # that shall forward; "": `dualpath switch` decides
    datapath_owner: Owner = ("", "")  # the resource that says so
    owners: Mapping[DeviceKey, Owner] = field(
        default_factory=dict
    )  # the resource that wants a device

    @property
    def devices(self) -> tuple[Device, ...]:
        return (*self.vrfs, *self.vnis, *self.ports)

    @property
    def namespaces(self) -> Namespaces:
        return self.node.namespaces


def compile(  # noqa: A001 - called as layout.compile
    resources: Resources, node: Node, underlay_mtu: int = UNDERLAY_MTU
) -> Intent:
    """Compile resources for a node whose narrowest underlay device has `underlay_mtu`."""
    accepted, statuses = judge(resources, node)
    made = list(_devices(accepted, underlay_mtu))
    devices = [device for device, _ in made]
    datapath, owner = _datapath(accepted)
    if owner[0] == "Node":
        statuses.append(ResourceStatus(*owner, True))
    return Intent(
        node=node,
        vrfs=tuple(device for device in devices if isinstance(device, Vrf)),
        vnis=tuple(device for device in devices if isinstance(device, Vni)),
        ports=tuple(device for device in devices if isinstance(device, Port)),
        frr=bgp.settings(accepted),
        statuses=tuple(remarked(accepted, status, underlay_mtu) for status in statuses),
        underlay_mtu=underlay_mtu,
        cni=tuple(_made_by_plugins(accepted)),
        datapath=datapath,
        datapath_owner=owner,
        owners={(device.kind, device.key): resource.owner for device, resource in made},
    )


def judge(resources: Resources, node: Node) -> tuple[Accepted, list[ResourceStatus]]:
    """Return what a node accepts, and a status of each resource: the rejected ones first."""
    accepted = validate(select(resources.items, node), node, resources.partial)
    rejected = {status.owner: status for status in resources.rejected}
    for owner, violations in also_wrong(accepted, resources.partial):
        rejected[owner] = schema.also_rejected(rejected[owner], violations)
    others = (status for status in accepted.statuses if status.owner not in rejected)
    return accepted, [*rejected.values(), *others]


def without_dpdk(intent: Intent) -> Intent:
    """Return the intent without the settings that only a DPDK datapath uses."""
    ports = (replace(port, devargs="", wiring="") for port in intent.ports)
    return replace(intent, ports=tuple(ports))


def for_dpdk(intent: Intent) -> Intent:
    """Return the intent with the ports of CNI plugins, fetched from where the plugins create them.

    The kernel datapath forwards in that namespace; grout may be in another.
    """
    made, forwarding = {device.name for device in intent.cni}, intent.namespaces.forwarding
    ports = (replace(p, source_netns=forwarding) if p.name in made else p for p in intent.ports)
    return replace(intent, ports=tuple(ports)) if made else intent


def _datapath(accepted: Accepted) -> tuple[str, Owner]:
    """Return the datapath that shall forward, and who says so: the Node before the Underlay."""
    node, underlay = accepted.node, accepted.underlay
    if node.datapath:
        return node.datapath, ("Node", node.name)
    if underlay is not None and underlay.spec.datapath:
        return underlay.spec.datapath, underlay.owner
    return "", ("", "")


def _devices(
    accepted: Accepted, underlay_mtu: int
) -> Iterator[tuple[Device, schema.Resource[Spec]]]:
    """Yield every device with its resource; a device comes after those that it needs."""
    underlay, passthrough = accepted.underlay, accepted.passthrough
    if underlay is not None:
        for port in _underlay_ports(accepted, underlay.spec):
            yield port, underlay
    if passthrough is not None:
        yield _passthrough_port(accepted, passthrough.spec), passthrough
    for l3vni in accepted.l3vnis:
        for device in _routed(accepted, l3vni.spec, underlay_mtu):
            yield device, l3vni
    yield from _local_vrfs(accepted)
    for l2vni in accepted.l2vnis:
        yield _segment(accepted, l2vni, underlay_mtu), l2vni
        yield _bridged(_leg(accepted, l2vni.spec, underlay_mtu), l2vni.spec), l2vni


def _local_vrfs(accepted: Accepted) -> Iterator[tuple[Vrf, schema.Resource[L2Vni]]]:
    """Yield the VRFs without an L3VNI, each with its first L2VNI."""
    first: dict[str, schema.Resource[L2Vni]] = {}
    for l2vni in accepted.l2vnis:
        vrf = accepted.domain(l2vni)
        if vrf and not accepted.maker(vrf):
            first.setdefault(vrf, l2vni)
    for vrf, l2vni in first.items():
        yield Vrf(vrf, addressing.local_table(vrf)), l2vni


def _underlay_ports(accepted: Accepted, spec: Underlay) -> Iterator[Port]:
    namespaces = accepted.node.namespaces
    if accepted.vteps:
        vteps = tuple(addressing.loopback(vtep) for vtep in accepted.vteps)
        yield Port("lo", addresses=vteps, loopback=True)
    there_already = namespaces.host and namespaces.host == namespaces.forwarding
    for interface in spec.interfaces:
        dpdk = interface.dpdk
        yield Port(
            interface.name,
            source_netns=None if there_already or interface.cni_device else namespaces.host,
            twin=True,
            devargs=dpdk.devargs if dpdk is not None else "",
            wiring=dpdk.wiring if dpdk is not None else "",
        )


def _made_by_plugins(accepted: Accepted) -> Iterator[CniDevice]:
    if accepted.underlay is not None:
        for interface in accepted.underlay.spec.interfaces:
            if interface.cni_device is not None:
                yield interface.cni_device.attachment


def _passthrough_port(accepted: Accepted, spec: L3Passthrough) -> Port:
    end = HostEnd(spec.host_netns or accepted.node.namespaces.host, PASSTHROUGH_HOST)
    leg = Port(PASSTHROUGH_PORT, host=end, twin=True)
    return _addressed(leg, spec.host_session, accepted.node)


def _routed(accepted: Accepted, spec: L3Vni, underlay_mtu: int) -> Iterator[Device]:
    vtep = accepted.vtep(spec)
    yield Vrf(spec.vrf, FIRST_TABLE + spec.vni)
    yield Vni(
        vni=spec.vni,
        layer=3,
        vrf=spec.vrf,
        local=vtep.packed,
        port=spec.vxlan_port,
        mac=addressing.router_mac(vtep, spec.vni),
        mtu=overlay_mtu(vtep, underlay_mtu),
    )
    if spec.host_session is not None:
        leg = replace(_leg(accepted, spec, underlay_mtu), vrf=spec.vrf, twin=True)
        yield _addressed(leg, spec.host_session, accepted.node)


def _segment(accepted: Accepted, l2vni: schema.Resource[L2Vni], underlay_mtu: int) -> Vni:
    spec, vtep = l2vni.spec, accepted.vtep(l2vni.spec)
    return Vni(
        vni=spec.vni,
        layer=2,
        vrf=accepted.domain(l2vni),
        local=vtep.packed,
        port=spec.vxlan_port,
        mac=addressing.gateway_mac(spec.vni),
        gateways=tuple(
            Address(gateway.ip.packed, gateway.network.prefixlen) for gateway in spec.gateway_ips
        ),
        mtu=overlay_mtu(vtep, underlay_mtu),
    )


def _leg(accepted: Accepted, spec: L3Vni | L2Vni, underlay_mtu: int) -> Port:
    return Port(
        f"pe-e-{spec.vni}",
        mtu=overlay_mtu(accepted.vtep(spec), underlay_mtu),
        host=HostEnd(spec.host_netns or accepted.node.namespaces.host, f"host-e-{spec.vni}"),
    )


def _addressed(leg: Port, session: HostSession, node: Node) -> Port:
    """Give both ends of a routed leg their addresses."""
    assert leg.host is not None
    pairs = [addressing.leg(pool, node.index) for pool in session.local_cidr.pools]
    return replace(
        leg,
        addresses=tuple(ours for ours, _ in pairs),
        host=replace(leg.host, addresses=tuple(theirs for _, theirs in pairs)),
    )


def _bridged(leg: Port, spec: L2Vni) -> Port:
    """Attach the host end of an L2VNI's leg to the bridge that the resource names."""
    assert leg.host is not None
    end = leg.host
    if (master := spec.host_master) is not None:
        managed = master.bridge.name is None
        end = replace(
            end,
            bridge=master.bridge.name or f"br-hs-{spec.vni}",
            create_bridge=managed,
            ovs=master.type == "OVSBridge",
        )
    return replace(leg, vni=spec.vni, host=end)
