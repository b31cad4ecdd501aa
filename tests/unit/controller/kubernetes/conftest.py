"""An API server for each test, and an agent that is in a hurry."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controller.kubernetes import agent, reflector, served
from tests.fakes.apiserver import FakeApiServer


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    made = await FakeApiServer().start()
    yield made
    await made.stop()


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten every pause of the agent."""
    monkeypatch.setattr(agent, "GATHER_S", 0.01)
    monkeypatch.setattr(agent, "REPORT_S", 0.01)
    monkeypatch.setattr(agent, "RETRY_S", 0.05)
    monkeypatch.setattr(reflector, "ABSENT_S", (0.02, 0.03))
    monkeypatch.setattr(served, "LOOK_S", (0.02, 0.03))
