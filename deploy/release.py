"""Put what a release consists of into build/release: python -m deploy.release, which needs git.

It builds the wheel and the sdist of HEAD twice and compares them, takes the Debian packages that
packaging/build-deb left in build/deb, and adds an SBOM and SHA256SUMS. It uploads nothing.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
OUT = CHECKOUT / "build" / "release"
DEBS = CHECKOUT / "build" / "deb"
PINNED = re.compile(r"(?m)^([a-z0-9-]+)==(\S+)((?:[^\n]*\\\n)(?:    --hash=\S+[^\n]*\n)*)")
SHA256 = re.compile(r"--hash=sha256:([0-9a-f]{64})")
BUILD = "import sys; from setuptools import build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])"


class ReleaseError(Exception):
    """What HEAD is or has forbids a release; the text says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.release", description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        help="the directory to write; an earlier release in it is replaced",
    )
    arguments = parser.parse_args()
    try:
        make(arguments.out)
    except ReleaseError as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    sys.stdout.write((arguments.out / "SHA256SUMS").read_text())
    return 0


def make(out: Path) -> None:
    """Replace `out` with a release of HEAD. Raises ReleaseError."""
    if changed := _git("status", "--porcelain"):
        raise ReleaseError(f"a release is of HEAD; commit or undo these changes first:\n{changed}")
    if out.exists() and not (out / "SHA256SUMS").exists() and any(out.iterdir()):
        raise ReleaseError(f"{out} is no release; name an empty directory, or remove it yourself")
    version = project_version(CHECKOUT)
    agree(version, (CHECKOUT / "debian" / "changelog").read_text(), _git("tag", "--points-at"))
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    python_packages(out)
    with tempfile.TemporaryDirectory() as again:
        python_packages(Path(again))
        compare(out, Path(again))
    debs = sorted(DEBS.glob(f"dualpath_{version}[-+~_]*.deb"))
    if not debs:
        raise ReleaseError(f"{DEBS} has no package of {version}: run `make deb` first")
    for deb in debs:
        shutil.copy(deb, out)
    bill = sbom(version, (CHECKOUT / "requirements.txt").read_text())
    (out / f"dualpath-{version}.cdx.json").write_text(json.dumps(bill, indent=2) + "\n")
    write_sums(out)


def project_version(tree: Path) -> str:
    return str(tomllib.loads((tree / "pyproject.toml").read_text())["project"]["version"])


def agree(version: str, changelog: str, tags: str) -> None:
    """Check that a version tag of HEAD, the project and debian/changelog have one version."""
    of_debian = changelog.partition("(")[2].partition(")")[0]
    if of_debian != version:
        raise ReleaseError(f"debian/changelog has {of_debian}, pyproject.toml {version}; edit one")
    tagged = [tag for tag in tags.split() if re.match(r"v\d", tag)]
    if tagged and tagged != [f"v{version}"]:
        raise ReleaseError(
            f"HEAD has tag {', '.join(tagged)}, but pyproject.toml has {version}; "
            f"set both versions first, then tag v{version}"
        )


def python_packages(out: Path) -> None:
    """Build wheel and sdist of HEAD: the bytes depend on the commit and setuptools alone."""
    epoch = _git("log", "-1", "--format=%ct").strip()
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        tree.mkdir()
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=CHECKOUT, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(tree, filter="data")
        for kind in ("build_sdist", "build_wheel"):
            _build(kind, tree, Path(scratch), epoch)
        (sdist,) = Path(scratch).glob("*.tar.gz")
        (wheel,) = Path(scratch).glob("*.whl")
        (out / sdist.name).write_bytes(normalized(sdist.read_bytes(), int(epoch)))
        shutil.copy(wheel, out)


def _build(kind: str, tree: Path, out: Path, epoch: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(out)],
        cwd=tree,
        env={**os.environ, "SOURCE_DATE_EPOCH": epoch},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"setuptools: {kind} failed: {done.stderr.strip()[-500:]}")


def normalized(sdist: bytes, epoch: int) -> bytes:
    """Return an sdist without times and users: setuptools ignores SOURCE_DATE_EPOCH in it."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(sdist)) as old,
        gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.pax_headers = epoch, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return out.getvalue()


def compare(one: Path, other: Path) -> None:
    """Raise ReleaseError if two builds differ."""
    for path in sorted(other.iterdir()):
        if path.read_bytes() != (one / path.name).read_bytes():
            raise ReleaseError(f"two builds of {path.name} differ; compare them with diffoscope")


def sbom(version: str, requirements: str) -> dict[str, Any]:
    """Return a CycloneDX bill of materials: the packages that the Debian package includes."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "dualpath",
                "version": version,
                "purl": f"pkg:pypi/dualpath@{version}",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": list(_components(requirements)),
    }


def _components(requirements: str) -> Iterator[dict[str, Any]]:
    for name, version, rest in PINNED.findall(requirements):
        purl = f"pkg:pypi/{name}@{version}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            # One per file of the release: any of them may be installed.
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": purl,
                    "hashes": [{"alg": "SHA-256", "content": it} for it in SHA256.findall(rest)],
                }
            ],
        }


def write_sums(out: Path) -> None:
    """Write SHA256SUMS for `sha256sum --check`."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(out.iterdir())
    ]
    (out / "SHA256SUMS").write_text("".join(lines))


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
