"""`grout-agent`: serves one grout as dualpath.v1.Datapath, in a process beside it.

It ends in one sentence when it cannot begin: no grout at the socket, or one of an API version that
it does not know. Once it has begun it stays, and connects again whenever grout was started anew.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from datapaths.base import Datapath, Unsupported
from datapaths.grout.driver import GroutDatapath
from datapaths.grout.ports.placement import Places
from datapaths.grout.ports.watch import Watch
from datapaths.grout.process import locate
from datapaths.linux import netns, nicrecords
from datapaths.remote.process import parser_for, run, tls_of
from dualpath.process import options
from dualpath.process.lifetime import end_with

PROG = "grout-agent"
LISTEN = "unix:/run/dualpath/grout-agent.sock"
GROUT_SOCK = Path("/run/grout.sock")

_EXAMPLES = f"""\
  {PROG} --netns dualpath
  {PROG} --netns dualpath --grout-sock /run/grout.sock --listen unix:/run/dualpath/agent.sock
  {PROG} --netns dualpath --listen 192.0.2.1:7443 --tls-cert a.pem --tls-key a.key --tls-ca ca.pem
  controller --datapath=dpdk --agent unix:/run/dualpath/agent.sock
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_for(
        PROG,
        "Serves a grout that runs on this machine as dualpath.v1.Datapath.",
        _EXAMPLES,
        LISTEN,
    )
    add = parser.add_argument
    add(
        "--grout-sock",
        metavar="PATH",
        type=options.socket_path,
        default=GROUT_SOCK,
        help="grout's API socket (%(default)s); the namespace of grout is found by it",
    )
    add(
        "--netns",
        type=options.namespace,
        metavar="NAME|PATH",
        default="",
        help="the forwarding namespace, where NICs stay that grout shares with the kernel "
        "(default: grout's own)",
    )
    add(
        "--host-netns",
        type=options.namespace,
        metavar="NAME|PATH",
        default="",
        help="where host legs end that name no namespace (default: ours)",
    )
    told = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    sock: Path = told.grout_sock

    def home() -> str:
        return locate(sock)

    def places() -> Places:
        """Ask anew each time: grout may have been started elsewhere meanwhile."""
        where = home()
        return Places(where, told.netns or where, told.host_netns)

    def make() -> Datapath:
        for name in filter(None, (told.netns, told.host_netns)):
            if not netns.exists(name):
                raise Unsupported(f"there is no network namespace {name}: make it first")
        watch = Watch(home, told.netns, lambda: datapath.silent)
        datapath = GroutDatapath(str(sock), places, home, watch.wake)
        watches.append(asyncio.create_task(watch.run()))
        watches[-1].add_done_callback(end_with)
        return datapath

    watches: list[asyncio.Task[None]] = []  # they end with the event loop
    run(PROG, told, tls_of(parser, told), make, (nicrecords.write_again,))


if __name__ == "__main__":
    main()
