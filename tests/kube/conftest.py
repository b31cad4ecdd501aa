"""A server for each module that asks for one, and what every test with one needs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.kube.server import ApiServer


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """Run an API server that has nothing yet."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the API server is built into the lab's cache and runs as nobody")
    with ApiServer.started() as started:
        yield started


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Let connections be open at their collection: the tests here cancel whoever opens them.

    httpcore 1.0.9 does not close a connection whose TLS handshake is cancelled. Collected later it
    would be an error of any test.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
