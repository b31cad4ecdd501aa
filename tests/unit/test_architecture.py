"""Dependencies point down: who may import whom, and what a file may look like."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture import GENERATED, ORDER, ROOT, Source, main, rank, within

SOURCE = Source(ROOT, ORDER)
FILES = SOURCE.files
TESTS = Source(ROOT, ("tests",)).files

ALLOWED: dict[str, set[str]] = {
    "dualpath.model": set(),
    "dualpath.pb": set(),
    "dualpath.wire": {"dualpath.model", "dualpath.pb"},  # for the bus and for gRPC
    "dualpath.netlink": {"dualpath.model"},
    "dualpath.process": {"dualpath.model"},
    "dualpath.rpc": {"dualpath.process.lifetime"},  # where gRPC listens and connects
    "dualpath.bus": {
        "dualpath.model",
        "dualpath.pb",
        "dualpath.rpc.socketname",
        "dualpath.wire",
    },
    "controller.core": {"dualpath.model", "dualpath.process.backoff", "datapaths.base"},
    "controller.intent": {"dualpath.model"},
    "controller.inspect": {"dualpath.model", "dualpath.pb", "dualpath.rpc", "datapaths.base"},
    "controller.kubernetes": {
        "controller.intent",
        "dualpath.model",
        "dualpath.process.backoff",
    },
    "controller.operator": {
        "controller.intent",
        "controller.kubernetes",
        "dualpath.model",
        "dualpath.process",
    },
    "controller.cni": {
        "dualpath.model",
        "dualpath.process",
        "datapaths.base",
        "datapaths.linux",
    },
    "controller.cri": {"dualpath.pb", "datapaths.base", "datapaths.linux"},
    "controller.metrics": {"dualpath.model", "dualpath.process", "dualpath.rpc", "datapaths.base"},
    "controller.settings": {
        "controller.cri.sandboxes",
        "controller.kubernetes",
        "controller.ui.address",
        "dualpath.process",
        "dualpath.rpc",
    },
    "controller.node": {
        "dualpath.model",
        "dualpath.process",
        "dualpath.rpc",
        "datapaths.base",
        "datapaths.linux",
        "controller.core",
        "controller.intent",
        "controller.settings",
    },
    "controller.node.teardown": {
        "dualpath.model",
        "datapaths",
        "controller.cni",
        "controller.node",
    },
    "controller.manifests": {
        "dualpath.model",
        "dualpath.process",
        "datapaths.linux",
        "controller.intent",
        "controller.node",
        "controller.settings",
    },
    "controller.start": {  # the rest: `backends` has the one list of datapaths
        "dualpath",
        "datapaths",
        "controller",
    },
    "controller.dryrun": {"dualpath", "datapaths", "controller", "frr_bridge"},
    "controller.cli": {"dualpath.model", "dualpath.process", "dualpath.pb", "dualpath.rpc"},
    "controller.cli.conformance": {  # asks a datapath, not the daemon
        "controller.cli",
        "dualpath.rpc",
        "datapaths.base",
        "datapaths.conformance",
    },
    "controller.cli.replay": {  # a file, which needs no daemon
        "controller.cli",
        "controller.replay",
        "dualpath.process",
        "frr_bridge.recording",
    },
    "controller.replay": {  # a composition root
        "controller.core",
        "datapaths",
        "dualpath.model",
        "frr_bridge.recording",
    },
    "controller.cli.down": {  # the machine, not the daemon
        "controller.cli",
        "controller.manifests.trial",
        "controller.node",
        "dualpath.process",
    },
    "controller.cli.confirm": {  # a file beside the daemon, which may be dead
        "controller.cli",
        "controller.manifests",
        "dualpath.process",
    },
    "controller.cli.compiled": {  # manifests, which need no daemon
        "controller.cli",
        "controller.intent",
        "controller.manifests.numbering",
        "dualpath.model",
        "dualpath.pb",
        "dualpath.process",
        "frr_bridge.frr_config",
    },
    "controller.cli.ui": {"controller.cli", "controller.ui", "dualpath.rpc"},
    "controller.ui": {"controller.cli", "dualpath.pb", "dualpath.process.lifetime", "dualpath.rpc"},
    "controller.cli.fleet": {  # manifests, which need no daemon
        "controller.cli",
        "controller.intent",
        "dualpath.model",
    },
    "controller.__main__": {"controller", "datapaths", "dualpath"},
    "datapaths.base": {"dualpath.model"},
    "datapaths.inbox": {"dualpath.model", "datapaths.base"},  # events, for every driver
    "datapaths.memory": {"dualpath.model", "datapaths.base", "datapaths.inbox"},
    "datapaths.linux": {  # namespaces, devices, twins
        "dualpath.model",
        "dualpath.netlink",
        "datapaths.base",
    },
    "datapaths.kernel": {
        "dualpath.model",
        "dualpath.netlink",
        "datapaths.base",
        "datapaths.inbox",
        "datapaths.linux",
    },
    "datapaths.remote": {
        "dualpath.process.backoff",
        "dualpath.process.logs",
        "dualpath.model",
        "dualpath.process.options",
        "dualpath.pb",
        "dualpath.rpc",
        "dualpath.wire",
        "datapaths.base",
    },
    "datapaths.remote.process": {  # what every server of a datapath runs in
        "dualpath.process",
        "dualpath.rpc",
        "datapaths",
    },
    "datapaths.remote.serve": {"dualpath.process.options", "datapaths"},  # a composition root
    "datapaths.conformance": {
        "dualpath.model",
        "dualpath.rpc",
        "datapaths.base",
        "datapaths.remote",
    },
    "datapaths.grout": {  # kernel devices stand behind grout's ports, and twins beside them
        "dualpath.model",
        "dualpath.process.backoff",
        "dualpath.process.ending",
        "dualpath.process.pidfd",
        "datapaths.base",
        "datapaths.inbox",
        "datapaths.linux",
    },
    "datapaths.grout.wire": {"dualpath.model", "datapaths.base"},
    "datapaths.grout.ports": {
        "dualpath.model",
        "datapaths.base",
        "datapaths.grout.channel",
        "datapaths.grout.wire",
        "datapaths.linux",
    },
    "datapaths.grout.picture": {
        "dualpath.model",
        "datapaths.base",
        "datapaths.grout.ports",
        "datapaths.grout.wire",
        "datapaths.linux",
    },
    "datapaths.grout.program": {
        "dualpath.model",
        "datapaths.base",
        "datapaths.grout.channel",
        "datapaths.grout.picture",
        "datapaths.grout.ports",
        "datapaths.grout.wire",
        "datapaths.linux",
    },
    "datapaths.grout.upkeep": {
        "dualpath.model",
        "datapaths.base",
        "datapaths.grout.channel",
        "datapaths.grout.client",
        "datapaths.grout.picture",
        "datapaths.grout.ports",
        "datapaths.grout.wire",
        "datapaths.linux",
    },
    "datapaths.grout.agent": {  # a composition root
        "dualpath.process.lifetime",
        "dualpath.process.options",
        "datapaths.base",
        "datapaths.grout",
        "datapaths.linux",
        "datapaths.remote",
    },
    "frr_bridge": {
        "dualpath.bus",
        "dualpath.netlink",
        "dualpath.process.backoff",
        "dualpath.process.frrfile",
        "dualpath.process.lifetime",
        "dualpath.model",
        "dualpath.rpc.peers",
    },
    "frr_bridge.frr_exec": {  # a composition root
        "dualpath.process.options",
        "datapaths.linux.idmap",
        "datapaths.linux.netns",
        "frr_bridge.rights",
    },
    "frr_bridge.wire": {"dualpath.model", "dualpath.netlink"},
    "frr_bridge.__main__": {
        "dualpath.process",
        "datapaths.linux.netns",
        "frr_bridge",
    },
}
"""What a part may import beside itself; of several rows the longest that fits counts."""

DRIVERS = ("datapaths.kernel", "datapaths.grout")
COMPOSITION = (
    "controller.__main__",
    "controller.start.backends",
    "controller.start.daemon",
    "controller.dryrun.devices",
    "controller.node.namespacerecord",
    "controller.replay",
    "controller.node.namespaces",
    "controller.manifests.numbering",
    "controller.node.leaving",
    "controller.node.provision",
    "controller.node.teardown",
    "datapaths.remote.serve",
)

PURE = (
    *(f"frr_bridge.{name}" for name in ("bridge", "convergence", "handles", "overlay")),
    *(f"frr_bridge.{name}" for name in ("records", "rib", "session")),
    *(f"controller.core.{name}" for name in ("hosts", "nexthop_ids", "pending", "records", "rib")),
    *(f"controller.core.{name}" for name in ("changes", "rows", "sources", "summary")),
    *(f"controller.core.{name}" for name in ("routecolumns", "routeviews", "recordviews", "state")),
    "dualpath.bus.wire",
    *(f"dualpath.netlink.{name}" for name in ("numbers", "message", "reply")),
    "controller.intent",
    *(f"controller.operator.{name}" for name in ("admission", "certificate", "conditions")),
    *(f"controller.operator.{name}" for name in ("definitions", "events", "judgement", "lease")),
    "controller.operator.numbering",
)
IO = {"asyncio", "selectors", "socket", "subprocess", "threading", "zmq"}

FORBIDDEN_NAMES = {"proto", "utils", "helpers", "common", "manager"}
MAX_LINES = 500


def row_of(module: str) -> str:
    """Return the part to which a module belongs, "" for a package's own __init__."""
    return max((part for part in ALLOWED if within(module, part)), key=len, default="")


def test_no_import_points_up() -> None:
    above = {(m, found) for m in FILES for found in SOURCE.own(m) if rank(found) > rank(m)}
    assert not above


def test_picture_shows_every_package(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    drawn = {
        line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith(ORDER)
    }
    assert drawn >= set(ORDER)
    assert drawn >= {f"{top}.{room.name}" for top in ORDER for room in rooms(ROOT / top)}


def rooms(top: Path) -> list[Path]:
    return [path for path in top.iterdir() if (path / "__init__.py").exists()]


@pytest.mark.parametrize("part", ["", *ALLOWED])
def test_package_imports_only_what_it_may(part: str) -> None:
    allowed = ALLOWED[part] | {part} if part else set()
    above = {
        f"{module} imports {found}"
        for module in FILES
        if row_of(module) == part
        for found in SOURCE.own(module)
        if not any(within(found, permitted) for permitted in allowed)
    }
    assert not above


def test_only_the_composition_imports_drivers() -> None:
    knowing = {
        (module, found)
        for module in FILES
        if module not in COMPOSITION and not any(within(module, d) for d in DRIVERS)
        for found in SOURCE.own(module)
        if any(within(found, driver) for driver in DRIVERS)
    }
    assert not knowing


def test_only_one_module_imports_pyroute2() -> None:
    users = [m for m in FILES if any(within(found, "pyroute2") for found in SOURCE.imports(m))]
    assert users == ["datapaths.linux.rtnl"]


def test_product_imports_no_tests() -> None:
    assert not [m for m in FILES if any(within(found, "tests") for found in SOURCE.imports(m))]


def test_wire_modules_do_no_io() -> None:
    wires = [module for module in FILES if "wire" in module.split(".")]
    wires.remove("datapaths.grout.wire.generate")  # a developer's program, which nothing imports
    assert wires
    assert not [m for m in FILES if "datapaths.grout.wire.generate" in SOURCE.own(m)]
    for module in wires:
        roots = {found.split(".")[0] for found in SOURCE.imports(module)}
        assert not roots & {"asyncio", "logging", "subprocess", "zmq"}, module
        assert not any(within(it, "dualpath.netlink.socket") for it in SOURCE.imports(module))
        used = [
            node.attr
            for node in ast.walk(SOURCE.trees[module])
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "socket"
        ]
        assert all(name.startswith("AF_") for name in used), module


def test_decisions_and_state_do_no_io() -> None:
    pure = [module for module in FILES if any(within(module, part) for part in PURE)]
    assert len(pure) >= len(PURE)
    for module in pure:
        assert not {found.split(".")[0] for found in SOURCE.imports(module)} & IO, module


def test_no_file_exceeds_the_limit_of_lines() -> None:
    long = {
        name
        for name, path in (FILES | TESTS).items()
        if not within(name, GENERATED) and len(path.read_text().splitlines()) > MAX_LINES
    }
    assert not long


def test_no_module_has_a_forbidden_name() -> None:
    assert not {module for module in FILES if FORBIDDEN_NAMES & set(module.split("."))}


def test_contracts_hold_no_python() -> None:
    assert not list((ROOT / "proto").rglob("*.py"))


# A test waits for a condition, by tests/fakes/waiting.py: a fixed time is too short on a slow
# machine, and too long on every other. `asyncio.sleep(0)` only lets other tasks run.
SLEEPS_ALLOWED = {
    "tests.unit.datapaths.grout.record": "records what a real grout sends in that time; no test",
    "tests.unit.datapaths.grout.test_bounds": "a fake that trickles is slow on purpose",
}


def fixed_sleeps(tree: ast.AST) -> list[int]:
    """Return the lines that call a function `sleep` with a number above 0."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] == "sleep"
        and not any(ast.unparse(argument) == "0" for argument in node.args[:1])
    ]


def test_unit_tests_have_no_fixed_sleeps() -> None:
    trees = {m: ast.parse(path.read_text()) for m, path in TESTS.items()}
    found = {m for m, tree in trees.items() if within(m, "tests.unit") and fixed_sleeps(tree)}
    assert found == set(SLEEPS_ALLOWED)


def test_a_fixed_sleep_is_found_under_any_name() -> None:
    tree = ast.parse("time.sleep(1)\nsleep(0.1)\nasyncio.sleep(PAUSE_S)\nasyncio.sleep(0)\n")
    assert fixed_sleeps(tree) == [1, 2, 3]
