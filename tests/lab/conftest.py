"""The fixture `lab` of every scenario, and artefacts when one fails."""

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import pytest

from tests.lab import artefacts
from tests.lab.fabric import DEFAULT, STANDARD, Fabric
from tests.lab.scenario import LOGS, Scenario

FAILED = pytest.StashKey[bool]()
DPDK_PES = {"kernel": 0, "dpdk": 1, "both-dpdk": 2}  # how many PEs forward with grout
MARKS = {"dpdk": (pytest.mark.grout,), "both-dpdk": (pytest.mark.grout, pytest.mark.long)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a scenario with a fabric over each datapath that its `datapaths` names."""
    marker = metafunc.definition.get_closest_marker("datapaths")
    names = marker.args if marker else ("kernel",)
    rare = marker.kwargs.get("long", ()) if marker else ()
    params = [pytest.param(name, marks=_marks(name, long=name in rare)) for name in names]
    if "_standing" in metafunc.fixturenames:
        metafunc.parametrize("_standing", params, indirect=True, scope="module")
    if "fresh" in metafunc.fixturenames:
        metafunc.parametrize("fresh", params, indirect=True)


def _marks(name: str, *, long: bool) -> list[pytest.MarkDecorator]:
    return [*MARKS.get(name, ()), *([pytest.mark.long] if long else [])]


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
        fabric = _make_fabric(request, scenario)
        with _noticed(request):
            fabric.start()
        yield fabric
    finally:
        _keep_artefacts(request, scenario)
        scenario.clean()


@pytest.fixture
def fabric(request: pytest.FixtureRequest, _standing: Fabric) -> Iterator[Fabric]:
    """A fabric that the scenarios of a file share, whole and at rest when each begins.

    The module's FABRIC, if it has one, is (topology, options).
    """
    try:
        with _noticed(request):
            _standing.wait_until_live()
            _standing.wait_for_overlay(90.0)
        yield _standing
    finally:
        _keep_artefacts(request, _standing.scenario)


@pytest.fixture
def fresh(request: pytest.FixtureRequest, lab: Scenario) -> Fabric:
    """A fabric that a scenario has for itself, whole and at rest; as the module's FABRIC says."""
    fabric = _make_fabric(request, lab)
    with _noticed(request):
        fabric.start()
        fabric.wait_for_overlay(90.0)
        fabric.wait_until_live()
    return fabric


@pytest.fixture
def say(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], None]:
    """Tell whoever looks on a figure that a scenario measured."""

    def write(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{request.node.name}: {text}\n")
            sys.stdout.flush()

    return write


def _make_fabric(request: pytest.FixtureRequest, scenario: Scenario) -> Fabric:
    topology, options = getattr(request.module, "FABRIC", (STANDARD, DEFAULT))
    return Fabric(scenario, replace(topology, dpdk=DPDK_PES[request.param]), options)


@contextlib.contextmanager
def _noticed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remember a failure now: pytest reports that of a fixture when it is over."""
    try:
        yield
    except BaseException:
        request.node.stash[FAILED] = True
        raise


def _keep_artefacts(request: pytest.FixtureRequest, scenario: Scenario) -> None:
    if request.node.stash.get(FAILED, False):
        directory = artefacts.directory_for(request.node.nodeid)
        artefacts.write(directory, LOGS, scenario.routers)
