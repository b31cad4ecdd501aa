"""Runs one command in one guest: a VM (user-mode Linux or QEMU), or namespaces of this kernel.

All see the same file tree. A guest keeps nothing: its mounts and processes live in namespaces that
end with the process started here, and that process ends with this one, even by SIGKILL.
"""

import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.lab.console import BEGIN, END, Console
from tests.lab.errors import LabError
from tests.lab.recipe import Project
from tests.lab.rootfs import Trees

CHECKOUT = Path(__file__).resolve().parents[2]
ENTER = CHECKOUT / "tests/lab/guest/enter.sh"
TIMED_OUT = 124  # as timeout(1) has it
STOPPING_S = 5.0
LOOKING_UP_S = 0.5
QEMU_CPUS = 2  # one for grout, which polls, and one for the rest

# What the guest's command may want to know from outside.
Write = Callable[[bytes], None]

PASSED_ON = ("TERM", "PYTEST_ADDOPTS", "PY_COLORS", "NO_COLOR", "FORCE_COLOR")


class Mode(StrEnum):
    STRAIGHT = "straight"
    UML = "uml"
    QEMU = "qemu"


class Accelerator(StrEnum):
    """What executes the instructions of a guest in QEMU."""

    KVM = "kvm"
    TCG = "tcg"  # translates them


# How much longer than on this machine's own CPU things may take.
SLOWNESS = {Accelerator.KVM: 1, Accelerator.TCG: 6}


@dataclass(frozen=True, slots=True)
class Settings:
    """How guests are made; the same for all of one run."""

    trees: Trees
    project: Project
    artefacts: Path
    accelerator: Accelerator = Accelerator.TCG
    memory: str = "3072M"
    timeout_s: float = 1800.0
    kube: Path | None = None  # where an API server's programs are; a guest has them in /lab/kube
    promtool: Path | None = None  # a guest has it in its path
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Job:
    """One command for one guest; `command` is shell text, run in the checkout."""

    command: str
    mode: Mode
    interactive: bool = False


def run(settings: Settings, job: Job, write: Write) -> int:
    """Run `job` in a guest of its own and return the command's exit code, or TIMED_OUT.

    `write` gets the command's output as it comes; an interactive job has the terminal instead.
    Raises LabError when the guest did not get as far as the command.
    """
    with tempfile.TemporaryDirectory(prefix="dualpath-lab-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # programs of other users run from there
        _write_run_directory(directory, settings, job)
        guest = _start(directory, settings, job)
        try:
            console = Console(write)
            in_time = _wait(guest, console, settings)
        finally:
            _stop(guest)
        if not in_time:
            return TIMED_OUT
        return _exit_code(directory, console)


def _write_run_directory(directory: Path, settings: Settings, job: Job) -> None:
    _write_package(directory, settings.project)
    (directory / "kube").mkdir()
    if settings.promtool:
        (directory / "bin" / "promtool").touch()
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    size = shutil.get_terminal_size()
    environment |= {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
    slowness = SLOWNESS[settings.accelerator] if job.mode is Mode.QEMU else 1
    environment["DUALPATH_LAB_SLOWNESS"] = str(slowness)
    environment["DUALPATH_LAB_MODE"] = str(job.mode)
    lab = {
        "LAB_MODE": str(job.mode),
        "LAB_INTERACTIVE": "yes" if job.interactive else "no",
        "LAB_BEGIN": BEGIN.decode().strip(),
        "LAB_END": END.decode().strip(),
    }
    lines = [f"export {key}={shlex.quote(value)}" for key, value in environment.items()]
    lines += [f"{key}={shlex.quote(value)}" for key, value in lab.items()]
    (directory / "environment").write_text("\n".join(lines) + "\n")
    (directory / "command").write_text(job.command + "\n")


def _write_package(directory: Path, project: Project) -> None:
    """Write what an installation would have made: the programs, and the metadata."""
    metadata = directory / "site" / f"{project.name}-{project.version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(
        f"Metadata-Version: 2.1\nName: {project.name}\nVersion: {project.version}\n"
    )
    scripts = directory / "bin"
    scripts.mkdir()
    for name, target in project.scripts:
        module, function = target.split(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}())"
        script = scripts / name
        script.write_text(f"#!/opt/venv/bin/python\n{code}\n")
        script.chmod(0o755)


def _start(directory: Path, settings: Settings, job: Job) -> subprocess.Popen[bytes]:
    trees = settings.trees
    environment = {
        **os.environ,
        "LAB_MODE": str(job.mode),
        "LAB_SYSTEM": str(trees.system),
        "LAB_VENV": str(trees.venv),
        "LAB_FRR_8_4": str(trees.frr_8_4),
        "LAB_FRR_10_3": str(trees.frr_10_3),
        "LAB_MACHINE": str(trees.machine),
        "LAB_KERNEL": trees.kernel,
        "LAB_ACCELERATOR": str(settings.accelerator),
        "LAB_CPUS": str(QEMU_CPUS),
        "LAB_CHECKOUT": str(CHECKOUT),
        "LAB_ARTEFACTS": str(settings.artefacts),
        "LAB_RUN": str(directory),
        "LAB_KUBE": str(settings.kube or ""),
        "LAB_PROMTOOL": str(settings.promtool or ""),
        "LAB_MEMORY": settings.memory,
        "LAB_ARGS": os.environ.get("DUALPATH_LAB_VM_ARGS", ""),
    }
    settings.artefacts.mkdir(parents=True, exist_ok=True)
    own = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    if job.mode is Mode.STRAIGHT:
        own += ["--net", "--uts", "--ipc"]
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *own, "bash", str(ENTER)]
    if job.interactive:
        return subprocess.Popen(command, env=environment)
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is ours to handle
    )


def _wait(guest: subprocess.Popen[bytes], console: Console, settings: Settings) -> bool:
    """Feed the console until the guest ends; return False when it must be ended before."""
    deadline = time.monotonic() + settings.timeout_s
    if guest.stdout is None:
        return _wait_interactive(guest)
    with selectors.DefaultSelector() as selector:
        selector.register(guest.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and not settings.cancelled.is_set():
            if not selector.select(LOOKING_UP_S):
                continue
            data = os.read(guest.stdout.fileno(), 65536)
            if not data:
                return True
            console.feed(data)
    return False


def _wait_interactive(guest: subprocess.Popen[bytes]) -> bool:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the guest's terminal now
    try:
        guest.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
        if sys.stdin.isatty():
            subprocess.run(["stty", "sane"], check=False)
    return True


def _stop(guest: subprocess.Popen[bytes]) -> None:
    try:
        guest.wait(timeout=0 if guest.stdout is None else 0.5)
    except subprocess.TimeoutExpired:
        guest.kill()  # unshare --kill-child takes the guest's first process with it
        guest.wait(timeout=STOPPING_S)


def _exit_code(directory: Path, console: Console) -> int:
    path = directory / "exit-code"
    if not path.exists():
        raise LabError(f"The guest ended before its command did. It said:\n{console.tail()}")
    return int(path.read_text())
