"""The systemd units: that systemd understands them, and what must not get lost in them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
FRR_SERVICE = """\
[Service]
Type=forking
PIDFile=/run/frr/watchfrr.pid
ExecStart=/usr/lib/frr/frrinit.sh start
ExecStop=/usr/lib/frr/frrinit.sh stop
"""
PROGRAMS = (
    "opt/dualpath/bin/controller",
    "usr/bin/nsenter",
    "usr/bin/timeout",
    "usr/lib/frr/frrinit.sh",
    "bin/sh",
)


def lines(name: str) -> list[str]:
    return (PACKAGING / name).read_text().splitlines()


def test_frr_is_killed_and_not_asked() -> None:
    """docs/decisions/0007: a bgpd that is asked to stop withdraws everything."""
    drop_in = lines("frr.service.d/dualpath.conf")
    assert "ExecStop=" in drop_in
    assert "KillSignal=SIGKILL" in drop_in


def test_the_controller_is_always_started_again_and_leaves_frr_bridge_alone() -> None:
    unit = lines("dualpath.service")
    assert {"Restart=always", "StartLimitIntervalSec=0", "KillMode=process"} <= set(unit)


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("this machine has no systemd-analyze")
    units = tmp_path / "etc/systemd/system"
    shutil.copytree(PACKAGING, units)
    (units / "frr.service").write_text(FRR_SERVICE)
    for program in PROGRAMS:
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    done = subprocess.run(
        [verify, f"--root={tmp_path}", "verify", "dualpath.service", "frr.service"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert complaints == []
