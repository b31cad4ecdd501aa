"""Recordings of real FPM sessions, each with what it means beside it.

`UPDATE_VECTORS=1 pytest` rewrites the expectations; review the difference like code.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frr_bridge.wire import columns
from tests.unit.frr_bridge.wire.render import render_stream

VECTORS = sorted((Path(__file__).parents[3] / "vectors" / "fpm").glob("*.fpm"))


@pytest.fixture(params=["one by one", "in columns"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "FEW", 1 << 30 if request.param == "one by one" else 0)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_recorded_session_means_what_is_written_beside_it(path: Path) -> None:
    text = "\n".join(render_stream(path.read_bytes())) + "\n"
    expected = path.with_suffix(".txt")
    if os.environ.get("UPDATE_VECTORS"):
        expected.write_text(text)
    assert text == expected.read_text()


def test_there_are_recordings() -> None:
    assert VECTORS
