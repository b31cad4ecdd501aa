"""`python -m datapaths.remote.serve`: the kernel, or a datapath in memory, over gRPC."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from datapaths.base import Datapath, Unsupported
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux import netns
from datapaths.memory import MemoryDatapath
from datapaths.remote.process import parser_for, run, tls_of
from dualpath.process import options

PROG = "python -m datapaths.remote.serve"
LISTEN = "unix:/run/dualpath/datapath.sock"

_EXAMPLES = f"""\
  {PROG} --datapath kernel --netns fwd
  {PROG} --datapath memory --listen unix:/tmp/memory.sock
  dualpath conformance unix:/tmp/memory.sock
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_for(
        PROG,
        "Serves a datapath as dualpath.v1.Datapath.",
        _EXAMPLES,
        LISTEN,
    )
    parser.add_argument("--datapath", choices=("kernel", "memory"), required=True)
    parser.add_argument(
        "--netns",
        type=options.namespace,
        metavar="NAME|PATH",
        help="kernel: what forwards; it must exist",
    )
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    if given.datapath == "kernel" and not given.netns:
        parser.error("--datapath kernel needs --netns: the machine's own would carry your routes")

    def make() -> Datapath:
        if given.datapath == "memory":
            return MemoryDatapath(devices=())
        if not netns.exists(given.netns):
            raise Unsupported(
                f"no network namespace {given.netns}: make it first, with"
                f" `ip netns add {given.netns}`"
            )
        return KernelDatapath(given.netns)

    run(PROG, given, tls_of(parser, given), make)


if __name__ == "__main__":
    main()
