"""`dualpath conformance` against every server of the project, with real datapaths.

What it prints is shown, whether it passes or not.
"""

import subprocess
from collections.abc import Callable

import pytest

from tests.lab.grout import Grout
from tests.lab.scenario import STATE, Scenario
from tests.lab.waiting import SLOWNESS, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

LISTEN = f"unix:{STATE}/conformance.sock"
PATIENCE_S = 900.0  # grout's table takes requests one by one, and shares a CPU in user-mode Linux

Say = Callable[[str], None]


def test_memory_datapath_passes_conformance(lab: Scenario, say: Say) -> None:
    examine(lab, say, "datapaths.remote.serve", "--datapath=memory")


def test_kernel_datapath_passes_conformance(lab: Scenario, say: Say) -> None:
    lab.namespace("fwd")
    serve = ("datapaths.remote.serve", "--datapath=kernel", "--netns=fwd")
    examine(lab, say, *serve, options=("--vrf=red",))


@pytest.mark.grout
def test_grout_datapath_passes_conformance(lab: Scenario, say: Say) -> None:
    grout = Grout(lab, "grout", lab.namespace("fwd"))
    grout.start()
    serve = ("datapaths.grout.agent", "--netns=fwd", f"--grout-sock={grout.socket}")
    examine(lab, say, *serve, options=("--vrf=red",))


def examine(lab: Scenario, say: Say, *serve: str, options: tuple[str, ...] = ()) -> None:
    """Serve a datapath, run the checks against it, and print their results."""
    server = ["python", "-m", *serve, f"--listen={LISTEN}"]
    daemon = lab.daemon("server", server)
    daemon.start()
    wait_until(lambda: f"at {LISTEN}" in daemon.text() or not daemon.running, "it serves", 60)
    assert daemon.running, daemon.text()
    command = ["dualpath", "conformance", LISTEN, *options, "-o", "wide"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S * SLOWNESS, check=False
    )
    commands = f"$ {' '.join(server)} &\n$ {' '.join(command)}"
    say(f"\n{commands}\n{done.stdout}{done.stderr}exit code {done.returncode}")
    assert done.returncode == 0, done.stdout
    assert " 0 failed, " in done.stdout
