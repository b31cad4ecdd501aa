"""A state directory that fills up or turns read-only ends no controller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datapaths.linux import netns

pytestmark = [pytest.mark.netns, pytest.mark.program]

FRR, FORWARDING = "dp-state-frr", "dp-state-fwd"
SCRIPT = 'mount -t tmpfs -o size=64k,mode=755 state "$0" && exec "$@"'


class Controller:
    """A controller whose state directory is a file system of its own."""

    def __init__(self, directory: Path, log: Path) -> None:
        self.directory, self._log = directory, log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *("unshare", "--mount", "sh", "-c", SCRIPT, str(directory)),
                    *(sys.executable, "-m", "controller", "--datapath=kernel"),
                    *(f"--frr-netns={FRR}", f"--netns={FORWARDING}"),
                    *(f"--state-dir={directory}", f"--listen=unix:{directory}/inspect.sock"),
                ],
                stderr=output,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def kill_bridge(self) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in map(int, children.split()):
            if b"frr_bridge" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    def inside(self, *command: str) -> None:
        target = f"--target={self.process.pid}"
        subprocess.run(["nsenter", target, "--mount", *command], check=True)

    def remount(self, how: str) -> None:
        self.inside("mount", "-o", f"remount,{how}", str(self.directory))

    def fill(self) -> None:
        """Fill the file system completely."""
        script = 'head -c 1000000 /dev/zero 2>/dev/null >"$0/full" || true'
        self.inside("sh", "-c", script, str(self.directory))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    for name in (FRR, FORWARDING):
        netns.create(name)
    (tmp_path / "state").mkdir()
    made = Controller(tmp_path / "state", tmp_path / "log")
    try:
        yield made
    finally:
        made.process.terminate()
        made.process.wait(10)
        for name in (FRR, FORWARDING):
            netns.remove(name)


def subscriptions(controller: Controller) -> int:
    return controller.said.count("subscribed to frr-bridge")


def test_state_directory_that_turns_read_only_ends_no_daemon(controller: Controller) -> None:
    controller.until(lambda: subscriptions(controller) == 1)
    controller.remount("ro")
    controller.kill_bridge()
    controller.until(lambda: controller.said.count("frr-bridge ended with") >= 3)
    controller.remount("rw")
    controller.until(lambda: subscriptions(controller) == 2)


def test_full_state_directory_ends_no_daemon(controller: Controller) -> None:
    controller.until(lambda: subscriptions(controller) == 1)
    controller.fill()
    controller.kill_bridge()
    controller.until(lambda: subscriptions(controller) == 2)


def test_controller_stops_cleanly_with_a_read_only_state_directory(controller: Controller) -> None:
    controller.until(lambda: subscriptions(controller) == 1)
    controller.remount("ro")
    controller.process.terminate()
    assert controller.process.wait(10) == 0, controller.said


def test_removed_files_and_sockets_are_recreated(controller: Controller) -> None:
    controller.until(lambda: subscriptions(controller) == 1)
    names = ("inspect.sock", "bus.sock", "bus.lock", "controller.lock", "namespaces.json")
    present = " && ".join(f'test -e "$0/{name}"' for name in names)
    for _ in range(2):
        controller.inside("sh", "-c", f'{present} && rm -r "$0"/*', str(controller.directory))
        time.sleep(2)
        controller.inside("sh", "-c", present, str(controller.directory))
    assert subscriptions(controller) == 1  # whoever was connected stayed so
    status = ("-m", "controller.cli", "--connect", f"unix:{controller.directory}/inspect.sock")
    controller.inside(sys.executable, *status, "status")
    controller.kill_bridge()
    controller.until(lambda: subscriptions(controller) == 2)
