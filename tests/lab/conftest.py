"""What every scenario gets: `lab`, and artefacts when it fails."""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.lab import artefacts
from tests.lab.scenario import LOGS, Scenario

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """A clean lab, cleaned again afterwards."""
    if "DUALPATH_LAB_INSIDE" not in os.environ:
        pytest.skip("a scenario runs inside the lab: python -m tests.lab run")
    scenario = Scenario()
    try:
        yield scenario
        if request.node.stash.get(FAILED, False):
            directory = artefacts.directory_for(request.node.nodeid)
            artefacts.write(directory, LOGS, scenario.routers)
    finally:
        scenario.clean()
