"""The base of the resource models. It reports every broken rule, with the path to its field.

pydantic stops at the first failing rule of a model, and skips all rules of a model with an invalid
field. A user would then fix one error per run. So a rule here is a method marked `@rule` that
yields complaints, and every rule is tried, even if some fields are invalid: a rule that needs such
a field does not apply (reading the field raises AttributeError).

    neighbors: [{asn: 0, address: A}, {asn: 1, address: A}]
    ->  neighbors[0].asn: must be greater than or equal to 1
        neighbors[1].address: two neighbors have address A

Pure. A message never contains a value that may be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

Path = tuple[str | int, ...]


class Complaint(NamedTuple):
    """A broken rule: the path of the field, the error, and what the user probably meant."""

    path: Path
    message: str
    suggestion: str = ""


class Complaints:
    """Collects complaints about parts of one spec."""

    def __init__(self, path: Path = (), found: list[Complaint] | None = None) -> None:
        self._path = path
        self.found: list[Complaint] = [] if found is None else found

    def add(self, message: str, *path: str | int, meant: str = "") -> None:
        self.found.append(Complaint((*self._path, *path), message, meant))

    def at(self, *path: str | int) -> Complaints:
        """Return the same collection for a part of the spec."""
        return Complaints((*self._path, *path), self.found)


Rule = Callable[[Any], Iterable[Complaint]]
R = TypeVar("R", bound=Rule)
T = TypeVar("T", bound=Hashable)


def rule(check: R) -> R:
    """Mark a method of a model as a rule."""
    setattr(check, _MARK, True)
    return check


def refusal(message: str, suggestion: str = "") -> PydanticCustomError:
    """Return the error of a rule: one sentence, in which braces are literal."""
    return PydanticCustomError(_RULE, "{message}", {"message": message, "suggestion": suggestion})


def closest(given: object, choices: Iterable[str]) -> str:
    """Return the choice that the user probably meant, in any letter case; "" if none is similar."""
    lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(str(given).lower(), lower, n=1, cutoff=0.6)
    return lower[found[0]] if found else ""


class Strict(BaseModel):
    """A part of a resource: immutable; an unknown field is an error.

    Field names of the old API group were in lower case; both are accepted. A null field counts as
    absent, as in Kubernetes; so a chart may write a field without a value.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields of the API that are not supported yet, with the message for the user."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        cls.rules = tuple(
            member
            for base in reversed(cls.__mro__)
            for member in vars(base).values()
            if getattr(member, _MARK, False)
        )

    @classmethod
    def unsupported(cls, _data: Mapping[Any, Any]) -> Iterator[Complaint]:
        """Yield why a whole part is refused; its fields are then not checked."""
        return iter(())

    @model_validator(mode="wrap")
    @classmethod
    def _with_all_complaints(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401 - any YAML value
        complaints: list[Complaint] = []
        if isinstance(data, dict):
            complaints = list(cls.unsupported(data))
            if complaints:
                raise _error(cls, complaints)
            data = cls._renamed(data, complaints)
        try:
            model = handler(data)
        except ValidationError as error:
            complaints += _complaints(cls, error)
            if isinstance(data, dict):
                complaints += cls._partial(data)._broken_rules(partial=True)
            raise _error(cls, complaints) from None
        complaints += model._broken_rules()
        if complaints:
            raise _error(cls, complaints)
        return model

    def _broken_rules(self, partial: bool = False) -> list[Complaint]:
        found: list[Complaint] = []
        for check in self.rules:
            try:
                found.extend(check(self))
            except AttributeError:  # the rule needs an invalid field, which is already reported
                if not partial:
                    raise
        return found

    @classmethod
    def _partial(cls, data: Mapping[Any, Any]) -> Self:
        """Return a model of the valid fields; the others are absent."""
        model = cls.model_construct()
        for name, info in cls.model_fields.items():
            if (alias := info.alias or name) not in data:
                continue
            try:
                model.__dict__[name] = _adapter(cls, name).validate_python(data[alias])
            except ValidationError:
                model.__dict__.pop(name, None)
                if (salvaged := _salvaged(info.annotation, data[alias])) is not None:
                    model.__dict__[name] = salvaged
        return model

    @classmethod
    def salvaged(cls, data: Mapping[Any, Any]) -> Self:
        """Return a model of the valid fields, under any of their names; the others are absent."""
        return cls._partial(cls._renamed(data, []))

    @classmethod
    def _renamed(cls, data: Mapping[Any, Any], complaints: list[Complaint]) -> dict[Any, Any]:
        """Return the fields by today's names, without the refused ones."""
        lower = {alias.lower(): alias for alias in cls.aliases()}
        renamed: dict[Any, Any] = {}
        for name, value in data.items():
            if name in cls.refused:
                complaints.append(Complaint((name,), f"`{name}` {cls.refused[name]}"))
                continue
            alias = lower.get(name, name) if isinstance(name, str) else name
            if alias in renamed:
                text = f"`{alias}` is given twice, once by its older name `{name}`"
                complaints.append(Complaint((name,), text))
            renamed[alias] = value
        known = lower.values()
        return {k: v for k, v in renamed.items() if v is not None or k not in known}

    @classmethod
    def aliases(cls) -> list[str]:
        return [field.alias or name for name, field in cls.model_fields.items()]


def exactly_one(data: object, *names: str) -> Iterator[Complaint]:
    """Complain unless exactly one of these fields of a model is set."""
    given = [name for name in names if getattr(data, name) is not None]
    if len(given) != 1:
        listed = ", ".join(to_camel(name) for name in names)
        yield Complaint((), f"exactly one of {listed} must be given, not {len(given)}")


def repeated(values: Iterable[T]) -> Iterator[tuple[int, T]]:
    """Yield every value that repeats an earlier one, with its index."""
    seen: set[T] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index, value
        seen.add(value)


def complaints_of(error: ValidationError) -> list[Complaint]:
    """Return the errors of a model in the order of its fields, each once."""
    found = error.errors(include_url=False)
    return list(dict.fromkeys(_complaint((), detail) for detail in found))


def _error(model: type[BaseModel], complaints: Sequence[Complaint]) -> ValidationError:
    details = [
        InitErrorDetails(type=refusal(c.message, c.suggestion), loc=c.path, input=None)
        for c in dict.fromkeys(complaints)
    ]
    return ValidationError.from_exception_data(model.__name__, details, hide_input=True)


def _complaints(model: type[Strict], error: ValidationError) -> Iterator[Complaint]:
    found = error.errors(include_url=False)
    for detail in found:
        if not _is_short_of_bad_items(detail, found):
            yield _complaint(model.aliases(), detail)


def _complaint(fields: Sequence[str], detail: ErrorDetails) -> Complaint:
    kind, path, context = detail["type"], detail["loc"], detail.get("ctx", {})
    message = _SENTENCES.get(kind, _SHOULD.sub("must ", detail["msg"]))
    message = message.replace(" after validation", "")
    match kind:
        case "rule":
            return Complaint(path, context["message"], context["suggestion"])
        case "extra_forbidden":
            return Complaint(path, message, closest(path[-1], fields))
        case "literal_error":
            return Complaint(path, message, closest(detail["input"], _choices(context)))
        case _:
            return Complaint(path, message)


def _choices(context: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", context["expected"])


def _is_short_of_bad_items(detail: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Return whether a list is too short only because of invalid items, which are reported."""
    where = detail["loc"]
    inside = (d["loc"] for d in found if len(d["loc"]) > len(where))
    return detail["type"] == "too_short" and any(loc[: len(where)] == where for loc in inside)


@cache
def _adapter(model: type[BaseModel], field: str) -> TypeAdapter[Any]:
    return TypeAdapter(model.model_fields[field].rebuild_annotation())


def _salvaged(annotation: object, value: object) -> object:
    """Return the valid fields of an invalid part: a partial model, or a list of them."""
    types = _strict_types(annotation)
    if len(types) != 1:
        return None
    if isinstance(value, dict):
        return types[0].salvaged(value)
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return tuple(types[0].salvaged(item) for item in value)
    return None


def _strict_types(annotation: object) -> list[type[Strict]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _strict_types(inner)]


_RULE = "rule"
_MARK = "_is_rule"
_SHOULD = re.compile(r"^(Input|String|Value|Tuple) should ")
_SENTENCES = {
    "extra_forbidden": "unknown field",
    "missing": "required, but missing",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
}
