from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SwitchStep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SWITCH_STEP_UNSPECIFIED: _ClassVar[SwitchStep]
    SWITCH_STEP_PREPARE: _ClassVar[SwitchStep]
    SWITCH_STEP_MOVE: _ClassVar[SwitchStep]
    SWITCH_STEP_VERIFY: _ClassVar[SwitchStep]
    SWITCH_STEP_COMMIT: _ClassVar[SwitchStep]
    SWITCH_STEP_FINISH: _ClassVar[SwitchStep]
    SWITCH_STEP_ROLL_BACK: _ClassVar[SwitchStep]
SWITCH_STEP_UNSPECIFIED: SwitchStep
SWITCH_STEP_PREPARE: SwitchStep
SWITCH_STEP_MOVE: SwitchStep
SWITCH_STEP_VERIFY: SwitchStep
SWITCH_STEP_COMMIT: SwitchStep
SWITCH_STEP_FINISH: SwitchStep
SWITCH_STEP_ROLL_BACK: SwitchStep

class SwitchRequest(_message.Message):
    __slots__ = ("to", "ports", "keep", "dry_run", "back_after_s")
    TO_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BACK_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    to: str
    ports: _containers.RepeatedScalarFieldContainer[str]
    keep: bool
    dry_run: bool
    back_after_s: int
    def __init__(self, to: _Optional[str] = ..., ports: _Optional[_Iterable[str]] = ..., keep: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., back_after_s: _Optional[int] = ...) -> None: ...

class SwitchProgress(_message.Message):
    __slots__ = ("step", "text", "seconds")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    step: SwitchStep
    text: str
    seconds: float
    def __init__(self, step: _Optional[_Union[SwitchStep, str]] = ..., text: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class ConfirmSwitchRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConfirmSwitchResponse(_message.Message):
    __slots__ = ("confirmed",)
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    confirmed: bool
    def __init__(self, confirmed: _Optional[bool] = ...) -> None: ...
