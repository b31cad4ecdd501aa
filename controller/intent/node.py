"""The node for which intent is compiled: its number, its labels, its namespaces. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from controller.intent.fields import Namespace, number
from controller.intent.rules import Strict, refusal

HOSTNAME_LABEL = "kubernetes.io/hostname"

LogLevel = Literal["debug", "info", "warn", "error"]
NodeIndex = Annotated[int, number(0, 0xFFFF_FFFF)]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Network namespaces by name or path; "" is not said: what the daemon was told or its own."""

    forwarding: str = ""
    control: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `index` makes its addresses differ from those of every other node."""

    index: int = 0
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    log_level: LogLevel = "info"
    namespaces: Namespaces = Namespaces()
    numbered: bool = True  # False: its index is to come from an interface, which we cannot do

    @property
    def selectable(self) -> Mapping[str, str]:
        """The labels that a node selector sees."""
        return {HOSTNAME_LABEL: self.name, **self.labels} if self.name else self.labels


class NamespacesSpec(Strict):
    forwarding: Namespace = ""
    control: Namespace = ""
    host: Namespace = ""


def _index(value: object) -> object:
    """Read OpenPERouter's union; None is a number taken from an interface."""
    if isinstance(value, dict):
        if value.keys() == {"index"}:
            return value["index"]
        if "interfaceName" in value and value.keys() <= {"interfaceName", "cidr"}:
            return None
        raise refusal("nodeIndex is a number, or has an `index`")
    return 0 if value is None else value


class NodeSpec(Strict):
    """`spec` of our kind Node, and the whole of OpenPERouter's node-config.yaml."""

    node_index: Annotated[NodeIndex | None, BeforeValidator(_index)] = 0
    node_index_interface_name: str = ""
    """An older form of `nodeIndex.interfaceName`."""
    node_name: str = ""
    log_level: LogLevel = "info"
    labels: dict[str, str] = Field(default_factory=dict)
    namespaces: NamespacesSpec = NamespacesSpec()

    def node(self, name: str) -> Node:
        return Node(
            index=self.node_index or 0,
            numbered=self.node_index is not None and not self.node_index_interface_name,
            name=self.node_name or name,
            labels=self.labels,
            log_level=self.log_level,
            namespaces=Namespaces(**self.namespaces.model_dump()),
        )


@dataclass(frozen=True, slots=True)
class NodeOverrides:
    """What the command line says of the node; it wins over the files."""

    name: str | None = None
    index: int | None = None


NO_OVERRIDES = NodeOverrides()


_UNNUMBERED = (
    "a nodeIndex taken from an interface is not supported yet; write `nodeIndex: {index: N}` or "
    "give --node-index N"
)


def choose(nodes: Sequence[Node], overrides: NodeOverrides) -> Node:
    """Return the node to be, from those that the files describe. Raises ValueError."""
    found = _described(nodes, overrides)
    if overrides.index is None and not found.numbered:
        raise ValueError(_UNNUMBERED)
    return Node(
        index=found.index if overrides.index is None else overrides.index,
        name=found.name if overrides.name is None else overrides.name,
        labels=found.labels,
        log_level=found.log_level,
        namespaces=found.namespaces,
    )


def _described(nodes: Sequence[Node], overrides: NodeOverrides) -> Node:
    candidates = nodes
    if overrides.name is not None:
        named = [node for node in nodes if node.name == overrides.name]
        candidates = named or [node for node in nodes if not node.name]
        if nodes and not candidates and overrides.index is None:
            raise ValueError(_unknown(overrides.name, nodes))
    if len(candidates) > 1:
        names = _names(candidates)
        raise ValueError(f"the manifests describe several nodes ({names}); say which one this is")
    return candidates[0] if candidates else Node()


def _unknown(name: str, nodes: Sequence[Node]) -> str:
    return (
        f"no Node of the manifests is called {name}, but {_names(nodes)}; "
        "give one of these as --node-name, or --node-index as well"
    )


def _names(nodes: Sequence[Node]) -> str:
    return ", ".join(sorted(node.name or "one without a name" for node in nodes))
