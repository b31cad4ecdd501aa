"""Recordings from the lab: what they make the datapath do, kept beside them.

A change of the expected operations is reviewed like code: `UPDATE_VECTORS=1 pytest` rewrites them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.architecture import ROOT
from tests.unit.controller.cli.conftest import run

RECORDINGS = sorted((ROOT / "tests" / "vectors" / "recordings").glob("*.pcapng.gz"))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_recording_gives_the_operations_that_are_kept(path: Path) -> None:
    result = run("replay", str(path))
    assert (result.code, result.err) == (0, "")
    expected = path.with_suffix("").with_suffix(".txt")
    if os.environ.get("UPDATE_VECTORS"):
        expected.write_text(result.out)
    assert result.out == expected.read_text()


def test_recordings_are_small() -> None:
    assert RECORDINGS
    assert max(path.stat().st_size for path in RECORDINGS) < 200_000
