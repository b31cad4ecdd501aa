"""What intent asks for to and from proto/dualpath/v1/state.proto. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from dualpath.model.links import Address, HostEnd, Port, Vni
from dualpath.pb import state_pb2 as pb


def vni_to_pb(vni: Vni) -> pb.VniRecord:
    return pb.VniRecord(
        vni=vni.vni,
        layer=vni.layer,
        vrf=vni.vrf,
        local=vni.local,
        port=vni.port,
        mac=vni.mac,
        gateways=_to_pb(vni.gateways),
        mtu=vni.mtu,
    )


def vni_from_pb(said: pb.VniRecord) -> Vni:
    return Vni(
        vni=said.vni,
        layer=said.layer,
        vrf=said.vrf,
        local=said.local,
        port=said.port,
        mac=said.mac,
        gateways=_from_pb(said.gateways),
        mtu=said.mtu,
    )


def port_to_pb(port: Port) -> pb.PortRecord:
    return pb.PortRecord(
        name=port.name,
        vrf=port.vrf,
        vni=port.vni,
        addresses=_to_pb(port.addresses),
        mtu=port.mtu,
        host=_host_to_pb(port.host) if port.host else None,
        source_netns=port.source_netns,
        twin=port.twin,
        loopback=port.loopback,
        devargs=port.devargs,
        wiring=port.wiring,
    )


def port_from_pb(said: pb.PortRecord) -> Port:
    return Port(
        name=said.name,
        vrf=said.vrf,
        vni=said.vni,
        addresses=_from_pb(said.addresses),
        mtu=said.mtu,
        host=_host_from_pb(said.host) if said.HasField("host") else None,
        source_netns=said.source_netns if said.HasField("source_netns") else None,
        twin=said.twin,
        loopback=said.loopback,
        devargs=said.devargs,
        wiring=said.wiring,
    )


def _host_to_pb(host: HostEnd) -> pb.HostEndRecord:
    return pb.HostEndRecord(
        netns=host.netns,
        name=host.name,
        mac=host.mac,
        addresses=_to_pb(host.addresses),
        bridge=host.bridge,
        create_bridge=host.create_bridge,
        ovs=host.ovs,
    )


def _host_from_pb(said: pb.HostEndRecord) -> HostEnd:
    return HostEnd(
        netns=said.netns,
        name=said.name,
        mac=said.mac,
        addresses=_from_pb(said.addresses),
        bridge=said.bridge,
        create_bridge=said.create_bridge,
        ovs=said.ovs,
    )


def _to_pb(addresses: Iterable[Address]) -> list[pb.InterfaceAddress]:
    return [pb.InterfaceAddress(ip=address.ip, length=address.length) for address in addresses]


def _from_pb(said: Iterable[pb.InterfaceAddress]) -> tuple[Address, ...]:
    return tuple(Address(address.ip, address.length) for address in said)
