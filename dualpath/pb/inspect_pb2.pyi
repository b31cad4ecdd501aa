import datetime

from dualpath.pb import state_pb2 as _state_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Family(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAMILY_UNSPECIFIED: _ClassVar[Family]
    FAMILY_IPV4: _ClassVar[Family]
    FAMILY_IPV6: _ClassVar[Family]

class RowState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROW_STATE_UNSPECIFIED: _ClassVar[RowState]
    ROW_STATE_PROGRAMMED: _ClassVar[RowState]
    ROW_STATE_PENDING: _ClassVar[RowState]
    ROW_STATE_FAILED: _ClassVar[RowState]
    ROW_STATE_STALE: _ClassVar[RowState]
    ROW_STATE_LEAVING: _ClassVar[RowState]
    ROW_STATE_UNMANAGED: _ClassVar[RowState]

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_VRF: _ClassVar[Kind]
    KIND_VNI: _ClassVar[Kind]
    KIND_PORT: _ClassVar[Kind]
    KIND_REMOTE_VTEP: _ClassVar[Kind]
    KIND_FLOOD: _ClassVar[Kind]
    KIND_MAC: _ClassVar[Kind]
    KIND_NEIGHBOR: _ClassVar[Kind]
    KIND_NEXTHOP: _ClassVar[Kind]
    KIND_ROUTE: _ClassVar[Kind]
    KIND_LSP: _ClassVar[Kind]
    KIND_ETHERNET_SEGMENT: _ClassVar[Kind]

class PlaneRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLANE_ROLE_UNSPECIFIED: _ClassVar[PlaneRole]
    PLANE_ROLE_ACTIVE: _ClassVar[PlaneRole]
    PLANE_ROLE_STANDBY: _ClassVar[PlaneRole]
    PLANE_ROLE_PREPARING: _ClassVar[PlaneRole]

class AuditProblem(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_PROBLEM_UNSPECIFIED: _ClassVar[AuditProblem]
    AUDIT_PROBLEM_MISSING: _ClassVar[AuditProblem]
    AUDIT_PROBLEM_DIFFERENT: _ClassVar[AuditProblem]
    AUDIT_PROBLEM_UNEXPECTED: _ClassVar[AuditProblem]
    AUDIT_PROBLEM_REFUSED: _ClassVar[AuditProblem]
FAMILY_UNSPECIFIED: Family
FAMILY_IPV4: Family
FAMILY_IPV6: Family
ROW_STATE_UNSPECIFIED: RowState
ROW_STATE_PROGRAMMED: RowState
ROW_STATE_PENDING: RowState
ROW_STATE_FAILED: RowState
ROW_STATE_STALE: RowState
ROW_STATE_LEAVING: RowState
ROW_STATE_UNMANAGED: RowState
KIND_UNSPECIFIED: Kind
KIND_VRF: Kind
KIND_VNI: Kind
KIND_PORT: Kind
KIND_REMOTE_VTEP: Kind
KIND_FLOOD: Kind
KIND_MAC: Kind
KIND_NEIGHBOR: Kind
KIND_NEXTHOP: Kind
KIND_ROUTE: Kind
KIND_LSP: Kind
KIND_ETHERNET_SEGMENT: Kind
PLANE_ROLE_UNSPECIFIED: PlaneRole
PLANE_ROLE_ACTIVE: PlaneRole
PLANE_ROLE_STANDBY: PlaneRole
PLANE_ROLE_PREPARING: PlaneRole
AUDIT_PROBLEM_UNSPECIFIED: AuditProblem
AUDIT_PROBLEM_MISSING: AuditProblem
AUDIT_PROBLEM_DIFFERENT: AuditProblem
AUDIT_PROBLEM_UNEXPECTED: AuditProblem
AUDIT_PROBLEM_REFUSED: AuditProblem

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("version", "datapath", "netns", "frr_netns", "started_at", "ready", "not_ready", "bridge", "session", "session_state", "reason", "stale_after", "counts", "repaired", "resources", "sequence", "sessions", "vnis", "datapath_status", "degraded", "undecoded", "trial", "datapaths")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DATAPATH_FIELD_NUMBER: _ClassVar[int]
    NETNS_FIELD_NUMBER: _ClassVar[int]
    FRR_NETNS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    NOT_READY_FIELD_NUMBER: _ClassVar[int]
    BRIDGE_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STALE_AFTER_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    VNIS_FIELD_NUMBER: _ClassVar[int]
    DATAPATH_STATUS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    UNDECODED_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    DATAPATHS_FIELD_NUMBER: _ClassVar[int]
    version: str
    datapath: str
    netns: str
    frr_netns: str
    started_at: _timestamp_pb2.Timestamp
    ready: bool
    not_ready: str
    bridge: str
    session: int
    session_state: str
    reason: str
    stale_after: _timestamp_pb2.Timestamp
    counts: _containers.RepeatedCompositeFieldContainer[KindCount]
    repaired: int
    resources: _containers.RepeatedCompositeFieldContainer[ResourceStatus]
    sequence: int
    sessions: _containers.RepeatedCompositeFieldContainer[BgpSessionState]
    vnis: _containers.RepeatedCompositeFieldContainer[FrrVniState]
    datapath_status: DatapathStatus
    degraded: str
    undecoded: int
    trial: str
    datapaths: _containers.RepeatedCompositeFieldContainer[PlaneState]
    def __init__(self, version: _Optional[str] = ..., datapath: _Optional[str] = ..., netns: _Optional[str] = ..., frr_netns: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ready: _Optional[bool] = ..., not_ready: _Optional[str] = ..., bridge: _Optional[str] = ..., session: _Optional[int] = ..., session_state: _Optional[str] = ..., reason: _Optional[str] = ..., stale_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., counts: _Optional[_Iterable[_Union[KindCount, _Mapping]]] = ..., repaired: _Optional[int] = ..., resources: _Optional[_Iterable[_Union[ResourceStatus, _Mapping]]] = ..., sequence: _Optional[int] = ..., sessions: _Optional[_Iterable[_Union[BgpSessionState, _Mapping]]] = ..., vnis: _Optional[_Iterable[_Union[FrrVniState, _Mapping]]] = ..., datapath_status: _Optional[_Union[DatapathStatus, _Mapping]] = ..., degraded: _Optional[str] = ..., undecoded: _Optional[int] = ..., trial: _Optional[str] = ..., datapaths: _Optional[_Iterable[_Union[PlaneState, _Mapping]]] = ...) -> None: ...

class PlaneState(_message.Message):
    __slots__ = ("name", "role", "desired", "programmed", "failed", "problem", "ports")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    PROGRAMMED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: PlaneRole
    desired: int
    programmed: int
    failed: int
    problem: str
    ports: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., role: _Optional[_Union[PlaneRole, str]] = ..., desired: _Optional[int] = ..., programmed: _Optional[int] = ..., failed: _Optional[int] = ..., problem: _Optional[str] = ..., ports: _Optional[_Iterable[str]] = ...) -> None: ...

class DatapathStatus(_message.Message):
    __slots__ = ("name", "version", "unavailable", "facts", "fibs", "nodes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    FIBS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    unavailable: str
    facts: _containers.RepeatedCompositeFieldContainer[DatapathFact]
    fibs: _containers.RepeatedCompositeFieldContainer[DatapathFib]
    nodes: _containers.RepeatedCompositeFieldContainer[DatapathNode]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., unavailable: _Optional[str] = ..., facts: _Optional[_Iterable[_Union[DatapathFact, _Mapping]]] = ..., fibs: _Optional[_Iterable[_Union[DatapathFib, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[DatapathNode, _Mapping]]] = ...) -> None: ...

class DatapathFact(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class DatapathFib(_message.Message):
    __slots__ = ("vrf", "family", "used", "limit", "blocks")
    VRF_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    family: Family
    used: int
    limit: int
    blocks: int
    def __init__(self, vrf: _Optional[str] = ..., family: _Optional[_Union[Family, str]] = ..., used: _Optional[int] = ..., limit: _Optional[int] = ..., blocks: _Optional[int] = ...) -> None: ...

class DatapathNode(_message.Message):
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

class KindCount(_message.Message):
    __slots__ = ("kind", "desired", "programmed", "failed", "stale", "unmanaged")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    PROGRAMMED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    UNMANAGED_FIELD_NUMBER: _ClassVar[int]
    kind: Kind
    desired: int
    programmed: int
    failed: int
    stale: int
    unmanaged: int
    def __init__(self, kind: _Optional[_Union[Kind, str]] = ..., desired: _Optional[int] = ..., programmed: _Optional[int] = ..., failed: _Optional[int] = ..., stale: _Optional[int] = ..., unmanaged: _Optional[int] = ...) -> None: ...

class ResourceStatus(_message.Message):
    __slots__ = ("kind", "name", "ready", "reason", "message", "generation", "applied_generation")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    ready: bool
    reason: str
    message: str
    generation: int
    applied_generation: int
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., ready: _Optional[bool] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., generation: _Optional[int] = ..., applied_generation: _Optional[int] = ...) -> None: ...

class BgpSessionState(_message.Message):
    __slots__ = ("vrf", "peer", "remote_as", "state", "since", "received", "sent", "reason", "bfd")
    VRF_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    REMOTE_AS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BFD_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    peer: str
    remote_as: int
    state: str
    since: _timestamp_pb2.Timestamp
    received: int
    sent: int
    reason: str
    bfd: str
    def __init__(self, vrf: _Optional[str] = ..., peer: _Optional[str] = ..., remote_as: _Optional[int] = ..., state: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received: _Optional[int] = ..., sent: _Optional[int] = ..., reason: _Optional[str] = ..., bfd: _Optional[str] = ...) -> None: ...

class FrrVniState(_message.Message):
    __slots__ = ("vni", "layer", "vrf", "up", "macs", "neighbors", "vteps")
    VNI_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    VTEPS_FIELD_NUMBER: _ClassVar[int]
    vni: int
    layer: int
    vrf: str
    up: bool
    macs: int
    neighbors: int
    vteps: int
    def __init__(self, vni: _Optional[int] = ..., layer: _Optional[int] = ..., vrf: _Optional[str] = ..., up: _Optional[bool] = ..., macs: _Optional[int] = ..., neighbors: _Optional[int] = ..., vteps: _Optional[int] = ...) -> None: ...

class IntentRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IntentResponse(_message.Message):
    __slots__ = ("node_name", "node_index", "node_labels", "forwarding", "control", "underlay_mtu", "datapath", "devices", "frr_settings")
    class NodeLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_INDEX_FIELD_NUMBER: _ClassVar[int]
    NODE_LABELS_FIELD_NUMBER: _ClassVar[int]
    FORWARDING_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    UNDERLAY_MTU_FIELD_NUMBER: _ClassVar[int]
    DATAPATH_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    FRR_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    node_name: str
    node_index: int
    node_labels: _containers.ScalarMap[str, str]
    forwarding: str
    control: str
    underlay_mtu: int
    datapath: str
    devices: _containers.RepeatedCompositeFieldContainer[PlannedDevice]
    frr_settings: str
    def __init__(self, node_name: _Optional[str] = ..., node_index: _Optional[int] = ..., node_labels: _Optional[_Mapping[str, str]] = ..., forwarding: _Optional[str] = ..., control: _Optional[str] = ..., underlay_mtu: _Optional[int] = ..., datapath: _Optional[str] = ..., devices: _Optional[_Iterable[_Union[PlannedDevice, _Mapping]]] = ..., frr_settings: _Optional[str] = ...) -> None: ...

class PlannedDevice(_message.Message):
    __slots__ = ("kind", "name", "resource", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    resource: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., resource: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("vrf", "vni", "family", "states", "limit", "page_token")
    VRF_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    vni: int
    family: Family
    states: _containers.RepeatedScalarFieldContainer[RowState]
    limit: int
    page_token: str
    def __init__(self, vrf: _Optional[str] = ..., vni: _Optional[int] = ..., family: _Optional[_Union[Family, str]] = ..., states: _Optional[_Iterable[_Union[RowState, str]]] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRoutesRequest(_message.Message):
    __slots__ = ("vrf", "vni", "family", "states", "prefix", "longer", "nexthop_id", "limit", "page_token")
    VRF_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LONGER_FIELD_NUMBER: _ClassVar[int]
    NEXTHOP_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    vni: int
    family: Family
    states: _containers.RepeatedScalarFieldContainer[RowState]
    prefix: str
    longer: bool
    nexthop_id: int
    limit: int
    page_token: str
    def __init__(self, vrf: _Optional[str] = ..., vni: _Optional[int] = ..., family: _Optional[_Union[Family, str]] = ..., states: _Optional[_Iterable[_Union[RowState, str]]] = ..., prefix: _Optional[str] = ..., longer: _Optional[bool] = ..., nexthop_id: _Optional[int] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRoutesResponse(_message.Message):
    __slots__ = ("routes", "next_page_token")
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    next_page_token: str
    def __init__(self, routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListNexthopsResponse(_message.Message):
    __slots__ = ("nexthops", "next_page_token")
    NEXTHOPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    nexthops: _containers.RepeatedCompositeFieldContainer[NexthopRow]
    next_page_token: str
    def __init__(self, nexthops: _Optional[_Iterable[_Union[NexthopRow, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListMacsResponse(_message.Message):
    __slots__ = ("macs", "next_page_token")
    MACS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    macs: _containers.RepeatedCompositeFieldContainer[Mac]
    next_page_token: str
    def __init__(self, macs: _Optional[_Iterable[_Union[Mac, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListNeighborsResponse(_message.Message):
    __slots__ = ("neighbors", "next_page_token")
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    neighbors: _containers.RepeatedCompositeFieldContainer[Neighbor]
    next_page_token: str
    def __init__(self, neighbors: _Optional[_Iterable[_Union[Neighbor, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListVtepsResponse(_message.Message):
    __slots__ = ("vteps", "next_page_token")
    VTEPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    vteps: _containers.RepeatedCompositeFieldContainer[Vtep]
    next_page_token: str
    def __init__(self, vteps: _Optional[_Iterable[_Union[Vtep, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListVnisResponse(_message.Message):
    __slots__ = ("vnis", "next_page_token")
    VNIS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    vnis: _containers.RepeatedCompositeFieldContainer[Vni]
    next_page_token: str
    def __init__(self, vnis: _Optional[_Iterable[_Union[Vni, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListVrfsResponse(_message.Message):
    __slots__ = ("vrfs", "next_page_token")
    VRFS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    vrfs: _containers.RepeatedCompositeFieldContainer[Vrf]
    next_page_token: str
    def __init__(self, vrfs: _Optional[_Iterable[_Union[Vrf, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListPortsResponse(_message.Message):
    __slots__ = ("ports", "unavailable", "next_page_token")
    PORTS_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    unavailable: str
    next_page_token: str
    def __init__(self, ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., unavailable: _Optional[str] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListLspsResponse(_message.Message):
    __slots__ = ("lsps", "next_page_token")
    LSPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    lsps: _containers.RepeatedCompositeFieldContainer[Lsp]
    next_page_token: str
    def __init__(self, lsps: _Optional[_Iterable[_Union[Lsp, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("vrf", "family", "prefix", "protocol", "desired", "programmed", "state", "error", "session", "changed_at")
    VRF_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    PROGRAMMED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    family: Family
    prefix: str
    protocol: str
    desired: Nexthop
    programmed: Nexthop
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, vrf: _Optional[str] = ..., family: _Optional[_Union[Family, str]] = ..., prefix: _Optional[str] = ..., protocol: _Optional[str] = ..., desired: _Optional[_Union[Nexthop, _Mapping]] = ..., programmed: _Optional[_Union[Nexthop, _Mapping]] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Nexthop(_message.Message):
    __slots__ = ("id", "type", "gateway", "device", "vni", "vtep", "onlink", "members")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    ONLINK_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    id: int
    type: _state_pb2.NexthopType
    gateway: str
    device: str
    vni: int
    vtep: str
    onlink: bool
    members: _containers.RepeatedCompositeFieldContainer[GroupMember]
    def __init__(self, id: _Optional[int] = ..., type: _Optional[_Union[_state_pb2.NexthopType, str]] = ..., gateway: _Optional[str] = ..., device: _Optional[str] = ..., vni: _Optional[int] = ..., vtep: _Optional[str] = ..., onlink: _Optional[bool] = ..., members: _Optional[_Iterable[_Union[GroupMember, _Mapping]]] = ...) -> None: ...

class GroupMember(_message.Message):
    __slots__ = ("weight", "nexthop")
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NEXTHOP_FIELD_NUMBER: _ClassVar[int]
    weight: int
    nexthop: Nexthop
    def __init__(self, weight: _Optional[int] = ..., nexthop: _Optional[_Union[Nexthop, _Mapping]] = ...) -> None: ...

class NexthopRow(_message.Message):
    __slots__ = ("nexthop", "state", "error", "session", "changed_at")
    NEXTHOP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    nexthop: Nexthop
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, nexthop: _Optional[_Union[Nexthop, _Mapping]] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Mac(_message.Message):
    __slots__ = ("vni", "mac", "vtep", "sticky", "vteps", "segment", "state", "error", "session", "changed_at")
    VNI_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    STICKY_FIELD_NUMBER: _ClassVar[int]
    VTEPS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    vni: int
    mac: str
    vtep: str
    sticky: bool
    vteps: _containers.RepeatedScalarFieldContainer[str]
    segment: int
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, vni: _Optional[int] = ..., mac: _Optional[str] = ..., vtep: _Optional[str] = ..., sticky: _Optional[bool] = ..., vteps: _Optional[_Iterable[str]] = ..., segment: _Optional[int] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Neighbor(_message.Message):
    __slots__ = ("vni", "address", "mac", "router", "state", "error", "session", "changed_at")
    VNI_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    vni: int
    address: str
    mac: str
    router: bool
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, vni: _Optional[int] = ..., address: _Optional[str] = ..., mac: _Optional[str] = ..., router: _Optional[bool] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Vtep(_message.Message):
    __slots__ = ("vni", "vtep", "role", "mac", "state", "error", "session", "changed_at")
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROLE_UNSPECIFIED: _ClassVar[Vtep.Role]
        ROLE_FLOOD: _ClassVar[Vtep.Role]
        ROLE_ROUTER: _ClassVar[Vtep.Role]
    ROLE_UNSPECIFIED: Vtep.Role
    ROLE_FLOOD: Vtep.Role
    ROLE_ROUTER: Vtep.Role
    VNI_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    vni: int
    vtep: str
    role: Vtep.Role
    mac: str
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, vni: _Optional[int] = ..., vtep: _Optional[str] = ..., role: _Optional[_Union[Vtep.Role, str]] = ..., mac: _Optional[str] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Vni(_message.Message):
    __slots__ = ("vni", "layer", "vrf", "local", "port", "mac", "gateways", "mtu", "bridge", "device", "vteps", "state", "error", "session", "changed_at")
    VNI_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    BRIDGE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VTEPS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    vni: int
    layer: int
    vrf: str
    local: str
    port: int
    mac: str
    gateways: _containers.RepeatedScalarFieldContainer[str]
    mtu: int
    bridge: str
    device: str
    vteps: _containers.RepeatedScalarFieldContainer[str]
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, vni: _Optional[int] = ..., layer: _Optional[int] = ..., vrf: _Optional[str] = ..., local: _Optional[str] = ..., port: _Optional[int] = ..., mac: _Optional[str] = ..., gateways: _Optional[_Iterable[str]] = ..., mtu: _Optional[int] = ..., bridge: _Optional[str] = ..., device: _Optional[str] = ..., vteps: _Optional[_Iterable[str]] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Vrf(_message.Message):
    __slots__ = ("name", "table", "l3vni", "state", "error", "session", "changed_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    L3VNI_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    table: int
    l3vni: int
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., table: _Optional[int] = ..., l3vni: _Optional[int] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("name", "type", "vrf", "vni", "addresses", "mtu", "twin", "host", "link", "state", "error", "session", "changed_at")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Port.Type]
        TYPE_NIC: _ClassVar[Port.Type]
        TYPE_HOST: _ClassVar[Port.Type]
        TYPE_LOOPBACK: _ClassVar[Port.Type]
    TYPE_UNSPECIFIED: Port.Type
    TYPE_NIC: Port.Type
    TYPE_HOST: Port.Type
    TYPE_LOOPBACK: Port.Type
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    TWIN_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: Port.Type
    vrf: str
    vni: int
    addresses: _containers.RepeatedScalarFieldContainer[str]
    mtu: int
    twin: bool
    host: HostEnd
    link: Link
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[Port.Type, str]] = ..., vrf: _Optional[str] = ..., vni: _Optional[int] = ..., addresses: _Optional[_Iterable[str]] = ..., mtu: _Optional[int] = ..., twin: _Optional[bool] = ..., host: _Optional[_Union[HostEnd, _Mapping]] = ..., link: _Optional[_Union[Link, _Mapping]] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HostEnd(_message.Message):
    __slots__ = ("netns", "name", "mac", "addresses", "bridge")
    NETNS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    BRIDGE_FIELD_NUMBER: _ClassVar[int]
    netns: str
    name: str
    mac: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    bridge: str
    def __init__(self, netns: _Optional[str] = ..., name: _Optional[str] = ..., mac: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., bridge: _Optional[str] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("up", "mac", "mtu", "addresses", "rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "rx_dropped", "tx_errors", "driver")
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
    up: bool
    mac: str
    mtu: int
    addresses: _containers.RepeatedScalarFieldContainer[str]
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    rx_dropped: int
    tx_errors: int
    driver: str
    def __init__(self, up: _Optional[bool] = ..., mac: _Optional[str] = ..., mtu: _Optional[int] = ..., addresses: _Optional[_Iterable[str]] = ..., rx_packets: _Optional[int] = ..., rx_bytes: _Optional[int] = ..., tx_packets: _Optional[int] = ..., tx_bytes: _Optional[int] = ..., rx_dropped: _Optional[int] = ..., tx_errors: _Optional[int] = ..., driver: _Optional[str] = ...) -> None: ...

class Lsp(_message.Message):
    __slots__ = ("label", "nexthops", "state", "error", "session", "changed_at")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    NEXTHOPS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    label: int
    nexthops: _containers.RepeatedScalarFieldContainer[str]
    state: RowState
    error: str
    session: int
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, label: _Optional[int] = ..., nexthops: _Optional[_Iterable[str]] = ..., state: _Optional[_Union[RowState, str]] = ..., error: _Optional[str] = ..., session: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("after", "kinds", "vrf", "states", "vni", "family")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    after: int
    kinds: _containers.RepeatedScalarFieldContainer[Kind]
    vrf: str
    states: _containers.RepeatedScalarFieldContainer[RowState]
    vni: int
    family: Family
    def __init__(self, after: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[Kind, str]]] = ..., vrf: _Optional[str] = ..., states: _Optional[_Iterable[_Union[RowState, str]]] = ..., vni: _Optional[int] = ..., family: _Optional[_Union[Family, str]] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    def __init__(self, changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("sequence", "at", "kind", "text", "vrf", "state", "withdrawn", "detail", "vni")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    at: _timestamp_pb2.Timestamp
    kind: Kind
    text: str
    vrf: str
    state: RowState
    withdrawn: bool
    detail: str
    vni: int
    def __init__(self, sequence: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[Kind, str]] = ..., text: _Optional[str] = ..., vrf: _Optional[str] = ..., state: _Optional[_Union[RowState, str]] = ..., withdrawn: _Optional[bool] = ..., detail: _Optional[str] = ..., vni: _Optional[int] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("vrf", "address")
    VRF_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    address: str
    def __init__(self, vrf: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("vrf", "address", "frr", "desired", "programmed", "problems", "observed", "not_observed", "datapath")
    VRF_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FRR_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    PROGRAMMED_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    NOT_OBSERVED_FIELD_NUMBER: _ClassVar[int]
    DATAPATH_FIELD_NUMBER: _ClassVar[int]
    vrf: str
    address: str
    frr: Lookup
    desired: Lookup
    programmed: Lookup
    problems: _containers.RepeatedScalarFieldContainer[str]
    observed: Lookup
    not_observed: str
    datapath: str
    def __init__(self, vrf: _Optional[str] = ..., address: _Optional[str] = ..., frr: _Optional[_Union[Lookup, _Mapping]] = ..., desired: _Optional[_Union[Lookup, _Mapping]] = ..., programmed: _Optional[_Union[Lookup, _Mapping]] = ..., problems: _Optional[_Iterable[str]] = ..., observed: _Optional[_Union[Lookup, _Mapping]] = ..., not_observed: _Optional[str] = ..., datapath: _Optional[str] = ...) -> None: ...

class Lookup(_message.Message):
    __slots__ = ("route", "paths")
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    route: Route
    paths: _containers.RepeatedCompositeFieldContainer[Path]
    def __init__(self, route: _Optional[_Union[Route, _Mapping]] = ..., paths: _Optional[_Iterable[_Union[Path, _Mapping]]] = ...) -> None: ...

class Path(_message.Message):
    __slots__ = ("weight", "nexthop", "vni", "vtep", "mac", "underlay_prefix", "ports")
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NEXTHOP_FIELD_NUMBER: _ClassVar[int]
    VNI_FIELD_NUMBER: _ClassVar[int]
    VTEP_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    UNDERLAY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    weight: int
    nexthop: Nexthop
    vni: int
    vtep: str
    mac: str
    underlay_prefix: str
    ports: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, weight: _Optional[int] = ..., nexthop: _Optional[_Union[Nexthop, _Mapping]] = ..., vni: _Optional[int] = ..., vtep: _Optional[str] = ..., mac: _Optional[str] = ..., underlay_prefix: _Optional[str] = ..., ports: _Optional[_Iterable[str]] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class AuditResponse(_message.Message):
    __slots__ = ("differed", "rows", "unchecked")
    DIFFERED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    UNCHECKED_FIELD_NUMBER: _ClassVar[int]
    differed: int
    rows: _containers.RepeatedCompositeFieldContainer[AuditRow]
    unchecked: str
    def __init__(self, differed: _Optional[int] = ..., rows: _Optional[_Iterable[_Union[AuditRow, _Mapping]]] = ..., unchecked: _Optional[str] = ...) -> None: ...

class AuditRow(_message.Message):
    __slots__ = ("kind", "vrf", "text", "problem", "datapath")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VRF_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    DATAPATH_FIELD_NUMBER: _ClassVar[int]
    kind: Kind
    vrf: str
    text: str
    problem: AuditProblem
    datapath: str
    def __init__(self, kind: _Optional[_Union[Kind, str]] = ..., vrf: _Optional[str] = ..., text: _Optional[str] = ..., problem: _Optional[_Union[AuditProblem, str]] = ..., datapath: _Optional[str] = ...) -> None: ...

class ResyncRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResyncResponse(_message.Message):
    __slots__ = ("differed",)
    DIFFERED_FIELD_NUMBER: _ClassVar[int]
    differed: int
    def __init__(self, differed: _Optional[int] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...
