"""Builds a whole Kubernetes for tests, once, and keeps it in the lab's cache.

Debian 12 is the last release whose source package has all of Kubernetes: 1.20.2, with kubelet. Go
compiles it, which takes 10 minutes of two idle CPUs. The result is four programs in a directory
whose name changes with the recipe.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.kube.golang import Go
from tests.lab import debian
from tests.lab.errors import LabError
from tests.lab.host import Say
from tests.lab.rootfs import build_once, cache_directory, in_use

SUITE = "bookworm"
VERSION = "1.20.2"
REFLECT = "golang-github-modern-go-reflect2-dev"
PACKAGES = ("golang-1.19-go", "golang-1.19-src", REFLECT)
PROGRAMS = ("kube-apiserver", "kubelet", "kube-controller-manager", "kube-scheduler")
GENERATION = "1"  # raise it when the way of building changes
NICE = 19

PACKAGE = "k8s.io/kubernetes"
SCHEMAS = "pkg/generated/openapi"
"""The one generated package that Debian's source lacks."""

MARKED = re.compile(r"^\s*// ?\+k8s:openapi-gen=", re.MULTILINE)
NOT_READ = re.compile(r"_test\.go$|/zz_generated|/testdata/")
NOT_STAGED = {"code-generator", "sample-apiserver", "kube-openapi", "gengo"}


@dataclass(frozen=True, slots=True)
class Programs:
    """The finished programs; `directory` is never changed."""

    directory: Path

    def __getitem__(self, name: str) -> str:
        assert name in PROGRAMS, name
        return str(self.directory / name)


def programs() -> Programs:
    """Return where the programs are, or will be."""
    recipe = "\0".join((GENERATION, SUITE, VERSION, *PACKAGES, *PROGRAMS))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    return Programs(cache_directory() / f"kubelet-{key}")


@contextmanager
def built(say: Say) -> Iterator[Programs]:
    """Have the programs for the length of a block, building them first. Raises LabError."""
    found = build(say)
    with in_use():
        yield found


def build(say: Say) -> Programs:
    """Return the programs, building them if they are missing. Raises LabError."""
    found = programs()
    build_once(found.directory, "Kubernetes", "kubelet.lock", partial(_build, say), say)
    return found


def _build(say: Say, part: Path, work: Path) -> None:
    say(f"fetching the source of Kubernetes {VERSION} (100 MB)")
    tree = work / "go/src" / PACKAGE
    tree.parent.mkdir(parents=True)
    root = _fetch(work, tree)
    _mend(tree, root)
    say("compiling it (10 minutes of two idle CPUs)")
    started = time.monotonic()
    go = Go(root, work, [work / "go"], NICE)
    _generate_schemas(go, work, tree)
    for program in PROGRAMS:
        go.build(f"./cmd/{program}", part / program, tree, _versions())
        say(f"{program} is compiled after {time.monotonic() - started:.0f} s")


def _fetch(work: Path, tree: Path) -> Path:
    """Unpack the source into `tree`; return where the compiler is."""
    apt = debian.private_apt(work, SUITE, sources=True)
    root = debian.unpacked(apt, work, *PACKAGES)
    debian.run([*apt, "source", "--only-source", "--download-only", "kubernetes"], work)
    (description,) = work.glob("kubernetes_*.dsc")
    debian.run(["dpkg-source", "--no-check", "--extract", str(description), str(tree)], work)
    return root


def _mend(tree: Path, root: Path) -> None:
    """Replace the vendored reflect2 1.0.1 by Debian's 1.0.2.

    With a Go newer than 1.17 the old one walks maps with a wrong layout: the API server dies of
    SIGSEGV at the first custom resource.
    """
    vendored = tree / "vendor/github.com/modern-go/reflect2"
    shutil.rmtree(vendored)
    vendored.mkdir()
    newer = root / "usr/share/gocode/src/github.com/modern-go/reflect2"
    for source in (*newer.glob("*.go"), *newer.glob("*.s")):
        if not source.name.endswith("_test.go"):
            shutil.copy(source, vendored)


def _versions() -> dict[str, str]:
    """Return what the programs say of themselves."""
    major, minor, _ = VERSION.split(".")
    base = f"{PACKAGE}/vendor/k8s.io/component-base/version"
    return {
        f"{base}.gitVersion": f"v{VERSION}",
        f"{base}.gitMajor": major,
        f"{base}.gitMinor": minor,
        f"{PACKAGE}/vendor/k8s.io/client-go/pkg/version.gitVersion": f"v{VERSION}",
    }


def _generate_schemas(go: Go, work: Path, tree: Path) -> None:
    """Write the package that Debian's build would, with upstream's generator."""
    generator = work / "openapi-gen"
    go.build("./vendor/k8s.io/kube-openapi/cmd/openapi-gen", generator, tree, _versions())
    inputs = ",".join(f"{PACKAGE}/{directory}" for directory in _marked(tree))
    command = [
        str(generator),
        "--logtostderr",
        f"--input-dirs={inputs}",
        f"--output-package={PACKAGE}/{SCHEMAS}",
        "--output-file-base=zz_generated.openapi",
        "--go-header-file=hack/boilerplate/boilerplate.generatego.txt",
        f"--report-filename={work / 'violations'}",
    ]
    go.run(command, tree)


def _marked(tree: Path) -> list[str]:
    """Return the directories with types that ask for a schema."""
    staged = sorted((tree / "vendor/k8s.io").iterdir())
    tops = [tree / top for top in ("pkg", "cmd", "plugin")]
    tops += [path for path in staged if path.name not in NOT_STAGED]
    found = set()
    for top in tops:
        # vendor/k8s.io is made of links, which rglob would not follow.
        for source in top.resolve().rglob("*.go"):
            name = str(top.relative_to(tree) / source.relative_to(top.resolve()))
            if not NOT_READ.search(name) and MARKED.search(source.read_text()):
                found.add(str(Path(name).parent))
    return sorted(found)


def _say(text: str) -> None:
    sys.stderr.write(f"kubelet: {text}\n")
    sys.stderr.flush()


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.kubelet.build", description=__doc__).parse_args()
    try:
        found = build(_say)
    except LabError as error:
        _say(str(error))
        return 1
    sys.stdout.write(f"{found.directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
