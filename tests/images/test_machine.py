"""What a run of these tests leaves behind when it is ended: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.images.build import CHECKOUT
from tests.images.machine import machine
from tests.images.parts import IMAGE

pytestmark = pytest.mark.images

NAME = "dualpath-ended"
RUN = f"""
import sys, time
from tests.images.machine import machine
with machine({NAME!r}) as here:
    here.container("x", "--network=none", "--entrypoint=sleep", {IMAGE["controller"]!r}, "infinity")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """Another process that has a container running."""
    if os.geteuid() != 0:
        pytest.skip("needs root: containers in namespaces of their own")
    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def containers(pid: int) -> list[str]:
    command = ["podman", "ps", "-a", "--format={{.Names}}", f"--filter=name=^{NAME}-{pid}-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_that_is_ended_removes_its_containers(
    other: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert containers(other.pid)
    other.send_signal(number)
    other.wait(60)
    assert containers(other.pid) == []


def test_next_run_removes_the_containers_of_one_that_was_killed(
    other: subprocess.Popen[str],
) -> None:
    with machine(NAME):
        assert containers(other.pid), "a run that lives keeps its own"
    other.kill()
    other.wait(60)
    assert containers(other.pid)
    with machine(NAME):
        assert containers(other.pid) == []
