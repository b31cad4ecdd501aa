"""Topologies of containerlab: those of labs/, and what is wrong in others."""

import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.images.build import TARGETS
from tests.lab import clab
from tests.lab.clab import ClabError
from tests.lab.documented import CHECKOUT

LABS = sorted((CHECKOUT / "labs").glob("*/*.clab.yml"))
VERSION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
IMAGES = {f"localhost/{name}:{VERSION}" for name, _ in TARGETS.values()}

GOOD = """
name: pair
topology:
  kinds:
    linux: {image: x, entrypoint: sleep infinity, binds: [a:/a], env: {A: 1, B: 2}}
  nodes:
    n1: {kind: linux, exec: ["ip link set 'eth1' up"]}
    n2: {kind: linux, entrypoint: run, cmd: it now, binds: ["b:/b:ro"], env: {B: 3}}
  links:
  - endpoints: ["n1:eth1", "n2:eth1"]
"""


def written(directory: Path, text: str) -> Path:
    for name in ("a", "b"):
        (directory / name).touch()
    path = directory / "x.clab.yml"
    path.write_text(text)
    return path


def test_node_has_what_its_kind_gives_it(tmp_path: Path) -> None:
    topology = clab.read(written(tmp_path, GOOD))
    n1, n2 = topology.nodes
    assert n1.image == n2.image == "x"
    assert (n1.command, n2.command) == (("sleep", "infinity"), ("run", "it", "now"))
    assert n1.exec == (("ip", "link", "set", "eth1", "up"),)
    assert [(bind.source.name, bind.target, bind.read_only) for bind in n2.binds] == [
        ("a", "/a", False),
        ("b", "/b", True),
    ]
    assert n2.env == (("A", "1"), ("B", "3"))
    assert [[str(end) for end in link] for link in topology.links] == [["n1:eth1", "n2:eth1"]]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("n2:eth1", "n3:eth1", "endpoint n3:eth1: no node n3"),
        ("n2:eth1", "n1:eth1", "endpoint n1:eth1: used 2 times"),
        ("n2:eth1", "n2-eth1", "endpoint n2-eth1:: no node n2-eth1"),
        ("n2:eth1", "n2:", "endpoint n2:: no name of an interface after the colon"),
        ("n2:eth1", "n2:an-interface-16ch", "no name of an interface after the colon"),
        (', "n2:eth1"', "", "link 1: not two endpoints"),
        ("b:/b", "c:/b", "node n2: no file c beside the topology"),
        ("b:/b:ro", "b:b", "node n2: bind b:b is not SOURCE:/TARGET[:ro]"),
        ("b:/b:ro", "b:/b:no", "node n2: bind b:/b:no is not SOURCE:/TARGET[:ro]"),
        ("cmd: it", "comand: it", "node n2: unknown key comand"),
        ("n1: {kind: linux", "n1: {kind: srl", "node n1: kind srl is none of linux"),
        ("image: x, ", "", "node n1: no image"),
        ("    n1:", "    n_1:", "node n_1: a container cannot be called that"),
        ("name: pair", "names: pair", "the file: unknown key names"),
        ("  links:\n", "  links: 1\n  kinks:\n", "topology: unknown key kinks"),
    ],
)
def test_what_does_not_work_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(ClabError) as caught:
        clab.read(written(tmp_path, GOOD.replace(old, new, 1)))
    assert problem in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("n2:eth1", "n3:eth1").replace("b:/b", "c:/b")
    with pytest.raises(ClabError) as caught:
        clab.read(written(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "[]", "name: x", "name: x\ntopology: {nodes: []}"])
def test_other_files_are_no_topologies(tmp_path: Path, text: str) -> None:
    with pytest.raises(ClabError):
        clab.read(written(tmp_path, text))


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.name)
def test_topology_of_labs_works_with_the_images_of_make_images(path: Path) -> None:
    topology = clab.read(path)
    images = {node.image for node in topology.nodes if node.kind in clab.CREATED}
    assert images <= IMAGES
    common = yaml.safe_load(path.read_text())["topology"]["kinds"]["linux"]
    assert common["image-pull-policy"] == "Never", "no registry has these images"
    for node in topology.nodes:
        for bind in node.binds:
            assert bind.read_only, f"{node.name} could write to the checkout: {bind}"


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.name)
def test_script_of_a_node_is_bound_and_executable(path: Path) -> None:
    for node in clab.read(path).nodes:
        for bind in node.binds:
            if bind.target.startswith("/usr/local/"):
                assert bind.source.stat().st_mode & 0o111, bind.source
                assert bind.target.endswith(f"/{node.command[0]}"), shlex.join(node.command)
