"""The documented way from OpenPERouter and back, command by command, with an API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.intent.loader import load
from controller.intent.node import NodeOverrides
from controller.intent.passwords import PasswordReader
from controller.kubernetes.agent import NAMESPACE
from tests.kube.node import number
from tests.kube.server import ApiServer
from tests.kube.test_theirs import L3VNIS, NODE, SAMPLES, THEIRS
from tests.lab.documented import CHECKOUT, block
from tests.unit.controller.intent.build import manifest

pytestmark = pytest.mark.kube

PAGE = "docs/KUBERNETES.md"
LOOK, DEFINE, KEEP, RETURN = (
    block((PAGE, first)).commands
    for first in (
        "g=network.openperouter.io",
        "kubectl apply --server-side --force-conflicts -f deploy/crds/",
        "g=network.openperouter.io  # OpenPERouter does not read the group dualpath.io",
        "kubectl apply --server-side --force-conflicts -f openperouter/config/crd/bases/",
    )
)


def shell(server: ApiServer, commands: str, directory: Path) -> str:
    """Run commands as a reader would; return what they print."""
    programs = (server._programs.directory, Path(sys.executable).parent)
    path = ":".join([*map(str, programs), os.environ["PATH"]])
    environment = {"HOME": str(directory), "PATH": path, "KUBECONFIG": str(server.kubeconfig)}
    done = subprocess.run(
        ["/bin/sh", "-ec", commands],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_every_command_of_the_way_there_and_back(server: ApiServer, tmp_path: Path) -> None:
    server.define(*THEIRS)
    server.kubectl("create", "namespace", NAMESPACE)
    number(server, NODE, 3)
    for sample in ("underlay.yaml", "l3vni.yaml", "l2vni.yaml"):
        server.kubectl("apply", "-f", str(SAMPLES / sample))
    bases = tmp_path / "openperouter" / "config" / "crd" / "bases"
    bases.mkdir(parents=True)
    for path in THEIRS:
        (bases / path.name).write_text(path.read_text())
    (tmp_path / "deploy").symlink_to(CHECKOUT / "deploy")

    told = shell(server, LOOK, tmp_path)
    assert [line.split()[1] for line in told.splitlines()] == ["READY", *["yes"] * 4]
    paths = [tmp_path / "nodes.yaml", tmp_path / "manifests.yaml"]
    found = load(paths, NodeOverrides(NODE), PasswordReader(tmp_path))
    assert (found.node.index, found.node.labels["rack"]) == (3, "a")

    shell(server, DEFINE, tmp_path)
    own = manifest("L3VNI", "own", vrf="own", vni=900, hostSession=None, hostNetns="x")
    static = manifest("L3VNI", "static", vrf="s", vni=901, hostSession=None)
    static["metadata"]["labels"] = {"dualpath.io/static": NODE}
    server.apply(own, static)

    assert "hostNetns" in shell(server, KEEP, tmp_path)
    shell(server, RETURN, tmp_path)
    left = json.loads(server.kubectl("get", L3VNIS, "-n", "default", "-o", "json"))["items"]
    assert [item["metadata"]["name"] for item in left] == ["own"]
    assert "hostNetns" not in left[0]["spec"]
