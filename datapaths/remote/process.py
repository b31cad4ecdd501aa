"""The common parts of every process that serves a datapath: options, start, and end."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from datapaths.base import Datapath, DatapathError, Unsupported
from datapaths.remote.server import serve
from dualpath.process import logs, options
from dualpath.process.lifetime import Broken, at_eof, end_with, live, raise_descriptors
from dualpath.process.notify import Notifier
from dualpath.process.options import Parser
from dualpath.rpc.listen import ListenError, Tls, check
from dualpath.rpc.server import RpcServer

log = logging.getLogger(__name__)

_KEEP_S = 0.5

Note = Callable[[], bool]
Make = Callable[[], Datapath]
"""Called within the event loop."""


def parser_for(prog: str, description: str, examples: str, listen: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all these processes share."""
    parser = Parser(
        prog=prog,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    options.add_version(parser)
    add(
        "--listen",
        metavar="ADDR",
        default=listen,
        help="unix:/PATH (mode 0660), or ADDRESS:PORT on loopback or with --tls-* (%(default)s)",
    )
    add("--tls-cert", type=options.file, metavar="FILE", help="our certificate, PEM")
    add("--tls-key", type=options.file, metavar="FILE", help="its key, PEM")
    add("--tls-ca", type=options.file, metavar="FILE", help="CA of the clients, PEM")
    add("--until-eof", action="store_true", help="end when standard input does: for a supervisor")
    logs.add_options(add)
    return parser


def tls_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Tls | None:
    """Return the files of mutual TLS, all or none. Exit with 2 if they do not fit --listen."""
    files = (given.tls_cert, given.tls_key, given.tls_ca)
    if any(files) and not all(files):
        parser.error("--tls-cert, --tls-key and --tls-ca: give all three")
    tls = Tls(*files) if all(files) else None
    try:
        check(given.listen, tls)
    except ListenError as error:
        parser.error(f"argument --listen: {error}")
    return tls


def run(
    prog: str,
    given: argparse.Namespace,
    tls: Tls | None,
    make: Make,
    notes: Sequence[Note] = (),
) -> None:
    """Serve until SIGTERM or SIGINT. An error at the start ends in one sentence and exit code 1.

    `notes` write removed files again, and return whether any was missing. A permanent error has
    exit code EX_CONFIG: starting the process again is useless. A task that fails ends the process,
    too.
    """
    logs.start(given.log_level, given.log_format)
    raise_descriptors()
    notifier = Notifier()
    try:
        asyncio.run(live(_run(given, tls, make, notes, notifier), notifier))
    except Broken:
        sys.exit(1)
    except (DatapathError, ListenError, OSError) as error:
        sys.stderr.write(f"{prog}: {error}\n")
        sys.exit(os.EX_CONFIG if isinstance(error, Unsupported) else 1)
    log.info("stopped; the datapath keeps forwarding")


async def _run(
    given: argparse.Namespace,
    tls: Tls | None,
    make: Make,
    notes: Sequence[Note],
    notifier: Notifier,
) -> None:
    stopped = asyncio.Event()
    if given.until_eof:
        at_eof(stopped.set)
    datapath = make()
    try:
        # A datapath that cannot work ends the process now; later, the driver recovers from losses.
        capabilities = await datapath.capabilities()
        server = await serve(datapath, listen=given.listen, tls=tls)
        log.info("serving %s %s at %s", capabilities.name, capabilities.version, given.listen)
        notifier.ready()
        keeper = asyncio.create_task(_keep(server, notes))
        keeper.add_done_callback(end_with)
        try:
            await stopped.wait()
        finally:
            keeper.cancel()
            await server.stop()
    finally:
        await datapath.close()


async def _keep(server: RpcServer, notes: Sequence[Note]) -> NoReturn:
    """Create the socket and the records again if somebody removes them."""
    while True:
        await asyncio.sleep(_KEEP_S)
        try:
            again = await server.renew()
            for note in notes:
                again |= note()
        except (ListenError, OSError) as error:
            log.warning("%s; retrying", error)
        else:
            if again:
                log.warning("somebody removed our files; created them again")
