"""A node with the quadlets, podman and images.

Its images are a store that this machine's podman makes and the guest's reads; what a container
writes is in the guest's memory.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.images.build import CHECKOUT
from tests.images import parts
from tests.images.day0 import guest
from tests.images.day0.guest import ONE_SHOT, UNITS, write
from tests.pods import fabric

QUADLETS = CHECKOUT / "packaging/quadlets"
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "/run/storage"
runroot = "/run/storage-run"
[storage.options]
additionalimagestores = ["/images"]
"""
GATE = """\
[Service]
ExecStartPre=/bin/sh -c 'until /etc/dualpath/can_start.sh; do sleep 1; done'
TimeoutStartSec=infinity
"""
CAN_START = "#!/bin/sh\ntest -e /run/may-start\n"
OPENING_S = 5
SPINE_START = "CONFIGURATION=$(cat /etc/day0/spine.conf)\n"


def lay_out(work: Path) -> None:
    """Make a node that hands over to a second controller and router, and back."""
    root = guest.prepare(work, "trial.sh")
    _store(work / "images", work / "images-run")
    second = {"controller": parts.controller("/etc/dualpath"), "router": parts.router()}
    for part, arguments in second.items():
        write(work / f"lab/{part}-2", "".join(f"{line}\n" for line in arguments))
    for quadlet in ("dualpath.container", "dualpath-router.container"):
        text = (QUADLETS / quadlet).read_text()
        write(root / "etc/containers/systemd" / quadlet, text)
    write(root / "etc/containers/storage.conf", STORAGE)
    write(root / "etc/dualpath/can_start.sh", CAN_START, 0o755)
    write(root / UNITS / "dualpath.service.d/gate.conf", GATE)
    write(root / "etc/day0/spine.sh", SPINE_START + fabric.PLAIN_FRR + "\n")
    guest.node(root, _units(), ["frr"])


def _units() -> dict[str, str]:
    rights = " ".join(f"--cap-add={each}" for each in ("NET_ADMIN", "SYS_ADMIN", "NET_RAW"))
    spine = (
        f"/usr/bin/podman run --rm --name=spine --network=ns:/run/netns/spine {rights}"
        f" --volume=/etc/day0:/etc/day0:ro --entrypoint=bash {parts.IMAGE['router']}"
        " /etc/day0/spine.sh"
    )
    opening = f"/bin/sh -c 'sleep {OPENING_S}; touch /run/may-start'"
    return {
        "opening": ONE_SHOT.format(what="opens the gate", command=opening),
        "kubelet": ONE_SHOT.format(what="a kubelet", command="/bin/true"),
        "spine": guest.SPINE.format(command=spine),
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
