"""The node for which intent is compiled: its number, labels and namespaces. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from controller.intent.addresses import Prefix
from controller.intent.fields import Forwarder, InterfaceName, Namespace, or_none
from controller.intent.numbering import HIGHEST, Addresses, IndexSource, no_addresses, number
from controller.intent.rules import Complaint, Strict, rule

HOSTNAME_LABEL = "kubernetes.io/hostname"
NODE_INDEX = "openpe.io/nodeindex"
"""The annotation of a Node that has its number, decimal; OpenPERouter's nodemarker writes it."""
REVISION = "dualpath.io/revision"
"""The annotation of a Node that has the revision of objects that it may take: see `rollouts`."""
LONGEST_REVISION = 64

LogLevel = Literal["debug", "info", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Network namespaces by name or path; "" means the one of the command line, or our own."""

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
    datapath: Forwarder | None = None  # that shall forward; None: the Underlay's
    source: IndexSource | None = None  # the interface whose address gives the index, if any
    numbered: bool = field(default=False, compare=False)  # it has an index or a source
    of_api: bool = field(default=False, compare=False)  # it is a Node of Kubernetes itself
    revision: str = field(default="", compare=False)  # of the API's objects for this node

    @property
    def selectable(self) -> Mapping[str, str]:
        """Return the labels that a node selector is compared with."""
        return {HOSTNAME_LABEL: self.name, **self.labels} if self.name else self.labels


class NamespacesSpec(Strict):
    forwarding: Namespace = ""
    control: Namespace = ""
    host: Namespace = ""


class Index(Strict):
    """OpenPERouter's union: a number, or the interface whose address gives the number."""

    index: Any = 0
    interface_name: Annotated[InterfaceName | None, BeforeValidator(or_none)] = None
    cidr: Annotated[Prefix | None, BeforeValidator(or_none)] = None

    @rule
    def _it_is_a_number(self) -> Iterator[Complaint]:
        if type(self.index) is not int or not 0 <= self.index <= HIGHEST:
            yield Complaint((), f"must be a whole number from 0 to {HIGHEST}")

    @rule
    def _one_of_both(self) -> Iterator[Complaint]:
        if self.index and self.interface_name:
            text = "`index` and `interfaceName` are mutually exclusive"
            yield Complaint(("interfaceName",), text)

    @rule
    def _a_cidr_is_of_an_interface(self) -> Iterator[Complaint]:
        if self.cidr and not self.interface_name:
            yield Complaint(("cidr",), "`cidr` needs an `interfaceName`")

    @property
    def source(self) -> IndexSource | None:
        return IndexSource(self.interface_name, self.cidr) if self.interface_name else None


def _index(value: object) -> object:
    """Convert a plain number into the union; without one, the number is 0."""
    return value if isinstance(value, dict) else {} if value is None else {"index": value}


class NodeSpec(Strict):
    """`spec` of our kind Node, and the whole of OpenPERouter's node-config.yaml."""

    node_index: Annotated[Index, BeforeValidator(_index)] = Index()
    node_index_interface_name: Annotated[InterfaceName | None, BeforeValidator(or_none)] = None
    """An older form of `nodeIndex.interfaceName`."""
    node_name: str = ""
    log_level: LogLevel = "info"
    labels: dict[str, str] = Field(default_factory=dict)
    namespaces: NamespacesSpec = NamespacesSpec()
    datapath: Forwarder | None = None

    @rule
    def _one_number(self) -> Iterator[Complaint]:
        if self.node_index_interface_name and (self.node_index.index or self.node_index.source):
            text = "`nodeIndex` and `nodeIndexInterfaceName` are mutually exclusive"
            yield Complaint(("nodeIndexInterfaceName",), text)

    def node(self, name: str) -> Node:
        older = self.node_index_interface_name
        return Node(
            numbered=bool(self.model_fields_set & {"node_index", "node_index_interface_name"}),
            index=self.node_index.index,
            source=IndexSource(older) if older else self.node_index.source,
            name=self.node_name or name,
            labels=self.labels,
            log_level=self.log_level,
            namespaces=Namespaces(**self.namespaces.model_dump()),
            datapath=self.datapath,
        )


@dataclass(frozen=True, slots=True)
class NodeOverrides:
    """The options of the command line about the node; they override the files."""

    name: str | None = None
    index: int | None = None


NO_OVERRIDES = NodeOverrides()


def api_node(metadata: Mapping[str, object]) -> Node:
    """Return the node that an object of Kubernetes describes. Raises ValueError.

    It has a name, labels, and maybe the annotation with its number.
    """
    name, labels = metadata.get("name"), metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    if not isinstance(name, str) or not name:
        raise ValueError("a Node of Kubernetes has a name")
    if not isinstance(labels, dict) or not isinstance(annotations, dict):
        raise ValueError("labels and annotations are mappings")
    index = annotated(annotations)
    return Node(
        index=index or 0,
        name=name,
        labels={str(key): str(value) for key, value in labels.items()},
        numbered=index is not None,
        of_api=True,
        revision=permitted_revision(annotations),
    )


def annotated(annotations: Mapping[str, object]) -> int | None:
    """Return the number in a Node's annotations, None if it has none or not a number."""
    text = annotations.get(NODE_INDEX)
    plain = isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 10
    return int(str(text)) if plain and int(str(text)) <= HIGHEST else None


def permitted_revision(annotations: Mapping[str, object]) -> str:
    """Return the revision in a Node's annotations, "" if it has none."""
    text = annotations.get(REVISION)
    return text if isinstance(text, str) and len(text) <= LONGEST_REVISION else ""


class Unnumbered(ValueError):
    """The number of `node` cannot be read from its interface."""

    def __init__(self, node: Node, why: str) -> None:
        super().__init__(f"{why}; write `nodeIndex: {{index: N}}` or give --node-index N")
        self.node = node


Look = Callable[[Namespaces], Addresses]
"""Reads the addresses of a node's interfaces, given its namespaces."""


def nowhere(_namespaces: Namespaces) -> Addresses:
    return no_addresses


def choose(nodes: Sequence[Node], overrides: NodeOverrides, look: Look) -> Node:
    """Return this node from among those that the files describe. Raises ValueError.

    The API's Node adds fields that the user's files leave out: number, name, further labels.
    """
    api = _described([node for node in nodes if node.of_api], overrides, is_known=False)
    files = [node for node in nodes if not node.of_api]
    name = api.name if overrides.name is None and api.of_api else overrides.name
    found = _described(files, replace(overrides, name=name), is_known=api.of_api)
    numbered = found if found.numbered else api
    return Node(
        index=_number(numbered, look) if overrides.index is None else overrides.index,
        name=found.name if name is None else name,
        labels={**api.labels, **found.labels},
        log_level=found.log_level,
        namespaces=found.namespaces,
        datapath=found.datapath,
        numbered=numbered.numbered or overrides.index is not None,
        revision=api.revision,
    )


def _number(node: Node, look: Look) -> int:
    if node.source is None:
        return node.index
    try:
        return number(node.source, look(node.namespaces))
    except ValueError as error:
        raise Unnumbered(node, str(error)) from None


def _described(nodes: Sequence[Node], overrides: NodeOverrides, *, is_known: bool) -> Node:
    candidates = nodes
    if overrides.name is not None:
        named = [node for node in nodes if node.name == overrides.name]
        candidates = named or [node for node in nodes if not node.name]
        if nodes and not candidates and overrides.index is None:
            raise ValueError(_unknown(overrides.name, nodes, is_known=is_known))
    if len(candidates) > 1:
        names = _names(candidates)
        raise ValueError(f"the manifests describe several nodes ({names}); say which one this is")
    return candidates[0] if candidates else Node()


def _unknown(name: str, nodes: Sequence[Node], *, is_known: bool) -> str:
    if is_known:
        return (
            f"the API's Node is called {name}, but the manifests have {_names(nodes)}: "
            "rename it, or leave its name out"
        )
    return (
        f"the manifests have no Node called {name}, but {_names(nodes)}; "
        "give one of these as --node-name, or --node-index as well"
    )


def _names(nodes: Sequence[Node]) -> str:
    return ", ".join(sorted(node.name or "one without a name" for node in nodes))
