"""The sum counts every test once and gives a reason for every skip."""

from tests.everything.summary import Outcome, Part, Test, merge, report, sums

PASSED, FAILED, SKIPPED = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED


def test_test_that_ran_in_any_part_is_not_skipped() -> None:
    skip = Test("a", SKIPPED, "no VRF")
    assert (
        merge([skip, Test("a", PASSED)]) == merge([Test("a", PASSED), skip]) == [Test("a", PASSED)]
    )


def test_failure_in_any_part_is_a_failure() -> None:
    failure = Test("a", FAILED, "call")
    assert merge([failure, Test("a", PASSED)]) == merge([Test("a", PASSED), failure]) == [failure]


def test_last_line_has_the_sums() -> None:
    here = Part("here", [Test("a", SKIPPED, "no VRF"), Test("b", PASSED)], 1.0)
    there = Part("there", [Test("a", PASSED), Test("c", SKIPPED, "no such FRR")], 2.0)
    assert report([here, there])[-1] == "2 passed, 0 failed, 1 skipped"


def test_every_skip_has_a_reason() -> None:
    here = Part("here", [Test("a", SKIPPED, "no VRF"), Test("c", SKIPPED, "no such FRR")], 1.0)
    there = Part("there", [Test("a", PASSED)], 2.0)
    lines = report([here, there])
    assert "skipped in one part, run in another: 1 (no VRF)" in lines
    assert "skipped: 1 (no such FRR)" in lines


def test_empty_run_prints_the_last_line() -> None:
    assert sums([]) == "0 passed, 0 failed, 0 skipped"


def test_slowest_files_are_named_with_the_time_of_their_tests() -> None:
    here = Part("here", [Test("f.py::a", PASSED, "", 2.6), Test("f.py::b", FAILED, "", 3.2)], 6.0)
    there = Part("there", [Test("f.py::a", PASSED, "", 90.0), Test("g.py::a", PASSED)], 90.0)
    lines = report([here, there])
    assert lines.index("    90 s  f.py (there)") + 1 == lines.index("     6 s  f.py (here)")
    assert not any("g.py" in line for line in lines)
