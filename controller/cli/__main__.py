"""The `dualpath` command: a client of the running daemon.

It starts one command of the catalogue and imports nothing else: see there.
"""

from __future__ import annotations

import errno
import os
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from itertools import groupby

from controller.cli.catalogue import CATALOGUE
from controller.cli.command import Command, CommandParser, build, new_parser
from controller.cli.options import CONNECT_VARIABLE, DEFAULT_CONNECT, Output, Target, address
from controller.cli.terminal import FAILED, USAGE, fail, warn
from dualpath.process import options

COMPLETE = "__complete"  # what the completion scripts call
GLOBAL = ("--connect", "--cert", "--key", "--ca", "--nodes")


def dualpath() -> None:
    """Query a Dualpath controller: desired and programmed state, and why they differ.

    dualpath status
    dualpath routes --vrf red
    dualpath explain 10.2.3.4 --vrf red
    dualpath watch --kind route
    dualpath --nodes pe1,root@pe2 status

    Every list accepts -o table|wide|json|yaml. Exit codes: 0 success, 1 failure,
    2 invalid command line or filter.
    """


def main(words: Sequence[str] | None = None) -> None:
    try:
        _run(sys.argv[1:] if words is None else words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        _stop_writing()
        if error.errno != errno.EPIPE:  # the reader of a pipe may have left early
            warn(f"{error.filename or 'standard output'}: {error.strerror}")
        sys.exit(FAILED)


def _run(words: Sequence[str]) -> None:
    if words[:1] == [COMPLETE]:
        from controller.cli.complete import complete

        complete(words[1:])
        return
    before, name, after = split(words)
    chosen = top().parse_args(before)
    if chosen.version:
        name, after = "version", []
    if not name:
        sys.stderr.write(overview())
        sys.exit(USAGE)
    if name not in CATALOGUE:
        _end_unknown(name)
    command = load(name)
    asked = chosen.nodes  # only before the command: after it, the words belong to the nodes
    arguments = command.parser.parse_intermixed_args(after, chosen)
    if asked:
        _run_on_nodes(asked, name, after, arguments)
    connect = arguments.connect or os.environ.get(CONNECT_VARIABLE) or DEFAULT_CONNECT
    target = Target(connect, arguments.cert, arguments.key, arguments.ca)
    command.run(target, arguments)


def split(words: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Return the options before the command, the command ("" without one), and the rest."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in GLOBAL else 1
    name = words[at] if at < len(words) else ""
    return list(words[:at]), name, list(words[at + 1 :])


@cache
def load(name: str) -> Command:
    """Return a command of the catalogue. It accepts the options of `top`, too."""
    entry = CATALOGUE[name]
    module = import_module(f"controller.cli.{entry.module}")
    command = build(name, getattr(module, entry.function or name))
    _add_target(command.parser, hidden=True)
    return command


class _Top(CommandParser):
    def format_help(self) -> str:
        """Return the help with the commands, by section."""
        lines = [super().format_help().rstrip()]
        for section, entries in groupby(CATALOGUE.items(), lambda item: item[1].section):
            lines.append(f"\n{section}:")
            lines += [f"  {name:<15} {entry.summary.rstrip('.')}" for name, entry in entries]
        return "\n".join([*lines, "", "`dualpath COMMAND --help` shows more.", ""])


@cache
def top() -> CommandParser:
    """Return the parser of the options before the command."""
    plain = new_parser("dualpath", dualpath)
    parser = _Top(
        prog=plain.prog,
        usage="dualpath [OPTIONS] COMMAND ...",
        description=plain.description,
        formatter_class=plain.formatter_class,
        allow_abbrev=False,
    )
    _add_target(parser)
    parser.add_argument(
        "--nodes",
        metavar="NODE,...",
        type=_nodes,
        help="Run status, explain or audit on these nodes in parallel, by ssh: [USER@]HOST,...",
    )
    parser.add_argument("--version", action="store_true", help="Show the version.")
    return parser


def overview() -> str:
    return top().format_help()


def _add_target(parser: options.Parser, *, hidden: bool = False) -> None:
    """Add the options that name a daemon; they are valid after the command, too."""
    connect = f"The daemon: unix:/PATH or ADDRESS:PORT (${CONNECT_VARIABLE}, or {DEFAULT_CONNECT})."
    for name, metavar, text in (
        ("--connect", "ADDR", connect),
        ("--cert", "FILE", "Our certificate, for mutual TLS."),
        ("--key", "FILE", "Its private key."),
        ("--ca", "FILE", "The CA that signed the daemon's."),
    ):
        parser.add_argument(
            name,
            metavar=metavar,
            type=options.file if metavar == "FILE" else address,
            default=SUPPRESS if hidden else None,
            help=SUPPRESS if hidden else text,
        )


def _nodes(text: str) -> list[str]:
    from controller.cli.nodes import nodes

    return nodes(text)


def _run_on_nodes(
    names: Sequence[str], command: str, words: Sequence[str], arguments: Namespace
) -> None:
    """Run a command on other nodes, and exit. The options of its daemon are passed on."""
    from controller.cli.nodes import run

    if arguments.cert or arguments.key or arguments.ca:
        fail("--nodes asks each node's own daemon by ssh: leave out --cert, --key and --ca", USAGE)
    before = [f"--connect={arguments.connect}"] if arguments.connect else []
    run(names, command, [*words, *before], getattr(arguments, "output", Output.TABLE))


def _end_unknown(name: str) -> None:
    from difflib import get_close_matches

    if problem := options.nonsense(name):
        fail(f"an argument: {problem}", USAGE)
    close = get_close_matches(name, CATALOGUE)
    hint = f"did you mean {close[0]!r}?" if close else "see `dualpath --help`"
    fail(f"no command is called {name!r}; {hint}", USAGE)


def _stop_writing() -> None:
    """Discard pending output at exit, instead of failing a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
