"""Every target of the fuzzer for a moment; `python -m tests.fuzz` goes on for longer."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fuzz.__main__ import TARGETS, fuzz

SECONDS = 2.0


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
async def test_damaged_input_is_refused_and_harms_nothing(name: str) -> None:
    report = await fuzz(name, SECONDS, seed=1)
    assert not report.findings, str(report)
    assert report.executions > 20
    assert len(report.answers) > 1
