"""The `dualpath` command: a client of the running daemon."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from controller.cli import (
    confirm,
    conformance,
    down,
    explain,
    listing,
    manifests,
    repair,
    status,
    watch,
)
from controller.cli.client import FAILED, USAGE
from controller.cli.options import CONNECT_VARIABLE, DEFAULT_CONNECT, CertificateFile, Target
from dualpath.process.options import nonsense

UsageError: Any = typer.BadParameter.__base__  # typer keeps it in a place of each version's own
NOISE = re.compile(r"Value error, |(?<=: )Input should ")


class OneSentence(TyperGroup):
    """Says in one sentence what makes no sense, without the usage, which has many lines."""

    def main(  # type: ignore[override]  # typer's overloads are about what we never return
        self,
        args: Sequence[str] | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> NoReturn:
        args = sys.argv[1:] if args is None else args
        if not _is_utf8(args):
            _end("an argument is not text in UTF-8")
        if problem := _nonsense(args):
            _end(problem)
        try:
            code = super().main(args, **{**extra, "standalone_mode": False})
            sys.stdout.flush()
            sys.exit(code)
        except OSError as error:
            _stop_writing()
            if error.errno != errno.EPIPE:  # whoever reads a pipe may have seen enough
                typer.echo(
                    f"dualpath: {error.filename or 'standard output'}: {error.strerror}", err=True
                )
            sys.exit(FAILED)
        except UsageError as error:
            if not args:  # it is the help
                error.show()
                sys.exit(USAGE)
            where = error.ctx.command_path if error.ctx is not None else "dualpath"
            text = NOISE.sub(_plain, error.format_message()).rstrip(".")
            _end(f"{text}; see `{where} --help`")


def _is_utf8(args: Sequence[str]) -> bool:
    """Bytes that are not UTF-8 came in as surrogates (PEP 383), which no message can carry."""
    return not any("\ud800" <= character <= "\udfff" for character in "".join(args))


def _nonsense(args: Sequence[str]) -> str:
    """Return what is wrong with a value, whichever option's it is; "" if nothing is."""
    for before, arg in zip(("", *args), args, strict=False):
        name, equals, value = arg.partition("=")
        if not (arg.startswith("-") and equals):
            name, value = (before if before.startswith("-") else "an argument"), arg
        if problem := nonsense(value):
            return f"{name}: {problem}"
    return ""


def _plain(noise: re.Match[str]) -> str:
    return "it must " if "Input" in noise[0] else ""


def _stop_writing() -> None:
    """Let the interpreter flush what is left into nothing, instead of failing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _end(text: str) -> NoReturn:
    typer.echo(f"dualpath: {' '.join(text.split())}", err=True)
    sys.exit(USAGE)


app = typer.Typer(
    cls=OneSentence,
    name="dualpath",
    no_args_is_help=True,
    rich_markup_mode=None,  # help without boxes
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dualpath {version('dualpath')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    connect: Annotated[
        str,
        typer.Option(
            metavar="ADDR", envvar=CONNECT_VARIABLE, help="The daemon: unix:/PATH or ADDRESS:PORT."
        ),
    ] = DEFAULT_CONNECT,
    cert: Annotated[Path | None, CertificateFile(help="Our certificate, for mutual TLS.")] = None,
    key: Annotated[Path | None, CertificateFile(help="Its private key.")] = None,
    ca: Annotated[Path | None, CertificateFile(help="The CA that signed the daemon's.")] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Ask a running Dualpath controller what it wants, what it has, and why they differ.

    \b
    dualpath status
    dualpath routes --vrf red
    dualpath explain 10.2.3.4 --vrf red
    dualpath watch --kind route

    Every list takes -o table|wide|json|yaml. Exit codes: 0 it worked, 1 it did not, 2 the command
    line or a filter makes no sense.
    """
    context.obj = Target(connect, cert, key, ca)


COMMANDS = (
    status.status,
    *listing.COMMANDS,
    watch.watch,
    explain.explain,
    *repair.COMMANDS,
    *manifests.COMMANDS,
    conformance.conformance,
    confirm.confirm,
    down.down,
)

for command in COMMANDS:
    app.command()(command)


@cache
def command_line() -> Any:  # noqa: ANN401 - of typer's own click
    """Return the parser of the command line; making it takes longer than all it does."""
    return typer.main.get_command(app)


def main() -> None:
    command_line()(prog_name="dualpath")


if __name__ == "__main__":
    main()
