"""Builds the API server for tests, once, and keeps it with etcd and kubectl in the lab's cache.

All of it comes from Debian sid's packages. apt fetches them with a state of its own, so this
machine's packages and lists stay as they are, and Go compiles them with `apiserver/`, which takes
minutes. The result is three programs in a directory whose name changes with their sources. Whoever
edits them keeps what was compiled: `GOCACHE=DIRECTORY python -m tests.kube.build` takes seconds.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import host
from tests.lab.debian import private_apt
from tests.lab.errors import LabError
from tests.lab.host import Say
from tests.lab.rootfs import building, cache_directory, in_use

HERE = Path(__file__).parent
PACKAGES = HERE / "packages.txt"
SOURCES = HERE / "apiserver"
GENERATION = "1"  # raise it when the way of building changes
VERSION = "k8s.io/component-base/version"
PROGRAMS = ("apiserver", "etcd", "kubectl")
NICE = 10  # a build may run beside tests that wait for time


IN_GUEST = Path("/lab/kube")  # where a guest of the lab has them


@dataclass(frozen=True, slots=True)
class Programs:
    """The finished programs; `directory` is never changed."""

    directory: Path

    @property
    def apiserver(self) -> Path:
        return self.directory / "apiserver"

    @property
    def etcd(self) -> Path:
        return self.directory / "etcd"

    @property
    def kubectl(self) -> Path:
        return self.directory / "kubectl"


def programs() -> Programs:
    """Return where the programs are, or will be."""
    parts = [GENERATION.encode(), PACKAGES.read_bytes()]
    parts += [part for path in _sources() for part in (path.name.encode(), path.read_bytes())]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    return Programs(cache_directory() / f"kube-{key}")


@contextmanager
def built(say: Say) -> Iterator[Programs]:
    """Have the programs for the length of a block, building them first. Raises LabError."""
    if "DUALPATH_LAB_INSIDE" in os.environ:
        yield Programs(IN_GUEST)
        return
    found = build(say)
    with in_use():
        yield found


def build(say: Say) -> Programs:
    """Return the programs, building them if they are missing. Raises LabError."""
    found = programs()
    if found.directory.is_dir():
        return found
    host.prepare(say)
    with building("the API server", "kube.lock", say):
        if not found.directory.is_dir():
            _build(found.directory, say)
    return found


def _sources() -> list[Path]:
    return sorted(SOURCES.glob("*.go"))


def _versions() -> Mapping[str, str]:
    """Return the version of each package with which this was seen to work."""
    lines = PACKAGES.read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {row[0]: row[1] for row in rows}


def _build(final: Path, say: Say) -> None:
    part, work = final.with_suffix(".part"), final.with_suffix(".work")
    for directory in (part, work):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
    say("fetching the sources of a Kubernetes API server (100 MB)")
    _fetch(work, say)
    root = work / "root"
    for program in ("etcd", "kubectl"):
        shutil.copy2(root / "usr/bin" / program, part / program)
    say("compiling it (4 minutes of two idle CPUs)")
    started = time.monotonic()
    _compile(work, part / "apiserver")
    shutil.rmtree(work)
    part.rename(final)
    say(f"the API server is ready after {time.monotonic() - started:.0f} s: {final}")


def _fetch(work: Path, say: Say) -> None:
    """Unpack the packages into work/root."""
    (work / "debs").mkdir(parents=True)
    apt = private_apt(work, "sid")
    wanted = _versions()
    _run([*apt, "update"], work)
    _run([*apt, "download", *wanted], work / "debs")
    different = []
    for deb in sorted((work / "debs").glob("*.deb")):
        name, version, _ = deb.name.replace("%3a", ":").split("_")
        if version != wanted[name]:
            different.append(f"{name} {version}")
        _run(["dpkg-deb", "--extract", str(deb), str(work / "root")], work)
    if different:
        say(f"not the versions of {PACKAGES.name}: {', '.join(different)}")


def _compile(work: Path, target: Path) -> None:
    (goroot,) = (work / "root/usr/lib").glob("go-*")
    package = work / "go/src/apiserver"
    package.mkdir(parents=True)
    for source in _sources():
        shutil.copy(source, package)
    version = _versions()["kubectl"].partition("+")[0]
    major, minor, _ = version.split(".")
    told = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X {VERSION}.{name}={value}" for name, value in told.items())
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "GOROOT": str(goroot),
        "GOPATH": f"{work / 'go'}:{work / 'root/usr/share/gocode'}",
        "GOCACHE": os.environ.get("GOCACHE", str(work / "gocache")),
        "GO111MODULE": "off",  # Debian's packages are a GOPATH
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    go = [str(goroot / "bin/go"), "build", "-trimpath", "-ldflags", f"-s -w {flags}"]
    _run(["nice", "-n", str(NICE), *go, "-o", str(target), "."], package, environment)


def _run(command: list[str], directory: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = "\n".join((done.stderr.strip() or "no message").splitlines()[-5:])
        raise LabError(f"`{' '.join(command[:3])} ...` failed: {message}")


def _say(text: str) -> None:
    sys.stderr.write(f"kube: {text}\n")
    sys.stderr.flush()


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.kube.build", description=__doc__).parse_args()
    try:
        found = build(_say)
    except LabError as error:
        _say(str(error))
        return 1
    sys.stdout.write(f"{found.directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
