"""One bench after the other: whatever one of them does, its end is known and the next one runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as program
from tests.bench import declared, runner
from tests.bench.declared import Bench, Level

FIGURE = 'print("figure a ours 2 s turns=2 routes=5")'


def run(code: str, limit_s: float = 60.0) -> tuple[str, str, int]:
    """Run Python code as a bench; return its outcome, why, and how many figures it reported."""
    outcome, figures = runner.run("b", ("5",), [sys.executable, "-c", code], limit_s)
    assert (outcome.name, outcome.arguments) == ("b", ("5",))
    assert outcome.seconds > 0
    return outcome.outcome, outcome.why, len(figures)


def test_figures_are_collected_and_the_rest_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"print('round 1'); {FIGURE}; print('round 2')") == ("ok", "", 1)
    assert capsys.readouterr().out == "round 1\nround 2\n"


def test_a_bench_that_ends_in_an_error_keeps_its_figures() -> None:
    assert run(f"{FIGURE}; raise SystemExit(3)") == ("failed", "exit code 3", 1)


def test_a_bench_without_figures_failed() -> None:
    assert run("print('done')") == ("failed", "it reported no figure", 0)


def test_a_damaged_figure_is_a_failure() -> None:
    outcome, why, count = run(f"{FIGURE}; print('figure a ours 2 s turns=x')")
    assert (outcome, count) == ("failed", 1)
    assert why.startswith("a damaged figure")


def test_a_bench_may_say_that_it_lacks_something() -> None:
    assert run("print('skipped: there is no tree')") == ("skipped", "there is no tree", 0)


def test_a_bench_that_does_not_end_is_ended() -> None:
    code = f"import signal; {FIGURE}; print(end='', flush=True); signal.pause()"
    outcome, why, _ = run(code, limit_s=1.0)
    assert (outcome, why) == ("failed", "not done within 1 s")


def test_cpu_time_is_that_of_the_bench_and_its_children() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}]); {FIGURE}"
    outcome, _ = runner.run("b", (), [sys.executable, "-c", code], 60.0)
    assert outcome.cpu_s >= 0.2


def test_every_bench_declares_how_it_is_run() -> None:
    names = declared.names()
    assert {"whole", "kernel", "macs", "zebra"} <= {*names}
    assert not {"__main__", "figures", "trend", "table"} & {*names}
    for name in names:
        bench = declared.load(name)
        assert bench.runs(Level.LONG), name
        assert all(isinstance(one, tuple) for level in Level for one in bench.runs(level)), name


def test_every_bench_reports_figures() -> None:
    """Each has a call of `report`, by whatever name it was imported."""
    source = {name: (declared.HERE / f"{name}.py").read_text() for name in declared.names()}
    assert [name for name, text in source.items() if "tests.bench.figures import" not in text] == []


def test_only_a_bench_of_the_guest_imports_the_lab() -> None:
    for name in declared.names():
        text = (declared.HERE / f"{name}.py").read_text()
        assert declared.load(name).guest == ("from tests.lab.scenario import" in text), name


def test_no_bench_of_ci_needs_the_guest() -> None:
    quick = [name for name in declared.names() if declared.load(name).quick]
    assert quick
    assert not [name for name in quick if declared.load(name).guest]


def plant(monkeypatch: pytest.MonkeyPatch, **benches: str) -> None:
    """Let the runner know these benches alone, each a line of Python."""
    known = sorted(benches)
    monkeypatch.setattr(declared, "names", lambda: known)
    bench = Bench(usual=((),), long=((),), root=False)

    def load(name: str) -> Bench:
        if benches[name] == "broken":
            raise ImportError("no such module")
        return bench

    monkeypatch.setattr(declared, "load", load)
    monkeypatch.setattr(program, "_command", lambda name, *_: [sys.executable, "-c", benches[name]])


def test_a_failed_bench_does_not_stop_the_next_and_is_in_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, a="raise SystemExit(1)", b="broken", c=FIGURE)
    assert program.main(["--json", str(tmp_path / "run.json")]) == 1
    found = json.loads((tmp_path / "run.json").read_text())
    ends = [(one["name"], one["outcome"]) for one in found["benches"]]
    assert ends == [("a", "failed"), ("b", "failed"), ("c", "ok")]
    assert [one["work"] for one in found["figures"]] == ["a"]
    shown = capsys.readouterr().out
    assert "a: failed: exit code 1" in shown
    assert "b: failed: ImportError" in shown


def test_all_well_is_exit_code_0_and_an_unknown_name_2(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, a=FIGURE)
    assert program.main(["a"]) == 0
    with pytest.raises(SystemExit, match="2"):
        program.main(["b"])


def test_a_run_is_compared_with_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = 'print("figure a ours 2 s-cpu turns=2 routes=5")'  # of CPU: however busy this machine is
    c = 'print("figure a c N s-cpu turns=N routes=5")'
    plant(monkeypatch, a=f"{ours}; {c.replace('N', '4')}")
    assert program.main(["--json", str(tmp_path / "first.json")]) == 0
    plant(monkeypatch, a=f"{ours}; {c.replace('N', '0.5')}")
    assert program.main(["--compare", str(tmp_path / "first.json")]) == 0  # no time makes it fail
    assert "worse by more than the noise: a 5 routes against c" in capsys.readouterr().out


def test_an_interrupted_run_keeps_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    b = "import os, signal; os.kill(os.getppid(), signal.SIGINT); signal.pause()"
    plant(monkeypatch, a=FIGURE, b=b, c=FIGURE)
    assert program.main(["--json", str(tmp_path / "run.json")]) == 130
    found = json.loads((tmp_path / "run.json").read_text())
    assert [one["name"] for one in found["benches"]] == ["a"]
    assert "interrupted" in capsys.readouterr().out
