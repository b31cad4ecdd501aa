"""The `dualpath` command: a client of the running daemon."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from controller.cli import conformance, explain, listing, manifests, repair, status, watch
from controller.cli.options import CONNECT_VARIABLE, DEFAULT_CONNECT, Target

app = typer.Typer(
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
    cert: Annotated[Path | None, typer.Option(help="Our certificate, for mutual TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    ca: Annotated[Path | None, typer.Option(help="The CA that signed the daemon's.")] = None,
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
)

for command in COMMANDS:
    app.command()(command)


def main() -> None:
    app(prog_name="dualpath")


if __name__ == "__main__":
    main()
