"""Tests leave no NIC record of theirs in the machine's own directory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datapaths.linux import nicrecords
from tests.netns.machines import machine

pytestmark = [
    pytest.mark.netns,
    pytest.mark.program,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

MACHINES = Path("/run/dualpath/nics")
SHOW = "from datapaths.linux import nicrecords; print(nicrecords.DIRECTORY)"


def listed(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.exists() else []


def test_killed_controller_of_a_test_leaves_no_nic_record_on_the_machine(tmp_path: Path) -> None:
    before = listed(MACHINES)
    with machine(tmp_path) as host, (tmp_path / "log").open("wb") as log:
        with subprocess.Popen(host.command(), stdout=log, stderr=log) as controller:
            deadline = time.monotonic() + 60
            while not listed(nicrecords.DIRECTORY):
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.05)
            controller.kill()
        assert [name.partition("@")[0] for name in listed(tmp_path / "nics")] == ["eth7"]
    assert listed(MACHINES) == before


def test_nic_records_are_in_the_machines_directory_without_the_variable() -> None:
    environment = {key: value for key, value in os.environ.items() if "NIC_RECORDS" not in key}
    shown = subprocess.check_output([sys.executable, "-c", SHOW], env=environment, text=True)
    assert shown == f"{MACHINES}\n"
