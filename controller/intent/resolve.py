"""Selects the resources for this node, sorted by kind. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from controller.intent.fields import Spec
from controller.intent.node import Node
from controller.intent.overlay import L2Vni, L3Passthrough, L3Vni, RawFrrConfig
from controller.intent.schema import Resource
from controller.intent.underlay import Underlay

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Selection:
    """Resources of one node, in the order of the files."""

    underlays: tuple[Resource[Underlay], ...] = ()
    l3vnis: tuple[Resource[L3Vni], ...] = ()
    l2vnis: tuple[Resource[L2Vni], ...] = ()
    passthroughs: tuple[Resource[L3Passthrough], ...] = ()
    raws: tuple[Resource[RawFrrConfig], ...] = ()  # by priority, then in the order of the files


def select(resources: Iterable[Resource[Spec]], node: Node) -> Selection:
    """Return the resources whose node selector matches."""
    mine = [r for r in resources if r.spec.node_selector.matches(node.selectable)]
    return Selection(
        underlays=_of(mine, Underlay),
        l3vnis=_of(mine, L3Vni),
        l2vnis=_of(mine, L2Vni),
        passthroughs=_of(mine, L3Passthrough),
        raws=tuple(sorted(_of(mine, RawFrrConfig), key=lambda r: r.spec.priority)),
    )


def _of(resources: Iterable[Resource[Spec]], kind: type[S]) -> tuple[Resource[S], ...]:
    return tuple(
        Resource(r.kind, r.name, r.spec, r.source, origin=r.origin, namespace=r.namespace)
        for r in resources
        if isinstance(r.spec, kind)
    )
