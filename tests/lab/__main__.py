"""The one entry point: `python -m tests.lab run|shell|prepare|clean`."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from tests.kube import build as kube
from tests.lab import accelerator, host, machine, recipe, rootfs, runs, targets
from tests.lab.errors import LabError
from tests.lab.machine import CHECKOUT, Accelerator, Job, Mode, Settings
from tests.lab.runs import Modes, Request
from tests.promtool import promtool

EXAMPLES = """\
examples:
  python -m tests.lab run                          every scenario
  python -m tests.lab run --jobs 2                 in two guests at once
  python -m tests.lab run tests/lab/test_ipv6_underlay.py -x
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
        host.prepare(say)
        modes = _modes(arguments.mode)
        settings = _settings(arguments, modes)
        with rootfs.in_use():
            match arguments.verb:
                case "run":
                    settings, modes = _with_accelerator(settings, modes, arguments.mode)
                    request = Request(rest, arguments.markers, arguments.jobs)
                    return _run(_with_programs(settings, request), modes, request)
                case "shell":
                    settings, modes = _with_accelerator(settings, modes, arguments.mode)
                    mode = modes.grout if arguments.grout else modes.plain
                    return _shell(settings, mode, arguments)
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
        description="Real FRR and grout on one machine: in small VMs, or straight in namespaces.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="run|shell|prepare|clean")
    run = verbs.add_parser(
        "run", help="run scenarios; what it does not know goes to pytest", allow_abbrev=False
    )
    run.add_argument("--jobs", type=int, default=1, help="guests at once (default 1)")
    run.add_argument("-m", dest="markers", default="lab", help="pytest's -m (default lab)")
    shell = verbs.add_parser("shell", help="a shell in a guest")
    shell.add_argument("-c", dest="command", metavar="CMD", help="run this and leave")
    shell.add_argument("--terminal", action="store_true", help="give the command this terminal")
    shell.add_argument("--grout", action="store_true", help="in a guest where grout is quick")
    prepare = verbs.add_parser("prepare", help="make the trees, and nothing else")
    verbs.add_parser("clean", help="remove the cached trees")
    for verb in (run, shell, prepare):
        verb.add_argument(
            "--mode",
            choices=[str(mode) for mode in Mode],
            help="default: what is quick here",
        )
        verb.add_argument("--memory", default="3072M", help="of a VM (default 3072M)")
        verb.add_argument("--timeout", type=float, default=1800.0, metavar="S", help="in all")
    return parser


def _settings(arguments: argparse.Namespace, modes: Modes) -> Settings:
    if Mode.UML in (modes.plain, modes.grout) or Mode.QEMU in (modes.plain, modes.grout):
        host.require_vm()
    project = recipe.read_project(CHECKOUT / "pyproject.toml")
    built = kube.programs().directory
    return Settings(
        trees=rootfs.prepare(project, say),
        project=project,
        artefacts=Path(os.environ.get("DUALPATH_LAB_ARTEFACTS", CHECKOUT / "artefacts")).resolve(),
        memory=arguments.memory,
        timeout_s=arguments.timeout,
        kube=built if built.is_dir() else None,
    )


def _modes(chosen: str | None) -> Modes:
    """Return where scenarios run: without VRF devices here, in VMs that are quick for each."""
    if chosen:
        return Modes(Mode(chosen), Mode(chosen))
    if host.has_vrf():
        return Modes(Mode.STRAIGHT, Mode.STRAIGHT)
    return Modes(Mode.UML, Mode.QEMU)


def _with_accelerator(
    settings: Settings, modes: Modes, chosen: str | None
) -> tuple[Settings, Modes]:
    """Find out whether QEMU has KVM; without it user-mode Linux is quicker, with grout too."""
    if modes.grout is not Mode.QEMU:
        return settings, modes
    settings = accelerator.with_best(settings)
    if settings.accelerator is Accelerator.TCG and not chosen:
        modes = Modes(modes.plain, Mode.UML)
    return settings, modes


def _with_programs(settings: Settings, request: Request) -> Settings:
    """Make what scenarios need, if it was not made before: a Kubernetes API server, promtool."""
    files, _ = targets.find(CHECKOUT, request.pytest)
    if any(target.kube for target in files):
        settings = replace(settings, kube=kube.build(say).directory)
    if any(target.promtool for target in files):
        try:
            settings = replace(settings, promtool=Path(promtool()))
        except FileNotFoundError as error:
            raise LabError(str(error)) from error
    return settings


def _run(settings: Settings, modes: Modes, request: Request) -> int:
    code = runs.run(settings, modes, request)
    if code == machine.TIMED_OUT:
        say(f"not done within {settings.timeout_s:g} s, and ended; --timeout gives more")
    return code


def _shell(settings: Settings, mode: Mode, arguments: argparse.Namespace) -> int:
    if arguments.command is not None and not arguments.terminal:
        return machine.run(settings, Job(arguments.command, mode), runs.write)
    if not sys.stdin.isatty():
        raise LabError("A shell needs a terminal: give a command with -c.")
    command = arguments.command or "exec bash --norc -i"
    return machine.run(settings, Job(command, mode, interactive=True), runs.write)


if __name__ == "__main__":
    sys.exit(main())
