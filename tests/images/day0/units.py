"""A node with the plain units: the controller in /opt/dualpath, and FRR of Debian's package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.images.build import CHECKOUT
from tests.images import parts
from tests.images.day0 import guest
from tests.images.day0.guest import UNITS, write
from tests.lab import rootfs
from tests.pods import fabric

PACKAGING = CHECKOUT / "packaging"
WATCHDOG_S = 30  # half of the unit's, as the test waits for it
WATCHDOG = f"[Service]\nWatchdogSec={WATCHDOG_S}\n"
DAEMONS = {
    "bgpd": "yes",
    "bfdd": "yes",
    "zebra_options": '"-A 127.0.0.1 -s 90000000 -M dplane_fpm_nl -K20"',
}
"""As docs/OPERATIONS.md asks for."""

SPINE_START = f"""\
cp -a /etc/frr /run/spine-etc
sed -i 's/ -M dplane_fpm_nl -K20//' /run/spine-etc/daemons
install -d -o frr -g frr /run/spine-run /run/frr
mount --bind /run/spine-etc /etc/frr
mount --bind /run/spine-run /run/frr
CONFIGURATION=$(cat /etc/day0/spine.conf)
{fabric.PLAIN_FRR}
"""


def lay_out(work: Path) -> None:
    """Make a node whose units systemd restarts, kills and stops."""
    root = guest.prepare(work, "units.sh")
    _copy_program(root / "opt")
    _configure_daemons(root / "etc/frr", rootfs.day0(print))
    for name in ("dualpath.service", "frr.service.d/dualpath.conf"):
        write(root / UNITS / name, (PACKAGING / name).read_text())
    write(root / UNITS / "dualpath.service.d/watchdog.conf", WATCHDOG)
    write(root / "etc/day0/spine.sh", SPINE_START)
    inside = "/usr/bin/nsenter --net=/run/netns/spine /bin/bash /etc/day0/spine.sh"
    spine = guest.SPINE.format(command=f"/usr/bin/unshare --mount --propagation=private {inside}")
    unit = (PACKAGING / "dualpath.service").read_text()
    guest.node(root, {"dualpath": unit, "spine": spine})


def _copy_program(target: Path) -> None:
    """Copy the virtual environment of the controller's image, which is of the same Debian."""
    script = (
        'c=$(buildah from "$0"); trap "buildah rm $c >/dev/null" EXIT; m=$(buildah mount $c); '
        'mkdir -p "$1"; cp -a "$m/opt/dualpath" "$1"'
    )
    done = subprocess.run(
        ["sh", "-ec", script, parts.IMAGE["controller"], str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}: run `make images`"


def _configure_daemons(target: Path, tree: Path) -> None:
    """Write /etc/frr/daemons as an operator does, for the owners that the package gave it."""
    package = tree / "etc/frr"
    text = (package / "daemons").read_text()
    for name, value in DAEMONS.items():
        text, changed = re.subn(rf"^{name}=.*", f"{name}={value}", text, flags=re.MULTILINE)
        assert changed == 1, name
    write(target / "daemons", text)
    for made, former in ((target, package), (target / "daemons", package / "daemons")):
        shutil.copystat(former, made)
        os.chown(made, former.stat().st_uid, former.stat().st_gid)
