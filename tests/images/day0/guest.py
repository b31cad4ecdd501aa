"""Lays out a node with systemd, podman and the quadlets, boots it, and reads its report.

The guest is user-mode Linux, as in the lab. Its images are a store that this machine's podman makes
and the guest's reads; what a container writes is in the guest's memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from deploy.images.build import CHECKOUT
from tests.images import parts
from tests.lab import rootfs
from tests.pods import fabric

HERE = Path(__file__).parent
QUADLETS = CHECKOUT / "packaging/quadlets"
UNITS = "etc/systemd/system"
MEMORY = "2048M"
LIMIT_S = 1200.0

MASKED = (
    *("systemd-logind", "systemd-networkd", "systemd-resolved", "systemd-timesyncd"),
    *("console-getty", "getty@tty1", "getty@tty0", "serial-getty@tty0", "ldconfig"),
)
MODULES = "vrf vxlan veth bridge tun dummy overlay sch_ingress cls_flower cls_matchall act_mirred"
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "/run/storage"
runroot = "/run/storage-run"
[storage.options]
additionalimagestores = ["/images"]
"""
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
Description=the fabric's spine, an FRR that is none of ours
After=networking.service
[Service]
Type=exec
ExecStart={command}
"""
SPINE_START = "CONFIGURATION=$(cat /etc/day0/spine.conf)\n"
TRIAL = """\
[Unit]
Description=what the test does
After=kubelet.service spine.service
[Service]
Type=exec
ExecStart=/bin/bash /lab/trial.sh
"""
GATE = """\
[Service]
ExecStartPre=/bin/sh -c 'until /etc/dualpath/can_start.sh; do sleep 1; done'
TimeoutStartSec=infinity
"""
CAN_START = "#!/bin/sh\ntest -e /run/may-start\n"
OPENING_S = 5


def boot(work: Path) -> Mapping[str, str]:
    """Boot a node, and return its report once it is off. Its logs are in `work`/lab."""
    tree = rootfs.day0(print)
    for name in ("files", "images", "lab", "guest"):
        (work / name).mkdir()
    _lay_out(work / "files")
    _store(work / "images", work / "images-run")
    _write(work / "lab/trial.sh", (HERE / "trial.sh").read_text())
    second = {"controller": parts.controller("/etc/dualpath"), "router": parts.router()}
    for part, arguments in second.items():
        _write(work / f"lab/{part}-2", "".join(f"{line}\n" for line in arguments))
    environment = {
        **os.environ,
        "DAY0_TREE": str(tree),
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
    report = work / "lab/report"
    assert report.exists(), _last(console_log)
    return dict(line.split("=", 1) for line in report.read_text().splitlines())


def said(work: Path) -> str:
    """Return the last of every log."""
    return "\n".join(f"== {path.name}\n{_last(path)}" for path in sorted(work.glob("lab/*.log")))


def _last(path: Path) -> str:
    return path.read_text(errors="replace")[-3000:]


def _lay_out(root: Path) -> None:
    """Write the files of the node: units, manifests, and settings of podman."""
    for quadlet in ("dualpath.container", "dualpath-router.container"):
        text = (QUADLETS / quadlet).read_text()
        _write(root / "etc/containers/systemd" / quadlet, text)
    _write(root / "etc/containers/storage.conf", STORAGE)
    _write(root / "etc/machine-id", f"{0xD0A1:032x}\n")
    _write(root / "etc/modules-load.d/day0.conf", MODULES.replace(" ", "\n") + "\n")
    manifests = yaml.safe_dump_all([fabric.node_manifest(1), *fabric.objects(1)])
    _write(root / "etc/dualpath/node.yaml", manifests)
    _write(root / "etc/dualpath/can_start.sh", CAN_START, 0o755)
    _write(root / UNITS / "dualpath.service.d/gate.conf", GATE)
    for name, text in _units(root).items():
        _write(root / UNITS / f"{name}.service", text)
        wanted = root / UNITS / "multi-user.target.wants"
        wanted.mkdir(exist_ok=True)
        (wanted / f"{name}.service").symlink_to(f"../{name}.service")
    (root / UNITS / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for name in MASKED:
        (root / UNITS / f"{name}.service").symlink_to("/dev/null")


def _units(root: Path) -> dict[str, str]:
    network = f"""
        ip netns add spine
        {fabric.cables("ip -n spine", "spine")}
        ip link set cable1 name eth1
        {fabric.uplink(1)}
    """
    _write(root / "etc/day0/network.sh", network)
    _write(root / "etc/day0/spine.conf", fabric.spine())
    _write(root / "etc/day0/spine.sh", SPINE_START + fabric.PLAIN_FRR + "\n")
    rights = " ".join(f"--cap-add={each}" for each in ("NET_ADMIN", "SYS_ADMIN", "NET_RAW"))
    spine = (
        f"/usr/bin/podman run --rm --name=spine --network=ns:/run/netns/spine {rights}"
        f" --volume=/etc/day0:/etc/day0:ro --entrypoint=bash {parts.IMAGE['router']}"
        " /etc/day0/spine.sh"
    )
    opening = f"/bin/sh -c 'sleep {OPENING_S}; touch /run/may-start'"
    return {
        "networking": ONE_SHOT.format(
            what="the node's NIC", command="/bin/sh -e /etc/day0/network.sh"
        ),
        "opening": ONE_SHOT.format(what="opens the gate", command=opening),
        "kubelet": ONE_SHOT.format(what="a kubelet", command="/bin/true"),
        "spine": SPINE.format(command=spine),
        "trial": TRIAL,
    }


def _store(directory: Path, run: Path) -> None:
    """Copy the images into a store that another podman can read."""
    script = 'for image; do buildah push --quiet "$image" "containers-storage:$0$image"; done'
    images = [parts.IMAGE[target] for target in ("controller", "router")]
    where = f"[overlay@{directory}+{run}]"
    # The driver mounts the store on itself; that goes with this mount namespace.
    own = ["unshare", "--mount", "--propagation=private", "sh", "-ec"]
    done = subprocess.run(
        [*own, script, where, *images], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}: run `make images`"


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
