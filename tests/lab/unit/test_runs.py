"""What runs in which guest."""

from tests.lab import runs
from tests.lab.machine import Mode
from tests.lab.runs import Modes, Request

BOTH = Request(["tests/lab/test_selftest.py", "tests/lab/test_grout.py", "-x"], "lab", 2)


def test_scenarios_with_grout_have_guests_of_their_own() -> None:
    kernel, grout = runs.phases(Modes(Mode.UML, Mode.QEMU), BOTH, "/c")

    assert [job.mode for job in kernel] == [Mode.UML, Mode.UML]
    assert all("-m '(lab) and not grout' -x " in job.command for job in kernel)
    assert all(" --claims=/c/uml " in job.command for job in kernel)
    (job,) = grout
    assert job.mode is Mode.QEMU
    assert job.command.endswith("-m '(lab) and grout' -x tests/lab/test_grout.py")


def test_one_kind_of_guest_runs_everything_if_it_can() -> None:
    (phase,) = runs.phases(Modes(Mode.STRAIGHT, Mode.STRAIGHT), BOTH, "/c")

    assert [job.mode for job in phase] == [Mode.STRAIGHT, Mode.STRAIGHT]
    assert all("-m lab -x " in job.command for job in phase)


def test_guest_without_scenarios_is_not_started() -> None:
    request = Request(["tests/lab/test_selftest.py"])
    assert len(runs.phases(Modes(Mode.UML, Mode.QEMU), request, "/c")) == 1


def test_guest_that_had_nothing_to_run_is_not_counted() -> None:
    assert runs.worst([0, runs.NO_TESTS, 1]) == 1
    assert runs.worst([runs.NO_TESTS, 0]) == 0
    assert runs.worst([runs.NO_TESTS]) == runs.NO_TESTS
