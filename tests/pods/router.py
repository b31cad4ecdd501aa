"""Containers of FRR from the lab's tree: what `make images` builds, without building it.

FRR, Python and all else come from the tree, read-only; an image has /etc and the directories that
are written to. `deploy/images/router-start` is the product's own.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.lab.machine import CHECKOUT
from tests.lab.recipe import Project
from tests.lab.rootfs import Trees
from tests.pods.cri import Container
from tests.pods.fabric import PLAIN_FRR
from tests.pods.image import Image

ROUTER = "localhost/router:test"
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE"),
    *("SETUID", "SETGID", "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL"),
)
PATH = "/opt/dualpath/bin:/opt/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image(trees: Trees, project: Project) -> Image:
    found = Image(ROUTER, ["/bin/bash"])
    found.links |= {name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")}
    found.links["var/run"] = "/run"
    found.add_tree(trees.system / "etc", "etc")
    for name in ("shadow", "shadow-", "gshadow", "gshadow-"):  # PAM must not read them
        found.files.pop(f"etc/{name}", None)
    daemons = found.files["etc/frr/daemons"].decode()
    found.files["etc/frr/daemons"] = re.sub(
        r"^(bgpd|bfdd)=no", r"\1=yes", daemons, flags=re.MULTILINE
    ).encode()
    found.files[f"opt/site/{project.name}-{project.version}.dist-info/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {project.name}\nVersion: {project.version}\n".encode()
    )
    for name, target in project.scripts:
        module, function = target.split(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}())"
        found.programs[f"opt/dualpath/bin/{name}"] = f"#!/opt/venv/bin/python\n{code}\n".encode()
    for name in ("usr", "opt/venv", "dualpath", "run", "tmp", "var/log", "var/lib", "var/tmp"):
        found.directories[name] = 0
    for name in ("etc/frr", "run/frr", "var/log/frr", "var/lib/frr", "var/tmp/frr"):
        found.directories[name] = _user_frr(trees)
    return found


def _user_frr(trees: Trees) -> int:
    users = (trees.system / "etc/passwd").read_text()
    return int(re.findall(r"^frr:[^:]*:(\d+):", users, re.MULTILINE)[0])


def router(trees: Trees, state: Path) -> Container:
    """Return the product's router, in the namespace of its pod."""
    return Container(
        ROUTER,
        ["/bin/bash", "/dualpath/deploy/images/router-start"],
        {**_environment(), "FRR_NETNS": ""},
        _mounts(trees),
        {"/run/dualpath": state},
        CAPABILITIES,
    )


def plain(trees: Trees, configuration: str) -> Container:
    """Return an FRR that belongs to somebody else, with its configuration."""
    environment = {**_environment(), "CONFIGURATION": configuration}
    return Container(
        ROUTER, ["/bin/bash", "-c", PLAIN_FRR], environment, _mounts(trees), {}, CAPABILITIES
    )


def _environment() -> dict[str, str]:
    return {
        "PATH": PATH,
        "HOME": "/root",
        "PYTHONPATH": "/dualpath:/opt/site",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _mounts(trees: Trees) -> dict[str, Path]:
    return {"/usr": trees.system / "usr", "/opt/venv": trees.venv, "/dualpath": CHECKOUT}
