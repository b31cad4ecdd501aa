"""Protobuf messages with every field set to something. Pure."""

import random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_DEEP = 4
_NUMBERS = (0, 1, 2, 7, 100, 110, 255, 4096, 65535, 1 << 24, (1 << 31) - 1)
_TEXTS = ("", "red", "default", "eth1", "10.2.0.0/24", "2001:db8::/32", "live", "x" * 300)
_BYTES = (b"", bytes(4), bytes((100, 64, 0, 2)), bytes(6), bytes(16), b"\x02\0\0\0\0\1", bytes(99))


def filled(source: random.Random, kind: type[Message], deep: int = 0) -> Message:
    """Return a message of a generated class with fields chosen at random."""
    made = kind()
    for field in made.DESCRIPTOR.fields:
        if source.randrange(3) == 0 or deep > _DEEP:
            continue
        many = field.is_repeated
        for _ in range(source.randrange(4) if many else 1):
            _set(source, made, field, many=many, deep=deep)
    return made


def _set(
    source: random.Random,
    made: Message,
    field: Any,  # noqa: ANN401  protobuf has two such classes
    *,
    many: bool,
    deep: int,
) -> None:
    if field.message_type:
        inner = filled(source, GetMessageClass(field.message_type), deep + 1)
        target: Any = getattr(made, field.name)
        if many:
            target.add().CopyFrom(inner)
        else:
            target.CopyFrom(inner)
        return
    value = _value(source, field)
    if many:
        getattr(made, field.name).append(value)
    else:
        setattr(made, field.name, value)


def _value(source: random.Random, field: Any) -> object:  # noqa: ANN401  the same
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return source.choice(_BYTES)
        case FieldDescriptor.CPPTYPE_STRING:
            return source.choice(_TEXTS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return bool(source.randrange(2))
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return source.choice((0.0, 1.5, -1.0, float("inf"), float("nan")))
        case FieldDescriptor.CPPTYPE_ENUM:
            return source.choice(field.enum_type.values).number
        case _:
            return source.choice(_NUMBERS)
