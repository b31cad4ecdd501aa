"""Runs every check and test, the fastest first, and adds up the results.

A part that fails does not stop the next. It ends with one line, `N passed, N failed, N skipped`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.everything import summary, tally
from tests.everything.summary import Outcome, Part, Test

CHECKOUT = Path(__file__).resolve().parents[2]
ARTEFACTS = CHECKOUT / "artefacts"
TALLIES = ARTEFACTS / "tally"
IN_GUEST = "/artefacts/tally"  # the same directory, as the lab's guests see it
PYTHON = sys.executable
LAB = (PYTHON, "-m", "tests.lab")
PYTEST = (PYTHON, "-m", "pytest", "-q", "-rfEs", "-o", "faulthandler_timeout=120")
LIMIT_S = 1800  # of a part on this machine, where some minutes are usual
LAB_LIMIT_S, ALL_LIMIT_S = 2400, 3600  # of a guest; with the long scenarios
HANGS_S = 300  # a unit test that takes longer ends the part
TIMED_OUT = 124  # as timeout(1) has it
WITHOUT_ROOT = (
    "Left out, as only root may make network namespaces: the tests in namespaces, those with a "
    "real API server, and the lab's scenarios with real FRR (sudo make test)."
)


@dataclass(frozen=True, slots=True)
class Step:
    """A command; `tally` is the directory of what pytest saw there, "" where all is one check."""

    title: str
    command: Sequence[str]
    tally: str = ""


CHECKS = (
    Step("ruff check", (PYTHON, "-m", "ruff", "check", ".")),
    Step("ruff format", (PYTHON, "-m", "ruff", "format", "--check", ".")),
    Step("mypy --strict", (PYTHON, "-m", "mypy")),
    Step("generated code is current", (PYTHON, "-m", "dualpath.pb.generate", "--check")),
)
UNIT = Step("unit tests", PYTEST, "unit")
NETNS = Step("in namespaces, this kernel", (*PYTEST, "-m", "netns and not long"), "netns")
# A guest runs the other long ones.
NETNS_ALL = replace(NETNS, command=(*PYTEST, "-m", "netns and (not long or program)"))
KUBE = Step("with a real API server", (*PYTEST, "-m", "kube and not long", "tests/kube"), "kube")
KUBE_ALL = replace(KUBE, command=(*PYTEST, "-m", "kube", "tests/kube"))
IMAGES_SETUP = Step("tools for images", (".ci/setup", "images"))
IMAGES_BUILD = Step("container images", (PYTHON, "-m", "deploy.images.build"))
IMAGES = Step("in containers", (*PYTEST, "-m", "images", "tests/images"), "images")
KUBELET = Step("with kubelet", (*PYTEST, "-m", "images", "tests/kubelet"), "kubelet")
PAGE_SETUP = Step("Chromium", (".ci/setup", "ui"))
PAGE = Step("the page in Chromium", (*PYTEST, "-m", "ui", "tests/ui"), "ui")
SITE_SETUP = Step("mkdocs", (".ci/setup", "site"))
SITE = Step("the documentation as a site", (*PYTEST, "-m", "site"), "site")
WHEEL = Step("the wheel on each Python", (*PYTEST, "-m", "wheel", "tests/packages"), "wheel")
KUBE_BUILD = (PYTHON, "-m", "tests.kube.build")
KUBELET_BUILD = (PYTHON, "-m", "tests.kubelet.build")
DONE_HERE = " and ".join(
    f"not kernel-{group}" for group in ("stream", "routes", "records", "served")
)
"""The contract's worlds that need nothing of a guest: not a second time there."""
BOTH_KERNELS = ("tests/netns", "tests/contract")
IN_NETNS = "netns and not program and (not grout or vrf)"


def main() -> int:
    arguments = _parse()
    root = os.geteuid() == 0
    shutil.rmtree(TALLIES, ignore_errors=True)
    steps = [*CHECKS, UNIT]
    if root:
        if _call([*LAB, "prepare"]) != 0:
            return 1  # the reason is already printed
        netns, kube = (NETNS_ALL, KUBE_ALL) if arguments.all else (NETNS, KUBE)
        steps += [netns, kube, *_in_the_lab(arguments.jobs, every=arguments.all)]
        if arguments.all:
            steps += [IMAGES_SETUP, IMAGES_BUILD, IMAGES, KUBELET, PAGE_SETUP, PAGE]
    if arguments.all:
        steps += [SITE_SETUP, SITE, WHEEL]
    with ExitStack() as beside:
        if root:
            beside.enter_context(_beside(KUBE_BUILD))
        if root and arguments.all:
            beside.enter_context(_beside(KUBELET_BUILD))
        parts = [_run(step) for step in steps]
    _say("everything")
    print("\n".join([] if root else [WITHOUT_ROOT, ""]), end="")
    print("\n".join(summary.report(parts)), flush=True)
    failed = any(test.outcome is Outcome.FAILED for part in parts for test in part.tests)
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.everything", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="guests of the lab at once (2)")
    parser.add_argument("--all", action="store_true", help="the long scenarios too")
    return parser.parse_args()


def _in_the_lab(jobs: int, *, every: bool) -> tuple[Step, ...]:
    """Return the tests that need VRF devices, which a guest's kernel has."""
    rest = "" if every else " and not long"
    limit = ("--timeout", str(ALL_LIMIT_S if every else LAB_LIMIT_S))
    run = (*LAB, "run", "--jobs", str(jobs), *limit, "-q", "-rfEs")
    # What ran on this kernel runs on the guest's as well only where time does not matter.
    again = () if every else (f"--not-run-in={IN_GUEST}/{NETNS.tally}",)
    return (
        Step(
            "in namespaces, the lab's kernel",
            (
                *run,
                *again,
                "-m",
                f"{IN_NETNS}{rest}",
                "-k",
                DONE_HERE,
                "tests/netns",
                "tests/contract",
            ),
            "lab-netns",
        ),
        Step("scenarios with real FRR", (*run, "-m", f"lab{rest}"), "lab"),
    )


@contextmanager
def _beside(command: Sequence[str]) -> Iterator[None]:
    """Run a command during a block. Whoever needs its result waits for it, or finds out why not."""
    process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _run(step: Step) -> Part:
    _say(step.title)
    command = list(step.command)
    if step.tally:
        directory = IN_GUEST if step.tally.startswith("lab") else str(TALLIES)
        command += ["-p", "tests.everything.tally", f"--tally={directory}/{step.tally}"]
    if step == UNIT:
        command += [f"--hangs={HANGS_S}"]
    started = time.monotonic()
    code = _call(command)
    return Part(step.title, _tests(step, code), time.monotonic() - started)


def _call(command: Sequence[str]) -> int:
    environment = dict(os.environ)
    if not sys.stdout.isatty():  # a guest's console always is one
        environment["NO_COLOR"] = "1"
    limit_s = None if command[: len(LAB)] == list(LAB) else LIMIT_S  # the lab has its own
    try:
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=limit_s,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        print(f"not done within {LIMIT_S} s, and ended", flush=True)
        return TIMED_OUT


def _tests(step: Step, code: int) -> list[Test]:
    """Return the step's results. A failed command is a failure even if every test passed."""
    tests = tally.read(TALLIES / step.tally) if step.tally else []
    if code != 0 and not any(test.outcome is Outcome.FAILED for test in tests):
        return [*tests, Test(step.title, Outcome.FAILED, f"exit code {code}")]
    return tests if step.tally else [Test(step.title, Outcome.PASSED)]


def _say(title: str) -> None:
    print(f"\n== {title}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
