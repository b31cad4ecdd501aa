"""Candidates for the shell's completion of a command line. It runs on every TAB."""

from __future__ import annotations

from argparse import SUPPRESS, Action
from collections.abc import Iterator, Sequence

from controller.cli.__main__ import GLOBAL, load, split, top
from controller.cli.catalogue import CATALOGUE
from controller.cli.options import CONNECT_VARIABLE, DEFAULT_CONNECT, Target
from controller.cli.terminal import echo
from dualpath.process.options import Parser


def complete(words: Sequence[str]) -> None:
    """Print candidates for the last word, one a line, each with a tab and its meaning."""
    for value, meaning in candidates(words):
        echo(f"{value}\t{meaning}" if meaning else value)


def candidates(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return candidates for the last of the words after `dualpath`; the word may be empty."""
    *done, last = words or [""]
    before, name, after = split(done)
    if name in CATALOGUE:
        found = _of_parser(load(name).parser, after, last, target(words))
    elif name or (before and before[-1] in GLOBAL and len(before) == len(done)):
        found = iter(())  # the value of one of our options: a file, or an address
    else:
        entries = ((name, entry.summary.rstrip(".")) for name, entry in CATALOGUE.items())
        found = _options(top(), []) if last.startswith("-") else entries
    return [(value, meaning) for value, meaning in found if value.startswith(last)]


def target(words: Sequence[str]) -> Target:
    """Return the daemon that the words name."""
    import os

    connect = os.environ.get(CONNECT_VARIABLE) or DEFAULT_CONNECT
    for option, value in zip(words, [*words[1:], ""], strict=True):
        name, equals, rest = option.partition("=")
        if name == "--connect":
            connect = rest if equals else value
    return Target(connect)


def _of_parser(
    parser: Parser, done: Sequence[str], last: str, daemon: Target
) -> Iterator[tuple[str, str]]:
    option, equals, _ = last.partition("=")
    if equals and (action := _action(parser, option)):
        yield from ((f"{option}={value}", "") for value in _values(action, daemon))
    elif done and (action := _action(parser, done[-1])) and action.nargs != 0:
        yield from ((value, "") for value in _values(action, daemon))
    elif last.startswith("-"):
        yield from _options(parser, done)
    else:
        for action in parser._actions:
            if not action.option_strings:
                yield from ((value, "") for value in _values(action, daemon))


def _action(parser: Parser, word: str) -> Action | None:
    return next((a for a in parser._actions if word in a.option_strings), None)


def _options(parser: Parser, done: Sequence[str]) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        again = type(action).__name__ == "_AppendAction"
        if action.help != SUPPRESS and (again or not set(action.option_strings) & set(done)):
            for name in action.option_strings:
                if name.startswith("--"):
                    yield name, (action.help or "").replace("%%", "%")


def _values(action: Action, daemon: Target) -> Iterator[str]:
    yield from getattr(action, "values", ())
    if ask := getattr(action, "completes", None):
        yield from ask(daemon)
