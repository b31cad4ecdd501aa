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

class NexthopMember(_message.Message):
    __slots__ = ("id", "weight")
    ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    id: int
    weight: int
    def __init__(self, id: _Optional[int] = ..., weight: _Optional[int] = ...) -> None: ...

class NexthopRecord(_message.Message):
    __slots__ = ("id", "type", "gateway", "device", "vni", "onlink", "members")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    ONLINK_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    id: int
    type: NexthopType
    gateway: bytes
    device: str
    vni: int
    onlink: bool
    members: _containers.RepeatedCompositeFieldContainer[NexthopMember]
    def __init__(self, id: _Optional[int] = ..., type: _Optional[_Union[NexthopType, str]] = ..., gateway: _Optional[bytes] = ..., device: _Optional[str] = ..., vni: _Optional[int] = ..., onlink: _Optional[bool] = ..., members: _Optional[_Iterable[_Union[NexthopMember, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("vni", "mac", "vtep", "sticky")
    VNI_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    STICKY_FIELD_NUMBER: _ClassVar[int]
    vni: int
    mac: bytes
    vtep: bytes
    sticky: bool
    def __init__(self, vni: _Optional[int] = ..., mac: _Optional[bytes] = ..., vtep: _Optional[bytes] = ..., sticky: _Optional[bool] = ...) -> None: ...

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
    __slots__ = ("nexthop", "remote_vtep", "flood", "mac", "neighbor", "lsp")
    NEXTHOP_FIELD_NUMBER: _ClassVar[int]
    REMOTE_VTEP_FIELD_NUMBER: _ClassVar[int]
    FLOOD_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOR_FIELD_NUMBER: _ClassVar[int]
    LSP_FIELD_NUMBER: _ClassVar[int]
    nexthop: NexthopRecord
    remote_vtep: RemoteVtepRecord
    flood: FloodRecord
    mac: MacRecord
    neighbor: NeighborRecord
    lsp: LspRecord
    def __init__(self, nexthop: _Optional[_Union[NexthopRecord, _Mapping]] = ..., remote_vtep: _Optional[_Union[RemoteVtepRecord, _Mapping]] = ..., flood: _Optional[_Union[FloodRecord, _Mapping]] = ..., mac: _Optional[_Union[MacRecord, _Mapping]] = ..., neighbor: _Optional[_Union[NeighborRecord, _Mapping]] = ..., lsp: _Optional[_Union[LspRecord, _Mapping]] = ...) -> None: ...

class RecordBatch(_message.Message):
    __slots__ = ("kind", "upserts", "withdrawals")
    KIND_FIELD_NUMBER: _ClassVar[int]
    UPSERTS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWALS_FIELD_NUMBER: _ClassVar[int]
    kind: int
    upserts: _containers.RepeatedCompositeFieldContainer[Record]
    withdrawals: _containers.RepeatedCompositeFieldContainer[Record]
    def __init__(self, kind: _Optional[int] = ..., upserts: _Optional[_Iterable[_Union[Record, _Mapping]]] = ..., withdrawals: _Optional[_Iterable[_Union[Record, _Mapping]]] = ...) -> None: ...
