"""The API's Node beside a Node manifest of the user's files: the file wins for what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.intent.documents import ManifestError
from controller.intent.loader import load
from controller.intent.node import NODE_INDEX, Node, NodeOverrides, annotated
from controller.intent.schema import OUR_GROUP
from controller.kubernetes.mirror import manifests

API: dict[str, Any] = {
    "metadata": {
        "name": "node-1",
        "annotations": {NODE_INDEX: "3"},
        "labels": {"rack": "a", "zone": "z"},
    }
}


def chosen(tmp_path: Path, *files: object, api: Any = API, **overrides: Any) -> Node:  # noqa: ANN401
    """Return the node of these files and of the API's Node, as the controller reads them."""
    mirror = tmp_path / "mirror"
    for directory in (tmp_path / "config", mirror):
        directory.mkdir(exist_ok=True)
    for number, content in enumerate(files):
        (tmp_path / "config" / f"{number}.json").write_text(json.dumps(content))
    for name, text in manifests({}, api, tmp_path).items():
        (mirror / name).write_text(text)
    return load([tmp_path / "config", mirror], NodeOverrides(**overrides)).node


def ours(name: str | None = "node-1", **spec: object) -> object:
    metadata = {"name": name} if name else {}
    return {"apiVersion": OUR_GROUP, "kind": "Node", "metadata": metadata, "spec": spec}


def test_without_a_file_the_api_says_it_all(tmp_path: Path) -> None:
    node = chosen(tmp_path)
    assert (node.index, node.name, node.labels) == (3, "node-1", {"rack": "a", "zone": "z"})


@pytest.mark.parametrize("name", ["node-1", None])
def test_a_file_wins_for_what_it_says(tmp_path: Path, name: str | None) -> None:
    spec = {"nodeIndex": 7, "labels": {"rack": "b"}, "namespaces": {"forwarding": "fwd"}}
    node = chosen(tmp_path, ours(name, **spec))
    assert (node.index, node.name) == (7, "node-1")
    assert node.labels == {"rack": "b", "zone": "z"}
    assert node.namespaces.forwarding == "fwd"


def test_the_api_adds_the_number_that_a_file_leaves_out(tmp_path: Path) -> None:
    node = chosen(tmp_path, ours(namespaces={"control": "frr"}))
    assert (node.index, node.namespaces.control) == (3, "frr")


def test_a_file_s_number_0_is_a_number(tmp_path: Path) -> None:
    assert chosen(tmp_path, {"nodeIndex": 0}).index == 0


def test_openperouters_node_config_is_such_a_file(tmp_path: Path) -> None:
    assert chosen(tmp_path, {"nodeIndex": 9, "logLevel": "debug"}).index == 9


def test_the_command_line_wins_over_both(tmp_path: Path) -> None:
    assert chosen(tmp_path, ours(nodeIndex=7), index=5).index == 5


def test_a_node_without_the_annotation_takes_the_number_of_the_file(tmp_path: Path) -> None:
    assert chosen(tmp_path, ours(nodeIndex=7), api={"metadata": {"name": "node-1"}}).index == 7


def test_of_several_nodes_in_the_files_the_api_s_name_picks_one(tmp_path: Path) -> None:
    files = ours("node-0", nodeIndex=10), ours("node-1", nodeIndex=11)
    assert chosen(tmp_path, *files).index == 11


def test_a_file_about_another_node_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"the API's Node is called node-1, .* pe1: rename it"):
        chosen(tmp_path, ours("pe1", nodeIndex=7))


def test_two_files_about_the_same_node_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="several nodes"):
        chosen(tmp_path, ours(nodeIndex=7), ours(nodeIndex=8))


def test_nodes_of_kubernetes_are_manifests_and_a_name_picks_one(tmp_path: Path) -> None:
    items = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"rack": name}}}
        for name in ("a", "b")
    ]
    (tmp_path / "nodes.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    assert load([tmp_path], NodeOverrides("b")).node.labels == {"rack": "b"}
    with pytest.raises(ManifestError, match="several nodes"):
        load([tmp_path])


@pytest.mark.parametrize(
    "metadata", [{}, {"name": 5}, {"name": "a", "labels": ["x"]}, {"name": "a", "annotations": "x"}]
)
def test_a_node_of_kubernetes_that_makes_no_sense_is_refused(
    tmp_path: Path, metadata: object
) -> None:
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
    (tmp_path / "node.json").write_text(json.dumps(manifest))
    with pytest.raises(ManifestError):
        load([tmp_path])


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "\u0663", "9" * 11, "4294967296", 7, None])
def test_an_annotation_that_is_no_number_is_none(text: object) -> None:
    assert annotated({NODE_INDEX: text}) is None
