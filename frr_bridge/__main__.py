"""`frr-bridge`: the composition root of the process beside FRR."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from datapaths.linux.netns import entered, exists
from dualpath.process import logs, options
from dualpath.process.lifetime import Broken, live, raise_descriptors
from dualpath.process.lock import Held, alone
from dualpath.process.notify import Notifier
from frr_bridge import frr_version, lastconfig
from frr_bridge.frr_apply import FrrApply, FrrPaths
from frr_bridge.recording.pcapng import RecordingError
from frr_bridge.recording.recorder import Recorder
from frr_bridge.runtime import Runtime, Settings

log = logging.getLogger("frr_bridge")

_EXAMPLES = """examples:
  frr-bridge                                  in FRR's own network namespace
  frr-bridge --netns frr --frr-name pe1       another namespace, FRR started with `-N pe1`
  frr-bridge --fpm 127.0.0.1:2621 --hold 0    do not hold the routes of a dead bgpd
  frr-bridge --record /var/tmp/bug.pcapng     for a bug report; see `dualpath replay`
  frr-bridge --netns frr --restore-config     before FRR starts in a container, then as above
"""


def main() -> None:
    arguments = _parse(sys.argv[1:])
    logs.start(arguments.log_level, arguments.log_format)
    raise_descriptors()
    if arguments.netns and not exists(arguments.netns):
        sys.exit(f"frr-bridge: --netns: no network namespace {arguments.netns}")
    try:
        with entered(arguments.netns) if arguments.netns else nullcontext():
            if arguments.restore_config:
                _restore(arguments)
            else:
                asyncio.run(_run(arguments))
    except Held:
        sys.exit(
            f"frr-bridge: another frr-bridge runs with --state-dir {arguments.state_dir}; stop "
            "that one, or choose another directory here"
        )
    except Broken:
        sys.exit(1)
    except OSError as error:
        sys.exit(f"frr-bridge: {_explain(error, arguments)}")
    except KeyboardInterrupt:
        pass


async def _run(arguments: argparse.Namespace) -> None:
    notifier = Notifier()
    host, port = options.split(arguments.fpm)
    bus = arguments.state_dir / options.BUS
    bus.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    paths = FrrPaths.named(arguments.frr_name)
    with alone(bus.with_suffix(".lock")) as lock:
        settings = Settings(
            fpm_host=host,
            fpm_port=port,
            bus=f"ipc://{bus}",
            run_dir=paths.run_dir,
            hold_s=arguments.hold,
            rights=paths.rights,
            lock=lock,
            on_ready=notifier.ready,
            keep=partial(lastconfig.keep, arguments.state_dir),
            recorder=_recorder(arguments.record),
        )
        frr = FrrApply(paths)
        version = await frr.version()
        if remark := frr_version.refusal(version) or frr_version.limits(version):
            log.warning("%s", remark)
        await live(Runtime(settings, frr).run(), notifier)
    log.info("stopped; the controller keeps what FRR desires")


def _restore(arguments: argparse.Namespace) -> None:
    if why := lastconfig.restore(arguments.state_dir, FrrPaths.named(arguments.frr_name)):
        log.info("FRR starts without a configuration: %s", why)
    else:
        log.info("FRR starts with the last good configuration")


def _recorder(path: Path | None) -> Recorder | None:
    """Begin a recording. Return none if that fails: forwarding matters more than a recording."""
    if path is None:
        return None
    try:
        return Recorder(path)
    except RecordingError as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    log.warning("--record %s: %s; continuing without a recording", path, reason)
    return None


def _explain(error: OSError, arguments: argparse.Namespace) -> str:
    if error.filename:
        return f"{error.filename}: {error.strerror}"
    text = f"--fpm {arguments.fpm}: {os.strerror(error.errno or 0)}"
    return text + ("; is another frr-bridge running here?" * (error.errno == errno.EADDRINUSE))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = options.Parser(
        prog="frr-bridge",
        description="Reads zebra's FPM stream and its namespace, for the controller.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_version(parser)
    parser.add_argument(
        "--netns",
        type=options.namespace,
        help="FRR's network namespace, by name or path (default: this process's)",
    )
    parser.add_argument(
        "--fpm",
        type=options.address_and_port,
        metavar="ADDR:PORT",
        default="127.0.0.1:2620",
        help="listen for zebra's FPM connection here (%(default)s)",
    )
    parser.add_argument(
        "--state-dir",
        type=options.state_dir,
        metavar="PATH",
        default=Path("/run/dualpath"),
        help="directory of the bus socket (%(default)s)",
    )
    parser.add_argument(
        "--frr-name",
        type=options.frr_name,
        metavar="NAME",
        default="",
        help="name that FRR was started with (its option -N; default: none)",
    )
    parser.add_argument(
        "--hold",
        type=options.seconds,
        default=150.0,
        metavar="SECONDS",
        help="keep routes that a dead bgpd withdrew for this time; 0: remove them immediately "
        "(%(default)s)",
    )
    parser.add_argument(
        "--record",
        type=options.path,
        metavar="FILE",
        help="record what FRR sends, for `dualpath replay` and Wireshark; at most 64 MiB, and as "
        "much again in FILE.1 (default: no recording)",
    )
    parser.add_argument(
        "--restore-config",
        action="store_true",
        help="write frr.conf as FRR last accepted it in this namespace, or an empty one, and exit; "
        "FRR must not run",
    )
    logs.add_options(parser.add_argument)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
