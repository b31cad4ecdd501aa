"""What every scenario gets: `lab`, and artefacts when it fails."""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.lab import artefacts
from tests.lab.fabric import Fabric
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
        _keep_artefacts(request, scenario)
    finally:
        scenario.clean()


@pytest.fixture(scope="module")
def _standing(request: pytest.FixtureRequest) -> Iterator[Fabric]:
    if "DUALPATH_LAB_INSIDE" not in os.environ:
        pytest.skip("a scenario runs inside the lab: python -m tests.lab run")
    scenario = Scenario()
    try:
        fabric = Fabric(scenario, *getattr(request.module, "FABRIC", ()))
        fabric.start()
        yield fabric
    finally:
        scenario.clean()


@pytest.fixture
def fabric(request: pytest.FixtureRequest, _standing: Fabric) -> Iterator[Fabric]:
    """A fabric that the scenarios of a file share, whole and at rest when each begins.

    The module's FABRIC, if it has one, is (topology, options).
    """
    try:
        _standing.wait_until_live()
        _standing.wait_for_overlay(90.0)
        yield _standing
    finally:
        _keep_artefacts(request, _standing.scenario)


def _keep_artefacts(request: pytest.FixtureRequest, scenario: Scenario) -> None:
    if request.node.stash.get(FAILED, False):
        directory = artefacts.directory_for(request.node.nodeid)
        artefacts.write(directory, LOGS, scenario.routers)
