"""Boots a node with systemd in user-mode Linux, as in the lab, and reads its report."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.lab import rootfs
from tests.pods import fabric

HERE = Path(__file__).parent
UNITS = "etc/systemd/system"
MEMORY = "2048M"
LIMIT_S = 1200.0

MASKED = (
    *("systemd-logind", "systemd-networkd", "systemd-resolved", "systemd-timesyncd"),
    *("console-getty", "getty@tty1", "getty@tty0", "serial-getty@tty0", "ldconfig"),
)
MODULES = "vrf vxlan veth bridge tun dummy overlay sch_ingress cls_flower cls_matchall act_mirred"
ONE_SHOT = """\
[Unit]
Description={what}
DefaultDependencies=no
After=local-fs.target systemd-modules-load.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={command}
"""
SPINE = """\
[Unit]
Description=the fabric's spine, an FRR without Dualpath
After=networking.service
[Service]
Type=exec
ExecStart={command}
"""
NETWORK = f"""
ip netns add spine
{fabric.cables("ip -n spine", "spine")}
ip link set cable1 name eth1
{fabric.uplink(1)}
"""
TRIAL = """\
[Unit]
Description=what the test does
After=kubelet.service spine.service dualpath.service frr.service
[Service]
Type=exec
ExecStart=/bin/bash /lab/trial.sh
"""


@dataclass(frozen=True, slots=True)
class Boot:
    """What a boot reported, and where its logs are."""

    report: Mapping[str, str]
    work: Path

    def started(self, unit: str) -> int:
        """Return when a unit was active, in microseconds of uptime."""
        found = int(self.report[f"{unit}.ActiveEnterTimestampMonotonic"])
        assert found > 0, f"{unit} was never active\n{said(self.work)}"
        return found

    def lost(self, flow: str) -> list[int]:
        """Return the numbers of the pings without an answer, of a flow until its end."""
        text = (self.work / f"lab/{flow}.log").read_text()
        answered = {int(number) for number in re.findall(r"bytes from .*icmp_seq=(\d+)", text)}
        (sent,) = map(int, re.findall(r"(\d+) packets transmitted", text))
        last = max(answered)
        assert last > max(100, sent - 5)  # an answer to the very last may be on its way
        return sorted(set(range(1, last)) - answered)


def prepare(work: Path, trial: str) -> Path:
    """Make the directories of a boot; return the one whose files are laid over the tree."""
    for name in ("files", "images", "lab", "guest"):
        (work / name).mkdir()
    write(work / "lab/report.sh", (HERE / "report.sh").read_text())
    write(work / "lab/trial.sh", (HERE / trial).read_text())
    return work / "files"


def boot(work: Path) -> Boot:
    """Boot a node, and return its report once it is off. Its logs are in `work`/lab."""
    environment = {
        **os.environ,
        "DAY0_TREE": str(rootfs.day0(print)),
        "DAY0_FILES": str(work / "files"),
        "DAY0_IMAGES": str(work / "images"),
        "DAY0_LAB": str(work / "lab"),
        "DAY0_WORK": str(work / "guest"),
        "DAY0_MEMORY": MEMORY,
    }
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"]
    command = ["setpriv", "--pdeathsig=KILL", "--", *own, "bash", str(HERE / "boot.sh")]
    console_log = work / "lab/console.log"
    with rootfs.in_use(), console_log.open("wb") as console, suppress(subprocess.TimeoutExpired):
        subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            timeout=LIMIT_S,
            check=False,
        )
    shutil.rmtree(work / "images")  # pytest keeps the rest for a while
    file = work / "lab/report"
    assert file.exists(), _last(console_log)
    report = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert report.get("end") == "yes", f"{report}\n{said(work)}"
    return Boot(report, work)


def said(work: Path) -> str:
    """Return the last of every log."""
    return "\n".join(f"== {path.name}\n{_last(path)}" for path in sorted(work.glob("lab/*.log")))


def _last(path: Path) -> str:
    return path.read_text(errors="replace")[-3000:]


def node(root: Path, units: Mapping[str, str], masked: Iterable[str] = ()) -> None:
    """Write the files of a node: its manifests and units, of which `masked` never start."""
    write(root / "etc/machine-id", f"{0xD0A1:032x}\n")
    write(root / "etc/modules-load.d/day0.conf", MODULES.replace(" ", "\n") + "\n")
    manifests = yaml.safe_dump_all([fabric.node_manifest(1), *fabric.objects(1)])
    write(root / "etc/dualpath/node.yaml", manifests)
    write(root / "etc/day0/network.sh", NETWORK)
    write(root / "etc/day0/spine.conf", fabric.spine())
    network = ONE_SHOT.format(what="the node's NIC", command="/bin/sh -e /etc/day0/network.sh")
    for name, text in {**units, "networking": network, "trial": TRIAL}.items():
        write(root / UNITS / f"{name}.service", text)
        wanted = root / UNITS / "multi-user.target.wants"
        wanted.mkdir(exist_ok=True)
        (wanted / f"{name}.service").symlink_to(f"../{name}.service")
    (root / UNITS / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for name in (*MASKED, *masked):
        (root / UNITS / f"{name}.service").symlink_to("/dev/null")


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
