"""Whole manifests, with the expected devices and frr.conf in files beside this one.

`UPDATE_VECTORS=1 pytest` rewrites the expectations; review the difference like code. FRR
10.7.1 loaded every frr.conf here and showed exactly the same text: see tests/lab/test_frr_config.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from controller.intent import layout
from controller.intent.layout import Intent
from controller.intent.loader import load
from dualpath.model.frr import from_json, to_json
from frr_bridge.frr_config import render

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


def compiled(name: str) -> Intent:
    found = load([GOLDEN / f"{name}.yaml"])
    result = layout.compile(found, found.node)
    assert all(status.ready for status in result.statuses)
    return result


def expect(name: str, actual: str) -> None:
    file = GOLDEN / name
    if os.environ.get("UPDATE_VECTORS"):
        file.write_text(actual)
    assert actual == file.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_manifests_compile_to_the_golden_devices(name: str) -> None:
    result = compiled(name)
    lines = [_line(record) for record in (*result.vrfs, *result.vnis, *result.ports)]
    expect(f"{name}.devices", "".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("name", NAMES)
def test_manifests_render_to_the_golden_frr_conf_through_the_bus(name: str) -> None:
    settings = from_json(to_json(compiled(name).frr))
    expect(f"{name}.conf", render(replace(settings, hostname="pe1")))


def _line(record: object) -> str:
    """Return a record with its bytes in hexadecimal and its addresses as text."""
    values = {name: getattr(record, name) for name in type(record).__slots__}  # type: ignore[attr-defined]
    shown = ", ".join(f"{name}={_text(value)}" for name, value in values.items() if value)
    return f"{type(record).__name__}({shown})"


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value)
    return _line(value) if hasattr(value, "netns") else str(value)
