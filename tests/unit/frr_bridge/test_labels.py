"""MPLS label bindings as they are shown."""

from __future__ import annotations

from dataclasses import replace

from dualpath.model.layer2 import Lsp
from frr_bridge.wire.lsp import LspMessage, LspNexthop
from tests.fakes import shadow
from tests.unit.frr_bridge.test_bridge import World, world

SWAP = LspMessage(False, 16, 186, (LspNexthop(bytes([10, 0, 0, 1]), shadow.ETH1, (100, 200)),))
POP = LspMessage(False, 17, 186, (LspNexthop(b"", 99, ()),))


def shown(made: World) -> list[Lsp]:
    return [r for r in made.flush().bus.records.values() if isinstance(r, Lsp)]


def test_label_binding_is_shown_with_its_device() -> None:
    made = world()
    made.bridge.receive_lsp(SWAP)
    made.bridge.receive_lsp(POP)
    assert shown(made) == [
        Lsp(16, ("via 10.0.0.1 dev eth1 label 100/200",)),
        Lsp(17, ("dev 99 label pop",)),
    ]


def test_deleted_label_binding_is_withdrawn() -> None:
    made = world()
    made.bridge.receive_lsp(SWAP)
    made.bridge.receive_lsp(replace(SWAP, deleted=True))
    assert shown(made) == []
