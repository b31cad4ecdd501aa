"""The systemd units are valid, and keep the directives that must not be lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
SECURITY = (Path(__file__).parents[2] / "docs" / "SECURITY.md").read_text()
FRR_SERVICE = """\
[Service]
Type=forking
NotifyAccess=all
PIDFile=/run/frr/watchfrr.pid
ExecStart=/usr/lib/frr/frrinit.sh start
ExecStop=/usr/lib/frr/frrinit.sh stop
"""
PROGRAMS = (
    "opt/dualpath/bin/controller",
    "opt/dualpath/bin/frr-exec",
    "usr/bin/nsenter",
    "usr/bin/timeout",
    "usr/lib/frr/frrinit.sh",
    "bin/sh",
)


def lines(name: str) -> list[str]:
    return (PACKAGING / name).read_text().splitlines()


def test_systemd_kills_frr_instead_of_stopping_it() -> None:
    """docs/decisions/0007: a bgpd that is asked to stop withdraws everything."""
    drop_in = lines("frr.service.d/dualpath.conf")
    assert "ExecStop=" in drop_in
    assert "KillSignal=SIGKILL" in drop_in


def test_controller_unit_always_restarts_and_keeps_frr_bridge_running() -> None:
    unit = lines("dualpath.service")
    assert {"Restart=always", "StartLimitIntervalSec=0", "KillMode=process"} <= set(unit)


def test_controller_unit_has_readiness_and_a_watchdog() -> None:
    unit = lines("dualpath.service")
    assert "Type=notify" in unit
    (watchdog,) = (line for line in unit if line.startswith("WatchdogSec="))
    assert int(watchdog.partition("=")[2]) >= 30  # a program of a million routes takes seconds


def test_killed_frr_is_not_a_failed_unit() -> None:
    assert "SuccessExitStatus=SIGKILL" in lines("frr.service.d/dualpath.conf")


def test_no_frr_script_runs_as_the_machines_root() -> None:
    """They run /etc/frr/daemons, which belongs to user frr."""
    drop_in = lines("frr.service.d/dualpath.conf")
    assert {"ExecStop=", "ExecReload="} <= set(drop_in)
    started = [line for line in drop_in if "frrinit.sh" in line]
    assert started == [
        "ExecStart=/opt/dualpath/bin/frr-exec --netns=frr -- /usr/lib/frr/frrinit.sh start"
    ]


HARDENED = {
    "NoNewPrivileges=yes",
    "ProtectClock=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service @mount",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET",
    "UMask=0027",
}


@pytest.mark.parametrize("unit", ["dualpath.service", "frr.service.d/dualpath.conf"])
def test_units_are_hardened(unit: str) -> None:
    found = set(lines(unit))
    assert found >= HARDENED
    assert any(line.startswith("CapabilityBoundingSet=CAP_") for line in found)
    assert any(line.startswith("RestrictNamespaces=net") for line in found)


@pytest.fixture
def analyze(tmp_path: Path) -> list[str]:
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("this machine has no systemd-analyze")
    units = tmp_path / "etc/systemd/system"
    shutil.copytree(PACKAGING, units)
    (units / "frr.service").write_text(FRR_SERVICE)
    return [command, "security", "--offline=yes", f"--root={tmp_path}"]


@pytest.mark.parametrize(("unit", "most"), [("dualpath", 5.6), ("frr", 4.0)])
def test_exposure_of_the_units_is_low(analyze: list[str], unit: str, most: float) -> None:
    command = [*analyze, "--no-pager", f"--threshold={int(most * 10)}", f"{unit}.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert "exposure level" in done.stdout
    assert done.returncode == 0, done.stdout[-100:]


def test_every_missing_directive_of_the_controller_unit_is_explained(analyze: list[str]) -> None:
    command = [*analyze, "--json=short", "dualpath.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    lacking = [row["name"] for row in found if row["set"] is False and row["exposure"]]
    assert len(lacking) > 20
    for name in lacking:
        wanted = re.split(r"[=~]+", name)[-1] or name
        assert wanted.replace("|", ", ") in SECURITY.replace(" or ", ", "), name


def test_systemd_verifies_the_units(tmp_path: Path) -> None:
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


@pytest.mark.skipif(os.geteuid() != 0, reason="build-deb needs root")
def test_a_root_filesystem_that_cannot_be_made_ends_the_build(tmp_path: Path) -> None:
    """It went on with a part of one, which it also kept for the next build."""
    fake = tmp_path / "mmdebstrap"
    fake.write_text('#!/bin/sh\nmkdir -p "$4"\nexit 1\n')
    fake.chmod(0o755)
    cache = tmp_path / "cache"
    done = subprocess.run(
        [PACKAGING / "build-deb", "sid"],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "DUALPATH_DEB_CACHE": str(cache),
            "DUALPATH_LAB_MIRROR": "http://mirror.invalid/debian",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "build-deb: mmdebstrap could not make sid from http://mirror.invalid" in done.stderr
    assert list(cache.iterdir()) == []
