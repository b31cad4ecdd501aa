"""Which number each Node gets: its annotation `openpe.io/nodeindex`. Pure.

A node's addresses derive from its number, so an existing number stays. The rules are those of
OpenPERouter's nodemarker: the lowest free number; an invalid value is replaced; of two Nodes with
one number the older keeps it.

    a: 0    b: "x"    c: 0 (younger than a)    d: 3    e: none
    b gets 1, c gets 2, e gets 4
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from controller.intent.node import NODE_INDEX
from controller.kubernetes.mirror import node_index
from controller.kubernetes.objects import Object


def numbers(nodes: Iterable[Object]) -> dict[str, int]:
    """Return the number that each Node keeps."""
    taken: dict[int, str] = {}
    for node in sorted(nodes, key=_age):
        if (index := node_index(node)) is not None:
            taken.setdefault(index, node["metadata"]["name"])
    return {name: index for index, name in taken.items()}


def missing(nodes: Iterable[Object]) -> Iterator[tuple[Object, int]]:
    """Yield each Node that needs another number, with that number; the oldest Node first."""
    found = sorted(nodes, key=_age)
    kept = numbers(found)
    taken = set(kept.values())
    free = (number for number in count() if number not in taken)
    for node in found:
        if node["metadata"]["name"] not in kept:
            yield node, next(free)


def why(node: Object) -> str:
    """Return why a Node gets a new number, for a log line."""
    has = (node["metadata"].get("annotations") or {}).get(NODE_INDEX)
    if has is None:
        return "it had none"
    if node_index(node) is None:
        return f"{str(has)[:40]!r} is not a number"
    return f"another Node has {str(has)[:40]}"


def patch(node: Object, index: int) -> Object:
    """Return the merge patch with a Node's number; it fails if the Node changed meanwhile."""
    version = node["metadata"].get("resourceVersion")
    return {"metadata": {"resourceVersion": version, "annotations": {NODE_INDEX: str(index)}}}


def _age(node: Object) -> tuple[str, str]:
    metadata = node["metadata"]
    return str(metadata.get("creationTimestamp") or "~"), metadata["name"]  # "~": the youngest
