"""The command that serves a page to look at. What it needs is imported when it runs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Annotated, NoReturn

from controller.cli.client import connected, tls_of
from controller.cli.command import Option
from controller.cli.options import Target
from controller.cli.terminal import USAGE, echo, fail
from controller.ui.address import LISTEN, MISSING, endpoint, installed, write


def ui(
    target: Target,
    listen: Annotated[
        str,
        Option(
            "--listen",
            metavar="ADDR:PORT",
            parse=endpoint,
            help="Where to serve the page: a loopback address.",
        ),
    ] = LISTEN,
    address_file: Annotated[
        Path | None,
        Option(
            "--address-file",
            metavar="FILE",
            help="Write the page's address to a file that only you can read; do not print it.",
        ),
    ] = None,
    until_eof: Annotated[
        bool, Option("--until-eof", help="End when standard input does: for a supervisor.")
    ] = False,
) -> None:
    """Serve a live page of the node for a browser.

    It shows the node as a graph with the state of each part, the path to an address, a time line,
    sessions, ports with their traffic, and a switch of datapaths. The page changes nothing. Open
    the address that the command prints; it has a key, so that other users of this machine cannot
    look. The command runs until ^C.

    dualpath ui
    dualpath ui --listen '[::1]:8080'
    ssh -L 8470:localhost:8470 root@node dualpath ui    # then open the printed address here
    """
    import asyncio

    if not installed():
        fail(MISSING)
    from controller.ui.serve import serve
    from dualpath.rpc.connect import ConnectError, target_of

    with connected(target):  # refuses an absent daemon
        pass
    try:
        to = target_of(target.connect, tls_of(target))
    except ConnectError as error:
        fail(str(error), USAGE)
    with _bound(listen) as listener:
        asyncio.run(serve(to, listener, lambda at: _say(at, address_file), until_eof=until_eof))


def _say(address: str, file: Path | None) -> None:
    if file is None:
        echo(address)
        sys.stdout.flush()
        return
    try:
        write(file, address)
    except OSError as error:
        fail(f"--address-file {file}: {error.strerror or error}")


def _bound(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        made = socket.socket(*where[:3])
    except OSError as error:
        _refuse(listen, error)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where[4])
        made.listen()
    except OSError as error:
        made.close()
        _refuse(listen, error)
    return made


def _refuse(listen: str, error: OSError) -> NoReturn:
    fail(f"cannot listen on {listen}: {error.strerror or error}; choose another by --listen")
