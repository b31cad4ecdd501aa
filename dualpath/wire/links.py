"""The intent's devices to and from proto/dualpath/v1/state.proto. No I/O."""

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


def vni_from_pb(message: pb.VniRecord) -> Vni:
    return Vni(
        vni=message.vni,
        layer=message.layer,
        vrf=message.vrf,
        local=message.local,
        port=message.port,
        mac=message.mac,
        gateways=_from_pb(message.gateways),
        mtu=message.mtu,
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


def port_from_pb(message: pb.PortRecord) -> Port:
    return Port(
        name=message.name,
        vrf=message.vrf,
        vni=message.vni,
        addresses=_from_pb(message.addresses),
        mtu=message.mtu,
        host=_host_from_pb(message.host) if message.HasField("host") else None,
        source_netns=message.source_netns if message.HasField("source_netns") else None,
        twin=message.twin,
        loopback=message.loopback,
        devargs=message.devargs,
        wiring=message.wiring,
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


def _host_from_pb(message: pb.HostEndRecord) -> HostEnd:
    return HostEnd(
        netns=message.netns,
        name=message.name,
        mac=message.mac,
        addresses=_from_pb(message.addresses),
        bridge=message.bridge,
        create_bridge=message.create_bridge,
        ovs=message.ovs,
    )


def _to_pb(addresses: Iterable[Address]) -> list[pb.InterfaceAddress]:
    return [pb.InterfaceAddress(ip=address.ip, length=address.length) for address in addresses]


def _from_pb(messages: Iterable[pb.InterfaceAddress]) -> tuple[Address, ...]:
    return tuple(Address(address.ip, address.length) for address in messages)
