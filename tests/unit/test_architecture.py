"""Dependencies point down: who may import whom, and what a file may look like."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("controller", "datapaths", "frr_bridge")
GENERATED = "controller.pb"

ALLOWED: dict[str, set[str]] = {
    "controller.model": set(),
    "controller.pb": set(),
    "controller.wire": {"controller.model", "controller.pb"},  # for the bus and for gRPC
    "controller.rpc": {"controller.lifetime"},  # where gRPC listens and connects, north and south
    "controller.bus": {
        "controller.model",
        "controller.pb",
        "controller.rpc.socketname",
        "controller.wire",
    },
    "controller.core": {"controller.model", "datapaths.base"},
    "controller.intent": {"controller.model"},
    "controller.inspect": {
        "controller.model",
        "controller.pb",
        "controller.rpc",
        "datapaths.base",
    },
    "controller.cli": {"controller.model", "controller.options", "controller.pb", "controller.rpc"},
    "controller.cli.conformance": {  # asks a datapath, not the daemon
        "controller.cli",
        "controller.rpc",
        "datapaths.base",
        "datapaths.conformance",
    },
    "controller.cli.down": {  # the machine, not the daemon
        "controller.cli",
        "controller.footprint",
        "controller.lock",
        "controller.options",
        "controller.supervisor",
        "controller.teardown",
        "controller.trial",
    },
    "controller.footprint": {"controller.provision", "datapaths.linux"},
    "controller.teardown": {"controller.footprint", "controller.model", "datapaths"},
    "controller.cli.confirm": {  # a file beside the daemon, which may be dead
        "controller.cli",
        "controller.kept",
        "controller.options",
        "controller.trial",
    },
    "controller.trial": {"controller.lock"},
    "controller.rollback": {
        "controller.footprint",
        "controller.supervisor",
        "controller.teardown",
        "controller.trial",
        "datapaths.linux",
        "controller.kept",
    },
    "controller.watchdog": {
        "controller.lock",
        "controller.logs",
        "controller.options",
        "controller.rollback",
        "controller.trial",
    },
    "controller.confirmation": {
        "controller.intent",
        "controller.manifests",
        "controller.options",
        "controller.settings",
        "controller.trial",
        "controller.watchdog",
        "datapaths.linux",
        "controller.kept",
    },
    "controller.cli.manifests": {
        "controller.cli",
        "controller.options",
        "controller.intent",
        "controller.model",
        "controller.numbering",
        "controller.pb",
        "frr_bridge.frr_config",
    },
    "controller.metrics": {"controller.model", "controller.rpc", "datapaths.base"},
    "controller.settings": {"controller.logs", "controller.options", "controller.rpc"},
    "controller.lifetime": {"controller.logs"},
    "controller.lock": set(),
    "controller.options": set(),
    "controller.logs": {"controller.model"},
    "controller.supervisor": {"controller.settings"},
    "controller.configure": {"controller.model"},
    "controller.parting": {"controller.model", "datapaths.base", "datapaths.linux"},
    "controller.provision": {
        "controller.configure",
        "controller.parting",
        "controller.core",
        "controller.intent",
        "controller.model",
        "datapaths.base",
        "datapaths.linux",
    },
    "controller.numbering": {"controller.intent", "controller.options", "datapaths.linux"},
    "controller.namespaces": {"controller.provision", "datapaths.base", "datapaths.linux"},
    "controller.kept": {"controller.intent"},
    "controller.manifests": {
        "controller.intent",
        "controller.kept",
        "controller.logs",
        "controller.model",
        "controller.numbering",
        "controller.provision",
        "controller.settings",
    },
    "controller.checks": {
        "controller.intent",
        "controller.manifests",
        "controller.options",
        "controller.provision",
        "controller.rpc",
        "controller.settings",
        "controller.supervisor",
        "datapaths.linux",
    },
    "controller.dryrun": {
        "controller",
        "datapaths.base",
        "datapaths.kernel",
        "datapaths.linux",
        "frr_bridge",
    },
    "controller.backends": {"controller", "datapaths"},  # the one list of datapaths
    "controller.statedir": {"controller.rpc"},
    "controller.daemon": {"controller", "datapaths.base"},
    "controller.__main__": {"controller", "datapaths"},
    "datapaths.base": {"controller.model"},
    "datapaths.inbox": {"controller.model", "datapaths.base"},  # what is told, for every driver
    "datapaths.memory": {"controller.model", "datapaths.base", "datapaths.inbox"},
    "datapaths.linux": {"controller.model", "datapaths.base"},  # namespaces, devices, twins
    "datapaths.kernel": {
        "controller.model",
        "datapaths.base",
        "datapaths.inbox",
        "datapaths.linux",
    },
    "datapaths.remote": {
        "controller.logs",
        "controller.model",
        "controller.options",
        "controller.pb",
        "controller.rpc",
        "controller.wire",
        "datapaths.base",
    },
    "datapaths.remote.process": {  # what every server of a datapath runs in
        "controller.lifetime",
        "controller.logs",
        "controller.options",
        "controller.rpc",
        "datapaths",
    },
    "datapaths.remote.serve": {"controller.options", "datapaths"},  # a composition root
    "datapaths.conformance": {
        "controller.model",
        "controller.rpc",
        "datapaths.base",
        "datapaths.remote",
    },
    "datapaths.grout": {  # kernel devices stand behind grout's ports, and twins beside them
        "controller.model",
        "datapaths.base",
        "datapaths.inbox",
        "datapaths.linux",
    },
    "datapaths.grout.agent": {  # a composition root
        "controller.lifetime",
        "controller.options",
        "datapaths.base",
        "datapaths.grout",
        "datapaths.linux",
        "datapaths.remote",
    },
    "frr_bridge": {
        "controller.bus",
        "controller.lifetime",
        "controller.model",
        "controller.rpc.peers",
    },
    "frr_bridge.frr_exec": {  # a composition root
        "controller.options",
        "datapaths.linux.idmap",
        "datapaths.linux.netns",
        "frr_bridge.rights",
    },
    "frr_bridge.wire": {"controller.model", "frr_bridge.errors"},
    "frr_bridge.__main__": {
        "controller.lifetime",
        "controller.logs",
        "controller.lock",
        "controller.options",
        "datapaths.linux.netns",
        "frr_bridge",
    },
}
"""What a part may import beside itself; of several rows the longest that fits counts."""

DRIVERS = ("datapaths.kernel", "datapaths.grout")
COMPOSITION = (
    "controller.__main__",
    "controller.backends",
    "controller.daemon",
    "controller.dryrun.devices",
    "controller.footprint",
    "controller.namespaces",
    "controller.numbering",
    "controller.parting",
    "controller.provision",
    "controller.teardown",
    "datapaths.remote.serve",
)

PURE = (
    *(f"frr_bridge.{name}" for name in ("bridge", "convergence", "handles", "overlay")),
    *(f"frr_bridge.{name}" for name in ("records", "rib", "session")),
    *(f"controller.core.{name}" for name in ("hosts", "nexthop_ids", "records", "rib", "state")),
    "controller.bus.wire",
    "controller.intent",
)
IO = {"asyncio", "selectors", "socket", "subprocess", "threading", "zmq"}

FORBIDDEN_NAMES = {"proto", "utils", "helpers", "common", "manager"}
MAX_LINES = 500


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(p): p for top in PRODUCT for p in sorted((ROOT / top).rglob("*.py"))}
TESTS = {name_of(p): p for p in sorted((ROOT / "tests").rglob("*.py"))}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text())


@cache
def imports(module: str) -> frozenset[str]:
    """Return every module that one imports, wherever in the file."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            assert node.module
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in FILES else node.module


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def row_of(module: str) -> str:
    """Return the part to which a module belongs, "" for a package's own __init__."""
    return max((part for part in ALLOWED if within(module, part)), key=len, default="")


def own(module: str) -> set[str]:
    return {found for found in imports(module) if found.split(".")[0] in PRODUCT}


@pytest.mark.parametrize("part", ["", *ALLOWED])
def test_a_part_imports_only_from_below(part: str) -> None:
    allowed = ALLOWED[part] | {part} if part else set()
    above = {
        f"{module} imports {found}"
        for module in FILES
        if row_of(module) == part
        for found in own(module)
        if not any(within(found, permitted) for permitted in allowed)
    }
    assert not above


def test_only_the_composition_knows_drivers() -> None:
    knowing = {
        (module, found)
        for module in FILES
        if module not in COMPOSITION and not any(within(module, d) for d in DRIVERS)
        for found in own(module)
        if any(within(found, driver) for driver in DRIVERS)
    }
    assert knowing <= {("frr_bridge.__main__", "datapaths.linux.netns")}


def test_the_product_imports_no_tests() -> None:
    assert not [m for m in FILES if any(within(found, "tests") for found in imports(m))]


def test_a_wire_module_cannot_do_io() -> None:
    wires = [module for module in FILES if "wire" in module.split(".")]
    assert wires
    for module in wires:
        roots = {found.split(".")[0] for found in imports(module)}
        assert not roots & {"asyncio", "logging", "subprocess", "zmq"}, module
        used = [
            node.attr
            for node in ast.walk(tree(module))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "socket"
        ]
        assert all(name.startswith("AF_") for name in used), module


def test_decisions_and_state_cannot_do_io() -> None:
    pure = [module for module in FILES if any(within(module, part) for part in PURE)]
    assert len(pure) >= len(PURE)
    for module in pure:
        assert not {found.split(".")[0] for found in imports(module)} & IO, module


def test_a_file_fits_in_a_head() -> None:
    long = {
        name
        for name, path in (FILES | TESTS).items()
        if not within(name, GENERATED) and len(path.read_text().splitlines()) > MAX_LINES
    }
    assert not long


def test_names_say_one_thing() -> None:
    assert not {module for module in FILES if FORBIDDEN_NAMES & set(module.split("."))}


def test_contracts_hold_no_python() -> None:
    assert not list((ROOT / "proto").rglob("*.py"))
