from dualpath.pb import state_pb2 as _state_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CapabilitiesResponse(_message.Message):
    __slots__ = ("name", "version", "kinds", "lacks", "batch_rows", "looks_up")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    LACKS_FIELD_NUMBER: _ClassVar[int]
    BATCH_ROWS_FIELD_NUMBER: _ClassVar[int]
    LOOKS_UP_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    kinds: _containers.RepeatedScalarFieldContainer[int]
    lacks: _containers.RepeatedScalarFieldContainer[str]
    batch_rows: int
    looks_up: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., kinds: _Optional[_Iterable[int]] = ..., lacks: _Optional[_Iterable[str]] = ..., batch_rows: _Optional[int] = ..., looks_up: _Optional[bool] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("routes", "records")
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    routes: _state_pb2.RouteBatch
    records: _state_pb2.RecordBatch
    def __init__(self, routes: _Optional[_Union[_state_pb2.RouteBatch, _Mapping]] = ..., records: _Optional[_Union[_state_pb2.RecordBatch, _Mapping]] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("failures",)
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    failures: _containers.RepeatedCompositeFieldContainer[RowFailures]
    def __init__(self, failures: _Optional[_Iterable[_Union[RowFailures, _Mapping]]] = ...) -> None: ...

class RowFailures(_message.Message):
    __slots__ = ("error", "reason", "rows")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    error: str
    reason: str
    rows: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, error: _Optional[str] = ..., reason: _Optional[str] = ..., rows: _Optional[_Iterable[int]] = ...) -> None: ...

class DumpRequest(_message.Message):
    __slots__ = ("kind",)
    KIND_FIELD_NUMBER: _ClassVar[int]
    kind: int
    def __init__(self, kind: _Optional[int] = ...) -> None: ...

class DumpResponse(_message.Message):
    __slots__ = ("routes", "records")
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    routes: _state_pb2.RouteBatch
    records: _state_pb2.RecordBatch
    def __init__(self, routes: _Optional[_Union[_state_pb2.RouteBatch, _Mapping]] = ..., records: _Optional[_Union[_state_pb2.RecordBatch, _Mapping]] = ...) -> None: ...

class PortsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PortsResponse(_message.Message):
    __slots__ = ("ports",)
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedCompositeFieldContainer[PortState]
    def __init__(self, ports: _Optional[_Iterable[_Union[PortState, _Mapping]]] = ...) -> None: ...

class PortState(_message.Message):
    __slots__ = ("name", "up", "mac", "mtu", "addresses", "rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "rx_dropped", "tx_errors", "driver")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    RX_PACKETS_FIELD_NUMBER: _ClassVar[int]
    RX_BYTES_FIELD_NUMBER: _ClassVar[int]
    TX_PACKETS_FIELD_NUMBER: _ClassVar[int]
    TX_BYTES_FIELD_NUMBER: _ClassVar[int]
    RX_DROPPED_FIELD_NUMBER: _ClassVar[int]
    TX_ERRORS_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    name: str
    up: bool
    mac: bytes
    mtu: int
    addresses: _containers.RepeatedScalarFieldContainer[str]
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    rx_dropped: int
    tx_errors: int
    driver: str
    def __init__(self, name: _Optional[str] = ..., up: _Optional[bool] = ..., mac: _Optional[bytes] = ..., mtu: _Optional[int] = ..., addresses: _Optional[_Iterable[str]] = ..., rx_packets: _Optional[int] = ..., rx_bytes: _Optional[int] = ..., tx_packets: _Optional[int] = ..., tx_bytes: _Optional[int] = ..., rx_dropped: _Optional[int] = ..., tx_errors: _Optional[int] = ..., driver: _Optional[str] = ...) -> None: ...

class FactsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FactsResponse(_message.Message):
    __slots__ = ("values", "fibs", "nodes")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    FIBS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Fact]
    fibs: _containers.RepeatedCompositeFieldContainer[FibUse]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeStats]
    def __init__(self, values: _Optional[_Iterable[_Union[Fact, _Mapping]]] = ..., fibs: _Optional[_Iterable[_Union[FibUse, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeStats, _Mapping]]] = ...) -> None: ...

class Fact(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class FibUse(_message.Message):
    __slots__ = ("vrf", "family", "used", "limit", "blocks")
    VRF_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    family: int
    used: int
    limit: int
    blocks: int
    def __init__(self, vrf: _Optional[str] = ..., family: _Optional[int] = ..., used: _Optional[int] = ..., limit: _Optional[int] = ..., blocks: _Optional[int] = ...) -> None: ...

class NodeStats(_message.Message):
    __slots__ = ("name", "packets", "batches", "cycles")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    CYCLES_FIELD_NUMBER: _ClassVar[int]
    name: str
    packets: int
    batches: int
    cycles: int
    def __init__(self, name: _Optional[str] = ..., packets: _Optional[int] = ..., batches: _Optional[int] = ..., cycles: _Optional[int] = ...) -> None: ...

class LookUpRequest(_message.Message):
    __slots__ = ("vrf", "address")
    VRF_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    address: bytes
    def __init__(self, vrf: _Optional[str] = ..., address: _Optional[bytes] = ...) -> None: ...

class LookUpResponse(_message.Message):
    __slots__ = ("route",)
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    route: FoundRoute
    def __init__(self, route: _Optional[_Union[FoundRoute, _Mapping]] = ...) -> None: ...

class FoundRoute(_message.Message):
    __slots__ = ("prefix", "length", "protocol", "nexthop", "ways")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    NEXTHOP_FIELD_NUMBER: _ClassVar[int]
    WAYS_FIELD_NUMBER: _ClassVar[int]
    prefix: bytes
    length: int
    protocol: int
    nexthop: _state_pb2.NexthopRecord
    ways: _containers.RepeatedCompositeFieldContainer[FoundWay]
    def __init__(self, prefix: _Optional[bytes] = ..., length: _Optional[int] = ..., protocol: _Optional[int] = ..., nexthop: _Optional[_Union[_state_pb2.NexthopRecord, _Mapping]] = ..., ways: _Optional[_Iterable[_Union[FoundWay, _Mapping]]] = ...) -> None: ...

class FoundWay(_message.Message):
    __slots__ = ("nexthop", "weight", "vni", "vtep", "mac")
    NEXTHOP_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    nexthop: _state_pb2.NexthopRecord
    weight: int
    vni: int
    vtep: bytes
    mac: bytes
    def __init__(self, nexthop: _Optional[_Union[_state_pb2.NexthopRecord, _Mapping]] = ..., weight: _Optional[int] = ..., vni: _Optional[int] = ..., vtep: _Optional[bytes] = ..., mac: _Optional[bytes] = ...) -> None: ...

class LearnedRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LearnedResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[LearnedEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[LearnedEvent, _Mapping]]] = ...) -> None: ...

class LearnedEvent(_message.Message):
    __slots__ = ("mac", "neighbor", "port", "lost", "caught_up")
    MAC_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOR_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    mac: LearnedMac
    neighbor: LearnedNeighbor
    port: PortChanged
    lost: Lost
    caught_up: CaughtUp
    def __init__(self, mac: _Optional[_Union[LearnedMac, _Mapping]] = ..., neighbor: _Optional[_Union[LearnedNeighbor, _Mapping]] = ..., port: _Optional[_Union[PortChanged, _Mapping]] = ..., lost: _Optional[_Union[Lost, _Mapping]] = ..., caught_up: _Optional[_Union[CaughtUp, _Mapping]] = ...) -> None: ...

class LearnedMac(_message.Message):
    __slots__ = ("vni", "mac", "gone")
    VNI_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    vni: int
    mac: bytes
    gone: bool
    def __init__(self, vni: _Optional[int] = ..., mac: _Optional[bytes] = ..., gone: _Optional[bool] = ...) -> None: ...

class LearnedNeighbor(_message.Message):
    __slots__ = ("vni", "address", "mac", "gone")
    VNI_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    vni: int
    address: bytes
    mac: bytes
    gone: bool
    def __init__(self, vni: _Optional[int] = ..., address: _Optional[bytes] = ..., mac: _Optional[bytes] = ..., gone: _Optional[bool] = ...) -> None: ...

class PortChanged(_message.Message):
    __slots__ = ("name", "up")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    name: str
    up: bool
    def __init__(self, name: _Optional[str] = ..., up: _Optional[bool] = ...) -> None: ...

class Lost(_message.Message):
    __slots__ = ("kind", "records", "routes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    kind: int
    records: _containers.RepeatedCompositeFieldContainer[_state_pb2.Record]
    routes: _state_pb2.RouteBatch
    def __init__(self, kind: _Optional[int] = ..., records: _Optional[_Iterable[_Union[_state_pb2.Record, _Mapping]]] = ..., routes: _Optional[_Union[_state_pb2.RouteBatch, _Mapping]] = ...) -> None: ...

class CaughtUp(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
