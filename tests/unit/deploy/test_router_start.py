"""Which frr.conf FRR starts with: `router-start` itself, with other programs in place of FRR's."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

ROUTER_START = Path(__file__).parents[3] / "deploy/images/router-start"
FORMER = "hostname former\n"
BRIDGE = """#!/bin/sh
case "$*" in *--restore-config*) ;; *) kill $PPID; exit ;; esac
{restore}
"""
"""Restores as told; as a daemon it ends the loop that would start it again."""
WATCHFRR = """#!/bin/sh
cat {etc}/frr.conf >{seen} 2>/dev/null || rm {seen}
"""


class Container:
    """The router's programs and directories."""

    def __init__(self, directory: Path) -> None:
        self._programs, self._lib = directory / "bin", directory / "lib"
        self.etc, self._seen = directory / "etc", directory / "seen"
        for each in (self._programs, self._lib, self.etc):
            each.mkdir()
        (self.etc / "daemons").write_text("zebra_options=\n")
        (self._lib / "frrcommon.sh").write_text("daemon_list() { echo zebra; }\n")
        self._program(self._lib / "watchfrr", WATCHFRR.format(etc=self.etc, seen=self._seen))
        self._script = directory / "router-start"
        text = ROUTER_START.read_text().replace("/etc/frr", str(self.etc))
        self._program(self._script, text.replace("/usr/lib/frr", str(self._lib)))
        self._state = directory

    def start(self, restore: str) -> str | None:
        """Return what FRR reads when frr-bridge restores like this; None if there is no file."""
        self._program(self._programs / "frr-bridge", BRIDGE.format(restore=restore))
        environment = {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "FRR_NETNS": "",
            "STATE_DIR": str(self._state),
        }
        with subprocess.Popen(["bash", self._script], env=environment, process_group=0) as process:
            try:
                process.wait(60)
            finally:
                with suppress(ProcessLookupError):  # all of them have ended
                    os.killpg(process.pid, signal.SIGKILL)
        return self._seen.read_text() if self._seen.exists() else None

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_frr_starts_with_what_frr_bridge_restored(container: Container) -> None:
    (container.etc / "frr.conf").write_text(FORMER)
    restore = f"echo hostname restored >{container.etc}/frr.conf"
    assert container.start(restore) == "hostname restored\n"


@pytest.mark.parametrize("restore", ["exit 1", "kill -KILL $$"])
def test_frr_never_starts_with_what_an_earlier_start_left(
    container: Container, restore: str
) -> None:
    """Its devices and addresses may be others, and the controller may have removed it since."""
    (container.etc / "frr.conf").write_text(FORMER)
    assert container.start(restore) is None


def test_directory_in_place_of_frr_conf_is_removed(container: Container) -> None:
    """frr-bridge cannot replace it; nor could the controller's configuration later."""
    (container.etc / "frr.conf" / "some").mkdir(parents=True)
    container.start("exit 1")
    assert not (container.etc / "frr.conf").exists()
