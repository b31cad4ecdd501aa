"""Makes and caches the lab's trees: Debian sid with FRR and grout, a venv for it, older FRRs, QEMU.

A tree is built beside its final name and renamed when it is whole, under a lock, so that neither
an interruption nor a second run leaves half of one behind. A finished tree is never changed.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import host
from tests.lab.errors import LabError
from tests.lab.host import Say
from tests.lab.recipe import AT_LEAST, DAY0, FRR_8_4, FRR_10_3, MACHINE, SYSTEM, Project, Tree

DEFAULT_CACHE = "/var/cache/dualpath/lab"
IN_USE = "in-use"
UML_MODULES = "usr/lib/uml/modules"
MODULES = "usr/lib/modules"


@dataclass(frozen=True, slots=True)
class Trees:
    """The finished trees; read-only for everyone."""

    system: Path
    venv: Path
    frr_8_4: Path  # Debian 12's FRR
    frr_10_3: Path  # Debian 13's
    machine: Path  # QEMU and its guests' kernel

    @property
    def kernel(self) -> str:
        """The version of the kernel that QEMU runs."""
        (version,) = (path.name for path in (self.machine / MODULES).iterdir())
        return version


def cache_directory() -> Path:
    return Path(os.environ.get("DUALPATH_LAB_CACHE", DEFAULT_CACHE))


def prepare(project: Project, say: Say) -> Trees:
    """Return the trees, building those that are missing. Raises LabError."""
    cache = cache_directory()
    trees = Trees(
        system=cache / SYSTEM.name,
        venv=cache / project.venv_name,
        frr_8_4=cache / FRR_8_4.name,
        frr_10_3=cache / FRR_10_3.name,
        machine=cache / MACHINE.name,
    )
    if _complete(trees):
        return trees
    with building("the lab", "lock", say), ThreadPoolExecutor() as pool:
        others = [
            pool.submit(_build, FRR_8_4, trees.frr_8_4, say),
            pool.submit(_build, FRR_10_3, trees.frr_10_3, say),
            pool.submit(_build, MACHINE, trees.machine, say),
        ]
        _build(SYSTEM, trees.system, say)
        _build_venv(project, trees, say)
        for other in others:
            other.result()
    return trees


def day0(say: Say) -> Path:
    """Return the tree of a node with systemd and podman, building it if it is missing.

    No scenario of the lab needs it. Raises LabError.
    """
    final = cache_directory() / DAY0.name
    if not final.is_dir():
        host.prepare(say)
        with building("a node with systemd", "day0.lock", say):
            _build(DAY0, final, say)
    return final


@contextmanager
def in_use() -> Iterator[None]:
    """Keep the trees from being removed for the length of a block."""
    with (cache_directory() / IN_USE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def clean(say: Say) -> None:
    """Remove every cached tree. Raises LabError while a guest uses them."""
    cache = cache_directory()
    if not cache.exists():
        return
    with building("the lab", "lock", say), (cache / IN_USE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError("A guest is running: end it before removing the trees.") from None
        for path in cache.iterdir():
            if path.is_dir():
                say(f"removing {path}")
                shutil.rmtree(path)


def _complete(trees: Trees) -> bool:
    every = (trees.system, trees.venv, trees.frr_8_4, trees.frr_10_3, trees.machine)
    return all(path.is_dir() for path in every)


@contextmanager
def building(what: str, lock_name: str, say: Say) -> Iterator[None]:
    """Build something in the cache, one run after the other."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / lock_name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is building {what}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build_once(
    final: Path, what: str, lock_name: str, make: Callable[[Path, Path], None], say: Say
) -> None:
    """Make a directory of the cache unless it is there. Raises LabError.

    `make` fills an empty directory, and has another to work in.
    """
    if final.is_dir():
        return
    host.prepare(say)
    with building(what, lock_name, say):
        if final.is_dir():
            return
        part, work = final.with_suffix(".part"), final.with_suffix(".work")
        for directory in (part, work):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        make(part, work)
        shutil.rmtree(work)
        part.rename(final)
        say(f"{what} is ready: {final}")


def _build(tree: Tree, final: Path, say: Say) -> None:
    if final.is_dir():
        return
    say(f"making {tree.kind} of Debian {tree.suite} (half a minute or more)")
    started = time.monotonic()
    part = _fresh(final)
    _bootstrap(tree, part)
    for directory in tree.directories:
        (part / directory).mkdir(parents=True, exist_ok=True)
    if tree in (SYSTEM, DAY0):
        _add_modules(part)
    if tree is SYSTEM:
        _refuse_old_programs(part)
    if tree is MACHINE:
        _finish_machine(part)
    part.rename(final)
    say(f"{tree.kind} is ready after {time.monotonic() - started:.0f} s: {final}")


def _bootstrap(tree: Tree, target: Path) -> None:
    # A mirror that is refreshed seldom has a Release file past its date; signatures still count.
    source = f"deb [check-valid-until=no] {host.mirror()} {tree.suite} main"
    command = [
        "mmdebstrap",
        f"--variant={tree.variant}",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        f"--keyring={host.DEBIAN_KEYRING}",
        f"--include={','.join(tree.packages)}",
        tree.suite,
        str(target),
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        log = target.with_suffix(".log")
        log.write_text(done.stdout + done.stderr)
        raise LabError(f"mmdebstrap could not make Debian {tree.suite}; its output is in {log}.")


def _add_modules(root: Path) -> None:
    """Put the modules of user-mode Linux where modprobe looks."""
    if (root / UML_MODULES).is_dir():
        shutil.copytree(root / UML_MODULES, root / MODULES, dirs_exist_ok=True)


def _refuse_old_programs(root: Path) -> None:
    for program, wanted in AT_LEAST.items():
        version = _output(["chroot", str(root), "dpkg-query", "-W", "-f=${Version}", program])
        if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < wanted:
            raise LabError(
                f"The mirror {host.mirror()} carries {program} {version}, and the lab needs "
                f"{'.'.join(map(str, wanted))}: set DUALPATH_LAB_MIRROR to a current one."
            )


def _finish_machine(root: Path) -> None:
    """Do what the packages' own scripts would have done."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for modules in (root / MODULES).iterdir():
        _output(["depmod", f"--basedir={root}", modules.name])


def _build_venv(project: Project, trees: Trees, say: Say) -> None:
    """Make the venv that appears as /opt/venv.

    The pip of this machine downloads, so that its own settings (index, proxy, certificates)
    apply; the one in the tree only unpacks, and needs no network.
    """
    if trees.venv.is_dir():
        return
    say("making the Python environment of the lab")
    started = time.monotonic()
    part = _fresh(trees.venv)
    with tempfile.TemporaryDirectory(prefix="dualpath-wheels-") as wheels:
        _download(project, trees.system, Path(wheels))
        _install_wheels(project, trees.system, part, Path(wheels))
    part.rename(trees.venv)
    say(f"the Python environment is ready after {time.monotonic() - started:.0f} s")


def _download(project: Project, system: Path, wheels: Path) -> None:
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = _output(["chroot", str(system), "python3", "-c", script])
    only_wheels = ["--only-binary=:all:", f"--python-version={version}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *only_wheels]
    _output([*command, f"--dest={wheels}", *project.dependencies])


def _install_wheels(project: Project, system: Path, venv: Path, wheels: Path) -> None:
    venv.mkdir()
    script = """
        set -e
        system=$1 venv=$2 wheels=$3
        shift 3
        mount --bind "$venv" "$system/opt/venv"
        mount --bind "$wheels" "$system/lab"
        mount -t tmpfs tmpfs "$system/tmp"
        mount --bind /dev "$system/dev"
        chroot "$system" python3 -m venv /opt/venv
        exec chroot "$system" /opt/venv/bin/pip install --quiet --no-index --find-links=/lab "$@"
    """
    private = ["unshare", "--mount", "--propagation", "private"]
    # Without the settings of this machine: they name files that are not in the tree.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIP_CONFIG_FILE": "/dev/null"}
    directories = [str(system), str(venv), str(wheels)]
    _output([*private, "sh", "-c", script, "sh", *directories, *project.dependencies], environment)


def _fresh(final: Path) -> Path:
    """Return the name to build under, with nothing left there by an interrupted run."""
    part = final.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    return part


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        message = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LabError(f"`{' '.join(command[:6])} ...` failed: {message}")
    return done.stdout.strip()
