"""Builds the API server for tests, once, and keeps it with etcd and kubectl in the lab's cache.

All of it comes from Debian sid's packages. apt fetches them with a state of its own, so this
machine's packages and lists stay as they are, and Go compiles them with `apiserver/`, which takes
minutes. The result is three programs in a directory whose name changes with their sources.
"""

import argparse
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.kube.golang import Go
from tests.lab import debian
from tests.lab.errors import LabError
from tests.lab.host import Say
from tests.lab.rootfs import build_once, cache_directory, in_use

HERE = Path(__file__).parent
PACKAGES = HERE / "packages.txt"
SOURCES = HERE / "apiserver"
GENERATION = "1"  # raise it when the way of building changes
VERSION = "k8s.io/component-base/version"
PROGRAMS = ("apiserver", "etcd", "kubectl")
NICE = 10


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
    build_once(found.directory, "an API server", "kube.lock", partial(_build, say), say)
    return found


def _sources() -> list[Path]:
    return sorted(SOURCES.glob("*.go"))


def _versions() -> Mapping[str, str]:
    """Return the version of each package with which this was seen to work."""
    lines = PACKAGES.read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {row[0]: row[1] for row in rows}


def _build(say: Say, part: Path, work: Path) -> None:
    say("fetching the sources of a Kubernetes API server (100 MB)")
    root = _fetch(work, say)
    for program in ("etcd", "kubectl"):
        shutil.copy2(root / "usr/bin" / program, part / program)
    say("compiling it (4 minutes of two idle CPUs)")
    started = time.monotonic()
    _compile(root, work, part / "apiserver")
    say(f"it is compiled after {time.monotonic() - started:.0f} s")


def _fetch(work: Path, say: Say) -> Path:
    """Unpack the packages; return where."""
    wanted = _versions()
    root = debian.unpacked(debian.private_apt(work, "sid"), work, *wanted)
    different = []
    for deb in sorted(work.glob("*.deb")):
        name, version, _ = deb.name.replace("%3a", ":").split("_")
        if version != wanted[name]:
            different.append(f"{name} {version}")
    if different:
        say(f"not the versions of {PACKAGES.name}: {', '.join(different)}")
    return root


def _compile(root: Path, work: Path, target: Path) -> None:
    package = work / "go/src/apiserver"
    package.mkdir(parents=True)
    for source in _sources():
        shutil.copy(source, package)
    version = _versions()["kubectl"].partition("+")[0]
    major, minor, _ = version.split(".")
    told = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    go = Go(root, work, (work / "go", root / "usr/share/gocode"), NICE)
    go.build(".", target, package, {f"{VERSION}.{name}": told[name] for name in told})


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
