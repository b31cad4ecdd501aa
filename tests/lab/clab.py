"""Reads topology files of containerlab, as far as those of labs/ go. Pure, but for reading files.

containerlab ignores much of what is wrong in a file, and notices the rest when half of a lab is
running. So everything is refused here that this reader does not know: one that is silent about a
key would run another lab than containerlab does.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CREATED = ("linux",)
"""Kinds of nodes that are containers of an image."""

CLUSTER, ELSEWHERE = "k8s-kind", "ext-container"
"""A cluster of kind, and a container that somebody else makes: a node of that cluster."""

KEYS: Mapping[str, frozenset[str]] = {
    "linux": frozenset(
        ("kind", "image", "image-pull-policy", "entrypoint", "cmd", "binds", "exec", "env")
    ),
    CLUSTER: frozenset(("kind", "image", "startup-config")),
    ELSEWHERE: frozenset(("kind", "exec")),
}
"""What a node of a kind may have. The manual of containerlab explains each."""

LONGEST_INTERFACE = 15  # IFNAMSIZ less the NUL
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]+")


class ClabError(Exception):
    """A topology that does not work; the text has a line for each reason."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of ours in a container."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A node, with what its kind gives it."""

    name: str
    kind: str
    image: str = ""
    command: tuple[str, ...] = ()  # entrypoint and cmd; empty: the image's own
    binds: tuple[Bind, ...] = ()
    exec: tuple[tuple[str, ...], ...] = ()  # without a shell, once all links are there
    env: tuple[tuple[str, str], ...] = ()
    startup_config: Path | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a link."""

    node: str
    interface: str

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}"


@dataclass(frozen=True, slots=True)
class Topology:
    """A lab: its nodes, and the cables between them."""

    name: str
    nodes: tuple[Node, ...]
    links: tuple[tuple[Endpoint, Endpoint], ...]


def read(path: Path) -> Topology:
    """Return a topology. Raises ClabError with all that is wrong."""
    reader = _Reader(path.parent)
    found = reader.topology(yaml.safe_load(path.read_text()))
    problems = [*reader.problems, *_endpoints(found)]
    if problems:
        raise ClabError("\n".join(f"{path.name}: {problem}" for problem in problems))
    return found


class _Reader:
    """Turns YAML into a topology, and notes what is wrong on the way."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.problems: list[str] = []

    def topology(self, document: object) -> Topology:
        top = self._keys("the file", document, {"name", "topology", "mgmt"})
        body = self._keys("topology", top.get("topology"), {"kinds", "nodes", "links"})
        kinds = self._keys("kinds", body.get("kinds", {}), KEYS)
        nodes = self._keys("nodes", body.get("nodes"))
        return Topology(
            str(top.get("name", "")),
            tuple(self._node(name, node, kinds) for name, node in nodes.items()),
            tuple(self._links(body.get("links", []))),
        )

    def _node(self, name: str, given: object, kinds: Mapping[str, Any]) -> Node:
        if not _NAME.fullmatch(name):
            self.problems.append(f"node {name}: a container cannot be called that")
        own = self._keys(f"node {name}", given)
        kind = str(own.get("kind"))
        if kind not in KEYS:
            self.problems.append(f"node {name}: kind {kind} is none of {', '.join(KEYS)}")
            return Node(name, kind)
        common = self._keys(f"kind {kind}", kinds.get(kind, {}), KEYS[kind])
        self._keys(f"node {name}", own, KEYS[kind])
        words = {key: own.get(key, common.get(key, "")) for key in ("entrypoint", "cmd")}
        image = str(own.get("image", common.get("image", "")))
        if kind in CREATED and not image:
            self.problems.append(f"node {name}: no image")
        lists = {key: [*common.get(key, []), *own.get(key, [])] for key in ("binds", "exec")}
        environment = {**common.get("env", {}), **own.get("env", {})}
        return Node(
            name,
            kind,
            image,
            tuple(word for text in words.values() for word in shlex.split(str(text))),
            tuple(self._bind(name, str(bind)) for bind in lists["binds"]),
            tuple(tuple(shlex.split(str(line))) for line in lists["exec"]),
            tuple((key, str(value)) for key, value in sorted(environment.items())),
            self._file(name, str(own["startup-config"])) if "startup-config" in own else None,
        )

    def _bind(self, name: str, text: str) -> Bind:
        source, _, rest = text.partition(":")
        target, _, mode = rest.partition(":")
        if not target.startswith("/") or mode not in ("", "ro", "rw"):
            self.problems.append(f"node {name}: bind {text} is not SOURCE:/TARGET[:ro]")
        return Bind(self._file(name, source), target, mode == "ro")

    def _file(self, name: str, relative: str) -> Path:
        path = self._directory / relative
        if not path.exists():
            self.problems.append(f"node {name}: no file {relative} beside the topology")
        return path

    def _links(self, links: object) -> Iterator[tuple[Endpoint, Endpoint]]:
        if not isinstance(links, list):
            self.problems.append("links: not a list")
            return
        for number, link in enumerate(links, 1):
            ends = self._keys(f"link {number}", link, {"endpoints"}).get("endpoints", [])
            if not isinstance(ends, list) or len(ends) != 2:
                self.problems.append(f"link {number}: not two endpoints")
                continue
            near, far = (Endpoint(*str(end).partition(":")[::2]) for end in ends)
            yield near, far

    def _keys(
        self, where: str, value: object, known: Iterable[str] | None = None
    ) -> Mapping[str, Any]:
        """Return a mapping; without `known` it may have any keys."""
        if not isinstance(value, dict):
            self.problems.append(f"{where}: missing, or not a mapping")
            return {}
        for key in value.keys() - set(value if known is None else known):
            self.problems.append(f"{where}: unknown key {key}")
        return {str(key): item for key, item in value.items()}


def _endpoints(topology: Topology) -> Iterator[str]:
    """Say what containerlab's own schema does not see."""
    nodes = {node.name: node for node in topology.nodes}
    ends = [end for link in topology.links for end in link]
    for end, times in Counter(ends).items():
        if end.node not in nodes:
            yield f"endpoint {end}: no node {end.node}"
        elif nodes[end.node].kind == CLUSTER:
            yield f"endpoint {end}: a cluster has no interfaces, its nodes have"
        if not _INTERFACE.fullmatch(end.interface) or len(end.interface) > LONGEST_INTERFACE:
            yield f"endpoint {end}: no name of an interface after the colon"
        if times > 1:
            yield f"endpoint {end}: used {times} times"
