"""A command is a function: the annotations of its parameters are its options and arguments.

    VniOption = Annotated[int | None, Option("--vni", low=1, high=0xFFFFFF, help="Only this VNI.")]

    def macs(target: Target, vni: VniOption = None) -> None:
        \"\"\"List remote MACs.\"\"\"

Options that several commands share are the fields of a dataclass, and a command has a parameter of
that type.

The parser is argparse, as in the daemons. Rejected: typer, which does the same but imports pydantic
to convert `--vni 100`, and so needs ten times the CPU before a command runs.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, NoReturn, get_args, get_origin, get_type_hints

from dualpath.process.options import Parser

Function = Callable[..., None]
Parse = Callable[[str], Any]
Complete = Callable[[Any], Iterable[str]]
"""Returns the values that an option may have, from the `Target`."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option. The parameter's type, or `parse`, converts its text into the value."""

    name: str
    short: str = ""
    help: str = ""
    metavar: str = ""
    parse: Parse | None = None  # raises ArgumentTypeError
    low: int = 0
    high: int = 0
    complete: Complete | None = None


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument; it may be left out if the parameter has a default."""

    metavar: str
    help: str = ""
    complete: Complete | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A function with the parser of its command line."""

    function: Function
    parser: Parser
    hints: Mapping[str, Any]  # of the function's parameters

    def run(self, target: object, arguments: argparse.Namespace) -> None:
        values = {**vars(arguments), "target": target}
        given = {}
        for name in inspect.signature(self.function).parameters:
            group = self.hints[name]
            if name != "target" and isinstance(group, type) and is_dataclass(group):
                given[name] = group(**{field.name: values[field.name] for field in fields(group)})
            else:
                given[name] = values[name]
        self.function(**given)


class CommandParser(Parser):
    """Names the help in addition to the error."""

    def error(self, message: str) -> NoReturn:
        text = " ".join(message.removeprefix("argument ").split())
        self.exit(2, f"dualpath: {text}; see `{self.prog} --help`\n")


def build(name: str, function: Function) -> Command:
    """Return the command `dualpath NAME`."""
    parser = new_parser(f"dualpath {name}", function)
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        hint = hints[parameter.name]
        if parameter.name == "target":
            continue
        if isinstance(hint, type) and is_dataclass(hint):
            of_group = get_type_hints(hint, include_extras=True)
            for field in fields(hint):
                _add(parser, field.name, of_group[field.name], field.default)
        else:
            _add(parser, parameter.name, hint, parameter.default)
    return Command(function, parser, hints)


def new_parser(prog: str, function: Function) -> CommandParser:
    """Return a parser whose description is the docstring of `function`."""
    return CommandParser(
        prog=prog,
        description=inspect.getdoc(function),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=32
        ),
        allow_abbrev=False,
    )


def _add(parser: Parser, name: str, hint: object, default: object) -> None:
    type_, about = _parts(hint)
    many = get_origin(type_) is list
    one = get_args(type_)[0] if many else type_
    choices = [str(member.value) for member in one] if issubclass(one, Enum) else []
    required = default is inspect.Parameter.empty
    options: dict[str, Any] = {
        "help": _help(about, default),
        "default": None if required else default,
    }
    if one is not bool:
        options["type"] = _parse(about, one)
        options["metavar"] = about.metavar or "|".join(choices) or "N"
    if isinstance(about, Argument):
        options["nargs"] = {(True, True): "+", (True, False): "*", (False, False): "?"}.get(
            (many, required)
        )
        action = parser.add_argument(name, **options)
    else:
        names = [about.short, about.name] if about.short else [about.name]
        options["action"] = "store_true" if one is bool else "append" if many else "store"
        action = parser.add_argument(*names, dest=name, **options)
    action.completes = about.complete  # type: ignore[attr-defined]  # ours: read by `complete`
    action.values = choices  # type: ignore[attr-defined]


def _parts(hint: object) -> tuple[Any, Option | Argument]:
    """Return a parameter's type without None, and its Option or Argument."""
    if get_origin(hint) is not Annotated:
        raise TypeError(f"{hint} is neither an Option nor an Argument")
    type_, about = get_args(hint)
    given = [part for part in get_args(type_) if part is not NoneType]
    return (given[0] if NoneType in get_args(type_) else type_), about


def _parse(about: Option | Argument, type_: type) -> Parse:
    if isinstance(about, Option) and about.parse:
        return about.parse
    if issubclass(type_, Enum):
        return choice(type_)
    if type_ is int:
        assert isinstance(about, Option)
        return number(about.low, about.high)
    return Path if type_ is Path else str


def choice(type_: type[Enum]) -> Parse:
    """Return a function that reads one of the values of `type_`."""

    def parse(text: str) -> Enum:
        try:
            return type_(text)
        except ValueError:
            values = ", ".join(str(member.value) for member in type_)
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {values}") from None

    return parse


def number(low: int, high: int) -> Parse:
    """Return a function that reads a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: give a number from {low} to {high}")
        return int(text)

    return parse


def _help(about: Option | Argument, default: object) -> str:
    text = about.help.replace("%", "%%")
    if default in (None, "", 0, False, inspect.Parameter.empty):
        return text
    return f"{text} [default: {default}]"
