from dualpath.pb import state_pb2 as _state_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BridgeMessage(_message.Message):
    __slots__ = ("version", "epoch", "sequence", "routes", "records", "session", "synced", "configured", "alive", "frr", "checked")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    FRR_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    version: int
    epoch: int
    sequence: int
    routes: _state_pb2.RouteBatch
    records: _state_pb2.RecordBatch
    session: Session
    synced: Synced
    configured: Configured
    alive: Alive
    frr: FrrReport
    checked: Checked
    def __init__(self, version: _Optional[int] = ..., epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., routes: _Optional[_Union[_state_pb2.RouteBatch, _Mapping]] = ..., records: _Optional[_Union[_state_pb2.RecordBatch, _Mapping]] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., synced: _Optional[_Union[Synced, _Mapping]] = ..., configured: _Optional[_Union[Configured, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ..., frr: _Optional[_Union[FrrReport, _Mapping]] = ..., checked: _Optional[_Union[Checked, _Mapping]] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("number", "state", "reason", "stale_after", "acknowledge")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STALE_AFTER_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: str
    reason: str
    stale_after: float
    acknowledge: bool
    def __init__(self, number: _Optional[int] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., stale_after: _Optional[float] = ..., acknowledge: _Optional[bool] = ...) -> None: ...

class Synced(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Configured(_message.Message):
    __slots__ = ("request", "ok", "changed", "message", "section")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SECTION_FIELD_NUMBER: _ClassVar[int]
    request: int
    ok: bool
    changed: bool
    message: str
    section: str
    def __init__(self, request: _Optional[int] = ..., ok: _Optional[bool] = ..., changed: _Optional[bool] = ..., message: _Optional[str] = ..., section: _Optional[str] = ...) -> None: ...

class Alive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Checked(_message.Message):
    __slots__ = ("request", "differed", "batches")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DIFFERED_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    request: int
    differed: int
    batches: _containers.RepeatedCompositeFieldContainer[_state_pb2.RecordBatch]
    def __init__(self, request: _Optional[int] = ..., differed: _Optional[int] = ..., batches: _Optional[_Iterable[_Union[_state_pb2.RecordBatch, _Mapping]]] = ...) -> None: ...

class FrrReport(_message.Message):
    __slots__ = ("sessions", "vnis", "undecoded")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    VNIS_FIELD_NUMBER: _ClassVar[int]
    UNDECODED_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[BgpSession]
    vnis: _containers.RepeatedCompositeFieldContainer[FrrVni]
    undecoded: int
    def __init__(self, sessions: _Optional[_Iterable[_Union[BgpSession, _Mapping]]] = ..., vnis: _Optional[_Iterable[_Union[FrrVni, _Mapping]]] = ..., undecoded: _Optional[int] = ...) -> None: ...

class BgpSession(_message.Message):
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
    since: float
    received: int
    sent: int
    reason: str
    bfd: str
    def __init__(self, vrf: _Optional[str] = ..., peer: _Optional[str] = ..., remote_as: _Optional[int] = ..., state: _Optional[str] = ..., since: _Optional[float] = ..., received: _Optional[int] = ..., sent: _Optional[int] = ..., reason: _Optional[str] = ..., bfd: _Optional[str] = ...) -> None: ...

class FrrVni(_message.Message):
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

class ControllerMessage(_message.Message):
    __slots__ = ("subscribe", "credit", "mirror", "programmed", "configure", "release", "provisioned", "check")
    SUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    PROGRAMMED_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PROVISIONED_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    subscribe: Subscribe
    credit: Credit
    mirror: Mirror
    programmed: _state_pb2.RouteBatch
    configure: Configure
    release: Release
    provisioned: Provisioned
    check: Check
    def __init__(self, subscribe: _Optional[_Union[Subscribe, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., mirror: _Optional[_Union[Mirror, _Mapping]] = ..., programmed: _Optional[_Union[_state_pb2.RouteBatch, _Mapping]] = ..., configure: _Optional[_Union[Configure, _Mapping]] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., provisioned: _Optional[_Union[Provisioned, _Mapping]] = ..., check: _Optional[_Union[Check, _Mapping]] = ...) -> None: ...

class Subscribe(_message.Message):
    __slots__ = ("credit", "provisions", "kept", "version")
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    PROVISIONS_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    credit: int
    provisions: bool
    kept: int
    version: int
    def __init__(self, credit: _Optional[int] = ..., provisions: _Optional[bool] = ..., kept: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("epoch", "batches")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    batches: int
    def __init__(self, epoch: _Optional[int] = ..., batches: _Optional[int] = ...) -> None: ...

class Mirror(_message.Message):
    __slots__ = ("whole", "macs", "neighbors", "gone_macs", "gone_neighbors")
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    GONE_MACS_FIELD_NUMBER: _ClassVar[int]
    GONE_NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    whole: bool
    macs: _containers.RepeatedCompositeFieldContainer[_state_pb2.MacRecord]
    neighbors: _containers.RepeatedCompositeFieldContainer[_state_pb2.NeighborRecord]
    gone_macs: _containers.RepeatedCompositeFieldContainer[_state_pb2.MacRecord]
    gone_neighbors: _containers.RepeatedCompositeFieldContainer[_state_pb2.NeighborRecord]
    def __init__(self, whole: _Optional[bool] = ..., macs: _Optional[_Iterable[_Union[_state_pb2.MacRecord, _Mapping]]] = ..., neighbors: _Optional[_Iterable[_Union[_state_pb2.NeighborRecord, _Mapping]]] = ..., gone_macs: _Optional[_Iterable[_Union[_state_pb2.MacRecord, _Mapping]]] = ..., gone_neighbors: _Optional[_Iterable[_Union[_state_pb2.NeighborRecord, _Mapping]]] = ...) -> None: ...

class Configure(_message.Message):
    __slots__ = ("request", "settings")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    request: int
    settings: bytes
    def __init__(self, request: _Optional[int] = ..., settings: _Optional[bytes] = ...) -> None: ...

class Provisioned(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Release(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Check(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: int
    def __init__(self, request: _Optional[int] = ...) -> None: ...
