"""`grout-agent`: serves one grout as dualpath.v1.Datapath, in a process beside it.

It exits with one error line if it cannot start: no grout at the socket, or an unknown API version.
Once it serves, it keeps running, and connects again whenever grout restarts.
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
from datapaths.grout.process import Life
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
        "Serves the grout of this machine as dualpath.v1.Datapath.",
        _EXAMPLES,
        LISTEN,
    )
    add = parser.add_argument
    add(
        "--grout-sock",
        metavar="PATH",
        type=options.socket_path,
        default=GROUT_SOCK,
        help="grout's API socket (%(default)s); its peer shows in which namespace grout runs",
    )
    add(
        "--netns",
        type=options.namespace,
        metavar="NAME|PATH",
        default="",
        help="forwarding namespace of the kernel, for NICs in shared wiring (default: grout's own)",
    )
    add(
        "--host-netns",
        type=options.namespace,
        metavar="NAME|PATH",
        default="",
        help="namespace of host ends that name none (default: this process's own)",
    )
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    sock: Path = given.grout_sock

    life = Life(sock)

    def places() -> Places:
        """Locate grout each time: it may have restarted in another namespace."""
        where = life.home()
        return Places(where, given.netns or where, given.host_netns)

    def make() -> Datapath:
        for name in filter(None, (given.netns, given.host_netns)):
            if not netns.exists(name):
                text = f"no network namespace {name}: create it first, with `ip netns add {name}`"
                raise Unsupported(text)
        watch = Watch(life.home, given.netns, lambda: datapath.silent, life.runs)
        datapath = GroutDatapath(str(sock), places, life.home, watch.wake)
        watches.append(asyncio.create_task(watch.run()))
        watches[-1].add_done_callback(end_with)
        return datapath

    watches: list[asyncio.Task[None]] = []  # they end with the event loop
    run(PROG, given, tls_of(parser, given), make, (nicrecords.write_again,))


if __name__ == "__main__":
    main()
