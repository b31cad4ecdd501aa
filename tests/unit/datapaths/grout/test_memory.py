"""grout's command line shows whether it has hugepages."""

from __future__ import annotations

from pathlib import Path

import pytest

from datapaths.grout.process import memory, memory_of


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("grout -t -s /x", "no hugepages (test mode)"),
        ("grout --socket=/x --test-mode", "no hugepages (test mode)"),
        ("grout --socket=/x", "hugepages"),
    ],
)
def test_test_mode_is_an_option(command: str, words: str) -> None:
    assert memory_of(command.split()) == words


def test_memory_of_a_missing_grout_is_unknown(tmp_path: Path) -> None:
    assert memory(tmp_path / "none") == "unknown"
