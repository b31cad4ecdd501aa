"""Debian's Go compiler, unpacked and not installed, for sources that are a GOPATH.

Whoever edits what is compiled keeps the rest of it: `GOCACHE=DIRECTORY` takes seconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab import debian


class Go:
    """A compiler below `root`, whose own files go to `work`."""

    def __init__(self, root: Path, work: Path, gopath: Sequence[Path], nice: int) -> None:
        (goroot,) = (root / "usr/lib").glob("go-*")
        self._program = str(goroot / "bin/go")
        self._nice = ["nice", "-n", str(nice)]  # a build may run beside tests that wait for time
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            "GOROOT": str(goroot),
            "GOPATH": ":".join(map(str, gopath)),
            "GOCACHE": os.environ.get("GOCACHE", str(work / "gocache")),
            "GO111MODULE": "off",  # as modules the sources would have to be changed
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "CGO_ENABLED": "0",
        }

    def build(self, package: str, target: Path, directory: Path, values: Mapping[str, str]) -> None:
        """Compile a program; `values` are of its variables. Raises LabError."""
        flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in values.items())])
        build = ["build", "-trimpath", "-ldflags", flags, "-o", str(target), package]
        self.run([self._program, *build], directory)

    def run(self, command: Sequence[str], directory: Path) -> None:
        """Run a program in the compiler's environment. Raises LabError."""
        debian.run([*self._nice, *command], directory, self._environment)
