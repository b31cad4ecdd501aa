"""The one entry point: `python -m tests.lab run|shell|prepare|clean`."""

import argparse
import os
import shlex
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import host, machine, recipe, rootfs, shards
from tests.lab.errors import LabError
from tests.lab.machine import CHECKOUT, Job, Mode, Settings

NO_TESTS = 5  # pytest's exit code when it collected none
PYTEST = "python -m pytest -p no:cacheprovider -m lab"

EXAMPLES = """\
examples:
  python -m tests.lab run                          every scenario
  python -m tests.lab run --jobs 2                 in two guests at once
  python -m tests.lab run tests/lab/test_l3vni.py -k ipv6 -x
  python -m tests.lab shell                        look around
  python -m tests.lab shell -c 'vtysh --version'
  python -m tests.lab prepare                      only make what is missing
  python -m tests.lab clean                        remove the cached trees

environment:
  DUALPATH_LAB_CACHE       where the trees are kept (/var/cache/dualpath/lab)
  DUALPATH_LAB_ARTEFACTS   where failing scenarios leave their logs (./artefacts)
  DUALPATH_LAB_MIRROR      the Debian mirror (default: the one that apt uses)
"""


def main() -> int:
    arguments, rest = _parser().parse_known_args()
    if rest and arguments.verb != "run":
        _parser().error(f"{arguments.verb} does not know {' '.join(rest)}")
    try:
        if arguments.verb == "clean":
            rootfs.clean(say)
            return 0
        settings = _settings(arguments)
        with rootfs.in_use():
            match arguments.verb:
                case "run":
                    return _timed(settings, _run(settings, rest, arguments.jobs))
                case "shell":
                    return _shell(settings, arguments.command)
                case _:
                    return 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        description="Real FRR on one machine: in a small VM, or straight in namespaces.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="run|shell|prepare|clean")
    run = verbs.add_parser(
        "run", help="run scenarios; what it does not know goes to pytest", allow_abbrev=False
    )
    run.add_argument("--jobs", type=int, default=1, help="guests at once (default 1)")
    shell = verbs.add_parser("shell", help="a shell in a guest")
    shell.add_argument("-c", dest="command", metavar="CMD", help="run this and leave")
    prepare = verbs.add_parser("prepare", help="make the trees, and nothing else")
    verbs.add_parser("clean", help="remove the cached trees")
    for verb in (run, shell, prepare):
        verb.add_argument(
            "--mode", choices=[str(mode) for mode in Mode], help="default: a VM where one is needed"
        )
        verb.add_argument("--memory", default="2048M", help="of a VM (default 2048M)")
        verb.add_argument("--timeout", type=float, default=1800.0, metavar="S", help="in all")
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    host.prepare(say)
    mode = Mode(arguments.mode) if arguments.mode else _best_mode()
    if mode is Mode.VM:
        host.require_uml()
    project = recipe.read_project(CHECKOUT / "pyproject.toml")
    return Settings(
        mode=mode,
        trees=rootfs.prepare(project, say),
        project=project,
        artefacts=Path(os.environ.get("DUALPATH_LAB_ARTEFACTS", CHECKOUT / "artefacts")).resolve(),
        memory=arguments.memory,
        timeout_s=arguments.timeout,
    )


def _best_mode() -> Mode:
    return Mode.STRAIGHT if host.has_vrf() else Mode.VM


def _shell(settings: Settings, command: str | None) -> int:
    if command is not None:
        return machine.run(settings, Job(command), _write)
    if not sys.stdin.isatty():
        raise LabError("A shell needs a terminal: give a command with -c.")
    return machine.run(settings, Job("exec bash --norc -i", interactive=True), _write)


def _run(settings: Settings, pytest: Sequence[str], jobs: int) -> int:
    targets, options = shards.targets(CHECKOUT, pytest)
    divided = shards.divide(targets, jobs)
    commands = [f"exec {PYTEST} {shlex.join([*options, *map(str, part)])}" for part in divided]
    if len(commands) == 1:
        return machine.run(settings, Job(commands[0]), _write)
    with ThreadPoolExecutor() as pool:
        started = [
            pool.submit(machine.run, settings, Job(command), _Prefixed(f"{index} | ").write)
            for index, command in enumerate(commands, start=1)
        ]
        try:
            return _worst([guest.result() for guest in started])
        finally:
            settings.cancelled.set()  # after Ctrl-C, or when one could not start


def _timed(settings: Settings, code: int) -> int:
    if code == machine.TIMED_OUT:
        say(f"not done within {settings.timeout_s:g} s, and ended; --timeout gives more")
    return code


def _worst(codes: Sequence[int]) -> int:
    """Return the code of all guests: one that had nothing to run does not count."""
    ran = [code for code in codes if code != NO_TESTS]
    return max(ran, default=NO_TESTS)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


class _Prefixed:
    """Writes whole lines with a prefix, so that guests do not talk into each other's."""

    _lock = threading.Lock()

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._line = b""

    def write(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        with self._lock:
            _write(b"".join(self._prefix + line + b"\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
