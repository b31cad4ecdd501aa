"""Every target of the fuzzer for a moment; `python -m tests.fuzz` goes on for longer."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fuzz.__main__ import TARGETS, fuzz

SLOW = {"manifests": 200, "inspect": 200, "datapath": 200, "recording": 150}
COUNT = 600  # inputs, the same each time: together half a minute


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
async def test_damaged_input_is_refused_and_harms_nothing(name: str) -> None:
    report = await fuzz(name, seconds=0, seed=1, count=SLOW.get(name, COUNT))
    assert not report.findings, str(report)
    assert len(report.answers) > 1
