"""The quadlets of day 0 run what the DaemonSets run: images, rights, directories, turns."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
QUADLETS = ROOT / "packaging" / "quadlets"
FILES = {
    "dualpath": "node/node.yaml",
    "dualpath-router": "node/router.yaml",
    "dualpath-grout": "grout/grout.yaml",
}


def quadlet(name: str) -> dict[str, list[str]]:
    """Return the values of each key; a key may be there several times."""
    found: dict[str, list[str]] = {}
    for line in (QUADLETS / f"{name}.container").read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def pod(name: str) -> Any:  # noqa: ANN401 - a PodSpec
    items = yaml.safe_load_all((ROOT / "deploy" / FILES[name]).read_text())
    (owner,) = (item for item in items if item["kind"] == "DaemonSet")
    return owner["spec"]["template"]["spec"]


def container(name: str) -> Any:  # noqa: ANN401
    (found,) = pod(name)["containers"]
    return found


@pytest.mark.parametrize("name", FILES)
def test_image_is_that_of_the_daemonset(name: str) -> None:
    assert quadlet(name)["Image"] == [container(name)["image"]]


@pytest.mark.parametrize("name", FILES)
def test_directories_of_the_node_are_those_of_the_daemonset(name: str) -> None:
    paths = {v["name"]: v["hostPath"]["path"] for v in pod(name)["volumes"] if "hostPath" in v}
    shared = {"Bidirectional": ":rshared", "HostToContainer": ":rslave"}
    wanted = {
        f"{paths[m['name']]}:{m['mountPath']}"
        + (":ro" if m.get("readOnly") else shared.get(m.get("mountPropagation", ""), ""))
        for m in container(name)["volumeMounts"]
        if m["name"] in paths
    }
    assert set(quadlet(name)["Volume"]) - {"/dev/hugepages:/dev/hugepages"} == wanted


def test_controller_has_the_same_command_and_turn() -> None:
    words = shlex.split(quadlet("dualpath")["Exec"][0])
    command = container("dualpath")["command"]
    assert words[: len(command)] == command
    assert set(words[len(command) :]) <= set(container("dualpath")["args"])


def test_router_has_the_same_capabilities() -> None:
    wanted = container("dualpath-router")["securityContext"]["capabilities"]
    assert quadlet("dualpath-router")["AddCapability"][0].split() == wanted["add"]
    assert quadlet("dualpath-router")["DropCapability"] == ["all"]


def test_controller_keeps_the_capabilities_of_the_unit() -> None:
    lines = (ROOT / "packaging/dualpath.service").read_text().splitlines()
    values = [line.partition("=")[2] for line in lines if line.startswith("CapabilityBoundingSet=")]
    wanted = {name.removeprefix("CAP_").lower() for value in values for name in value.split()}
    (kept,) = (w for w in container("dualpath")["command"] if w.startswith("--bounding-set="))
    assert set(kept.partition("=")[2].split(",")) == {"-all", *(f"+{name}" for name in wanted)}


@pytest.mark.parametrize("name", FILES)
def test_units_come_before_kubelet(name: str) -> None:
    assert "kubelet.service" in quadlet(name)["Before"]
    assert quadlet(name)["Restart"] == ["always"]


def test_chart_and_images_have_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((ROOT / "deploy/chart/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert {container(name)["image"].rpartition(":")[2] for name in FILES} == {version}
