"""Builds the images: a base of Debian by mmdebstrap, then each target of the Containerfile.

    python -m deploy.images.build [TARGET...]

No registry of images is asked. `--base` names a base instead, such as docker.io/library/debian:
sid-slim. Python packages are those of requirements.txt, by hash, fetched by this machine's pip;
the build itself has no network but Debian's mirror. Times come from the last commit, so two builds
of it from nothing, with the same packages, give the same digest. Steps in buildah's cache keep the
time of the commit that they were built for.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.images import sbom

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
OUTPUT = CHECKOUT / "build" / "images"
SUITE = "sid"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
TARGETS = {
    "controller": ("dualpath", "Dualpath: controller, grout-agent, dualpath, dualpath-operator"),
    "router": ("dualpath-router", "Dualpath: FRR and frr-bridge"),
    "grout": ("dualpath-grout", "Dualpath: grout with DPDK's drivers"),
}
"""The image's name and description, by target of the Containerfile."""

NOT_NEEDED = ("man", "locale", "info", "lintian", "groff")
CHROOT = {"BUILDAH_ISOLATION": "chroot"}  # a container is more than a build needs

Say = Callable[[str], None]


class BuildError(Exception):
    """The images cannot be built; the text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is built: the version, the commit and its time."""

    version: str
    revision: str
    epoch: str

    @classmethod
    def here(cls) -> "Source":
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
        commit = _output(["git", "log", "-1", "--format=%H %ct"]).split()
        return cls(project["version"], *commit)


@dataclass(frozen=True, slots=True)
class Built:
    """A finished image."""

    name: str
    size: str  # of its layers, unpacked
    user: str
    packages: int
    sbom: Path


def build(targets: Sequence[str], base: str, registry: str, say: Say) -> list[Built]:
    """Build images and their lists of packages (SPDX). Raises BuildError."""
    _require("buildah", "git")
    source = Source.here()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    base = base or _base(source, say)
    with tempfile.TemporaryDirectory(prefix="dualpath-images-") as name:
        context = Path(name)
        for script in ("router-start", "router-check", "grout-start"):
            shutil.copy2(HERE / script, context)
        say("fetching Python packages")
        _wheels(base, context / "wheels", source)
        return [_image(target, base, registry, context, source, say) for target in targets]


def _base(source: Source, say: Say) -> str:
    """Make the image that all others stand on, once for each version of the recipe."""
    _require("mmdebstrap")
    name = f"localhost/dualpath-base:{SUITE}"
    if _exists(name):
        return name
    say(f"making a base of Debian {SUITE} (1 minute)")
    mirror = os.environ.get("DUALPATH_LAB_MIRROR", MIRROR)
    with tempfile.TemporaryDirectory(prefix="dualpath-base-") as directory:
        tar = Path(directory) / "base.tar"
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in NOT_NEEDED]
        _output(
            [
                "mmdebstrap",
                "--variant=minbase",
                '--aptopt=Acquire::Check-Valid-Until "false"',
                *excluded,
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                f"--keyring={KEYRING}",
                SUITE,
                str(tar),
                f"deb [check-valid-until=no] {mirror} {SUITE} main",
            ],
            source,
        )
        (Path(directory) / "Containerfile").write_text("FROM scratch\nADD base.tar /\n")
        _buildah(
            source, "bud", "--quiet", f"--timestamp={source.epoch}", f"--tag={name}", directory
        )
    return name


def _wheels(base: str, target: Path, source: Source) -> None:
    """Fetch the locked packages for the base's Python, and make a wheel of this tree."""
    target.mkdir()
    version = _python_of(base, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    only = ["--only-binary=:all:", f"--python-version={version}", "--require-hashes"]
    _output([*pip, "download", "--quiet", *only, f"--dest={target}", "-r", "requirements.txt"])
    with tempfile.TemporaryDirectory(prefix="dualpath-wheel-") as tree:
        # A copy: setuptools keeps modules that were deleted meanwhile in the build/ of a checkout.
        for path in _output(["git", "ls-files", "-z"]).rstrip("\0").split("\0"):
            if (CHECKOUT / path).is_file():
                (Path(tree) / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CHECKOUT / path, Path(tree) / path)
        options = ["--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={target}"]
        _output([*pip, "wheel", *options, tree], source)


def _python_of(base: str, source: Source) -> str:
    """Return the version of Python that apt installs in the base: "3.14"."""
    container = _buildah(source, "from", base)
    try:
        script = "apt-get update -qq && apt-cache show --no-all-versions python3"
        shown = _buildah(source, "run", container, "--", "sh", "-c", script)
    finally:
        _buildah(source, "rm", container)
    (version,) = (line.split()[1] for line in shown.splitlines() if line.startswith("Version:"))
    return ".".join(version.split(".")[:2])


def _image(target: str, base: str, registry: str, context: Path, source: Source, say: Say) -> Built:
    name, description = TARGETS[target]
    tagged = f"{registry}/{name}:{source.version}"
    labels = {
        "title": name,
        "description": description,
        "version": source.version,
        "revision": source.revision,
        "licenses": "Apache-2.0",
        "base.name": base,
    }
    say(f"building {tagged}")
    _buildah(
        source,
        "bud",
        "--quiet",
        "--layers",  # shared by the images, and found again by the next build
        f"--build-arg=BASE={base}",
        f"--target={target}",
        f"--timestamp={source.epoch}",
        *(f"--label=org.opencontainers.image.{key}={value}" for key, value in labels.items()),
        f"--file={HERE / 'Containerfile'}",
        f"--tag={tagged}",
        str(context),
    )
    return _described(target, tagged, source)


def _described(target: str, tagged: str, source: Source) -> Built:
    container = _buildah(source, "from", tagged)
    try:
        root = Path(_buildah(source, "mount", container))
        packages = sbom.packages_of(root)
        document = sbom.document(tagged, source.epoch, packages)
    finally:
        _buildah(source, "rm", container)
    path = OUTPUT / f"{target}.spdx.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    details = json.loads(_buildah(source, "inspect", "--type=image", tagged))
    user = details["OCIv1"]["config"].get("User") or "root"
    (found,) = json.loads(_buildah(source, "images", "--json", tagged))
    return Built(tagged, found["size"], user, len(packages), path)


def _exists(image: str) -> bool:
    done = subprocess.run(
        ["buildah", "inspect", "--type=image", image], capture_output=True, check=False
    )
    return done.returncode == 0


def _require(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            raise BuildError(f"no program {program}: install it, or run `make images`.")


def _buildah(source: Source, *arguments: str) -> str:
    return _output(["buildah", *arguments], source)


def _output(command: Sequence[str], source: Source | None = None) -> str:
    """Return what a command prints. Raises BuildError with the end of what it said."""
    environment = {**os.environ, **CHROOT}
    if source:
        environment["SOURCE_DATE_EPOCH"] = source.epoch
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = " / ".join((done.stderr.strip() or "no message").splitlines()[-4:])
        raise BuildError(f"`{' '.join(command[:3])} ...` failed: {message}")
    return done.stdout.strip("\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.images.build", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (all)"
    )
    parser.add_argument("--base", default="", help="an image of Debian (made by mmdebstrap)")
    parser.add_argument("--registry", default="localhost", help="what names begin with (localhost)")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no target {' '.join(sorted(unknown))}; targets are {', '.join(TARGETS)}")
    try:
        built = build(arguments.targets or list(TARGETS), arguments.base, arguments.registry, _say)
    except BuildError as error:
        _say(str(error))
        return 1
    for image in built:
        sys.stdout.write(
            f"{image.name}  {image.size}, user {image.user}, {image.packages} packages, "
            f"{image.sbom.relative_to(CHECKOUT)}\n"
        )
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"images: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
