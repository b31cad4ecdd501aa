"""A server for each module that asks for one, and what every test with one needs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kube.server import ApiServer


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """Run an API server that has nothing yet."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the API server is built into the lab's cache and runs as nobody")
    with ApiServer.started() as started:
        yield started
