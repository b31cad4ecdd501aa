from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NexthopType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NEXTHOP_TYPE_UNSPECIFIED: _ClassVar[NexthopType]
    NEXTHOP_TYPE_GATEWAY: _ClassVar[NexthopType]
    NEXTHOP_TYPE_DEVICE: _ClassVar[NexthopType]
    NEXTHOP_TYPE_BLACKHOLE: _ClassVar[NexthopType]
    NEXTHOP_TYPE_UNREACHABLE: _ClassVar[NexthopType]
    NEXTHOP_TYPE_PROHIBIT: _ClassVar[NexthopType]
    NEXTHOP_TYPE_GROUP: _ClassVar[NexthopType]
NEXTHOP_TYPE_UNSPECIFIED: NexthopType
NEXTHOP_TYPE_GATEWAY: NexthopType
NEXTHOP_TYPE_DEVICE: NexthopType
NEXTHOP_TYPE_BLACKHOLE: NexthopType
NEXTHOP_TYPE_UNREACHABLE: NexthopType
NEXTHOP_TYPE_PROHIBIT: NexthopType
NEXTHOP_TYPE_GROUP: NexthopType

class RouteBatch(_message.Message):
    __slots__ = ("vrf", "family", "ops", "prefixes", "lengths", "protocols", "nexthops")
    VRF_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    OPS_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    NEXTHOPS_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    family: int
    ops: bytes
    prefixes: bytes
    lengths: bytes
    protocols: bytes
    nexthops: bytes
    def __init__(self, vrf: _Optional[str] = ..., family: _Optional[int] = ..., ops: _Optional[bytes] = ..., prefixes: _Optional[bytes] = ..., lengths: _Optional[bytes] = ..., protocols: _Optional[bytes] = ..., nexthops: _Optional[bytes] = ...) -> None: ...

class NexthopRecord(_message.Message):
    __slots__ = ("id", "type", "gateway", "device", "vni", "onlink", "members", "weights")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    ONLINK_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    id: int
    type: NexthopType
    gateway: bytes
    device: str
    vni: int
    onlink: bool
    members: _containers.RepeatedScalarFieldContainer[int]
    weights: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, id: _Optional[int] = ..., type: _Optional[_Union[NexthopType, str]] = ..., gateway: _Optional[bytes] = ..., device: _Optional[str] = ..., vni: _Optional[int] = ..., onlink: _Optional[bool] = ..., members: _Optional[_Iterable[int]] = ..., weights: _Optional[_Iterable[int]] = ...) -> None: ...

class InterfaceAddress(_message.Message):
    __slots__ = ("ip", "length")
    IP_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    ip: bytes
    length: int
    def __init__(self, ip: _Optional[bytes] = ..., length: _Optional[int] = ...) -> None: ...

class VrfRecord(_message.Message):
    __slots__ = ("name", "table")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    table: int
    def __init__(self, name: _Optional[str] = ..., table: _Optional[int] = ...) -> None: ...

class VniRecord(_message.Message):
    __slots__ = ("vni", "layer", "vrf", "local", "port", "mac", "gateways", "mtu")
    VNI_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    vni: int
    layer: int
    vrf: str
    local: bytes
    port: int
    mac: bytes
    gateways: _containers.RepeatedCompositeFieldContainer[InterfaceAddress]
    mtu: int
    def __init__(self, vni: _Optional[int] = ..., layer: _Optional[int] = ..., vrf: _Optional[str] = ..., local: _Optional[bytes] = ..., port: _Optional[int] = ..., mac: _Optional[bytes] = ..., gateways: _Optional[_Iterable[_Union[InterfaceAddress, _Mapping]]] = ..., mtu: _Optional[int] = ...) -> None: ...

class HostEndRecord(_message.Message):
    __slots__ = ("netns", "name", "mac", "addresses", "bridge", "create_bridge", "ovs")
    NETNS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    BRIDGE_FIELD_NUMBER: _ClassVar[int]
    CREATE_BRIDGE_FIELD_NUMBER: _ClassVar[int]
    OVS_FIELD_NUMBER: _ClassVar[int]
    netns: str
    name: str
    mac: bytes
    addresses: _containers.RepeatedCompositeFieldContainer[InterfaceAddress]
    bridge: str
    create_bridge: bool
    ovs: bool
    def __init__(self, netns: _Optional[str] = ..., name: _Optional[str] = ..., mac: _Optional[bytes] = ..., addresses: _Optional[_Iterable[_Union[InterfaceAddress, _Mapping]]] = ..., bridge: _Optional[str] = ..., create_bridge: _Optional[bool] = ..., ovs: _Optional[bool] = ...) -> None: ...

class PortRecord(_message.Message):
    __slots__ = ("name", "vrf", "vni", "addresses", "mtu", "host", "source_netns", "twin", "loopback", "devargs", "wiring")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETNS_FIELD_NUMBER: _ClassVar[int]
    TWIN_FIELD_NUMBER: _ClassVar[int]
    LOOPBACK_FIELD_NUMBER: _ClassVar[int]
    DEVARGS_FIELD_NUMBER: _ClassVar[int]
    WIRING_FIELD_NUMBER: _ClassVar[int]
    name: str
    vrf: str
    vni: int
    addresses: _containers.RepeatedCompositeFieldContainer[InterfaceAddress]
    mtu: int
    host: HostEndRecord
    source_netns: str
    twin: bool
    loopback: bool
    devargs: str
    wiring: str
    def __init__(self, name: _Optional[str] = ..., vrf: _Optional[str] = ..., vni: _Optional[int] = ..., addresses: _Optional[_Iterable[_Union[InterfaceAddress, _Mapping]]] = ..., mtu: _Optional[int] = ..., host: _Optional[_Union[HostEndRecord, _Mapping]] = ..., source_netns: _Optional[str] = ..., twin: _Optional[bool] = ..., loopback: _Optional[bool] = ..., devargs: _Optional[str] = ..., wiring: _Optional[str] = ...) -> None: ...

class RemoteVtepRecord(_message.Message):
    __slots__ = ("vni", "vtep", "mac")
    VNI_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    vni: int
    vtep: bytes
    mac: bytes
    def __init__(self, vni: _Optional[int] = ..., vtep: _Optional[bytes] = ..., mac: _Optional[bytes] = ...) -> None: ...

class FloodRecord(_message.Message):
    __slots__ = ("vni", "vtep")
    VNI_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    vni: int
    vtep: bytes
    def __init__(self, vni: _Optional[int] = ..., vtep: _Optional[bytes] = ...) -> None: ...

class MacRecord(_message.Message):
    __slots__ = ("vni", "mac", "vtep", "sticky", "segment")
    VNI_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    STICKY_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    vni: int
    mac: bytes
    vtep: bytes
    sticky: bool
    segment: int
    def __init__(self, vni: _Optional[int] = ..., mac: _Optional[bytes] = ..., vtep: _Optional[bytes] = ..., sticky: _Optional[bool] = ..., segment: _Optional[int] = ...) -> None: ...

class EthernetSegmentRecord(_message.Message):
    __slots__ = ("id", "vteps")
    ID_FIELD_NUMBER: _ClassVar[int]
    VTEPS_FIELD_NUMBER: _ClassVar[int]
    id: int
    vteps: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, id: _Optional[int] = ..., vteps: _Optional[_Iterable[bytes]] = ...) -> None: ...

class NeighborRecord(_message.Message):
    __slots__ = ("vni", "address", "mac", "router")
    VNI_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    vni: int
    address: bytes
    mac: bytes
    router: bool
    def __init__(self, vni: _Optional[int] = ..., address: _Optional[bytes] = ..., mac: _Optional[bytes] = ..., router: _Optional[bool] = ...) -> None: ...

class LspRecord(_message.Message):
    __slots__ = ("label", "nexthops")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    NEXTHOPS_FIELD_NUMBER: _ClassVar[int]
    label: int
    nexthops: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, label: _Optional[int] = ..., nexthops: _Optional[_Iterable[str]] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("nexthop", "remote_vtep", "flood", "mac", "neighbor", "lsp", "vrf", "vni", "port", "ethernet_segment")
    NEXTHOP_FIELD_NUMBER: _ClassVar[int]
    REMOTE_VTEP_FIELD_NUMBER: _ClassVar[int]
    FLOOD_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOR_FIELD_NUMBER: _ClassVar[int]
    LSP_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    ETHERNET_SEGMENT_FIELD_NUMBER: _ClassVar[int]
    nexthop: NexthopRecord
    remote_vtep: RemoteVtepRecord
    flood: FloodRecord
    mac: MacRecord
    neighbor: NeighborRecord
    lsp: LspRecord
    vrf: VrfRecord
    vni: VniRecord
    port: PortRecord
    ethernet_segment: EthernetSegmentRecord
    def __init__(self, nexthop: _Optional[_Union[NexthopRecord, _Mapping]] = ..., remote_vtep: _Optional[_Union[RemoteVtepRecord, _Mapping]] = ..., flood: _Optional[_Union[FloodRecord, _Mapping]] = ..., mac: _Optional[_Union[MacRecord, _Mapping]] = ..., neighbor: _Optional[_Union[NeighborRecord, _Mapping]] = ..., lsp: _Optional[_Union[LspRecord, _Mapping]] = ..., vrf: _Optional[_Union[VrfRecord, _Mapping]] = ..., vni: _Optional[_Union[VniRecord, _Mapping]] = ..., port: _Optional[_Union[PortRecord, _Mapping]] = ..., ethernet_segment: _Optional[_Union[EthernetSegmentRecord, _Mapping]] = ...) -> None: ...

class RecordBatch(_message.Message):
    __slots__ = ("kind", "upserts", "withdrawals")
    KIND_FIELD_NUMBER: _ClassVar[int]
    UPSERTS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWALS_FIELD_NUMBER: _ClassVar[int]
    kind: int
    upserts: _containers.RepeatedCompositeFieldContainer[Record]
    withdrawals: _containers.RepeatedCompositeFieldContainer[Record]
    def __init__(self, kind: _Optional[int] = ..., upserts: _Optional[_Iterable[_Union[Record, _Mapping]]] = ..., withdrawals: _Optional[_Iterable[_Union[Record, _Mapping]]] = ...) -> None: ...
