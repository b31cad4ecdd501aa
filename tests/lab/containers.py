"""Runs a topology of containerlab in the lab: a node is namespaces and binds, as a container is.

The image is the guest's own file tree, which has the same packages, with what the Containerfile
adds: FRR's directories, its daemons, and the scripts of deploy/images. A node has its own network,
mounts and processes, and its own /run, /etc and /var; like a container it ends with its process 1.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.images.build import HERE as IMAGES
from tests.lab.clab import Node, Topology
from tests.lab.namespaces import Namespace
from tests.lab.processes import Daemon, run
from tests.lab.scenario import Scenario

FILES = Path("/tmp/containers")
MTU = 9500  # of containerlab's links
SCRIPTS = ("router-start", "router-check")
ENTER = """\
set -eu
mount --make-rprivate /
mount -t sysfs sysfs /sys
mount --bind {etc} /etc
for directory in run tmp var/log var/lib/frr var/tmp usr/local/sbin; do
    mount -t tmpfs -o mode=755 tmpfs /$directory
done
chmod 1777 /tmp /var/tmp
mkdir -p /run/netns /var/tmp/frr
install -d -o frr -g frr /run/frr /var/log/frr /var/lib/frr
install -m 755 {scripts} /usr/local/sbin
hostname {name}
{binds}
exec {command}
"""


class Container:
    """A running node."""

    def __init__(self, scenario: Scenario, node: Node) -> None:
        self.node = node
        self.namespace: Namespace = scenario.namespace(node.name)
        words = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        script = _script(node, _etc(node.name))
        self._daemon: Daemon = scenario.daemon(
            f"clab-{node.name}",
            self.namespace.inside(*words, "--mount-proc", "bash", "-c", script),
            program=Path(node.command[0]).name,
        )

    def start(self) -> None:
        self._daemon.start()

    def run(self, *command: str, timeout_s: float = 60.0) -> str:
        """Run a command as `docker exec` does."""
        enter = ["nsenter", f"--target={self._daemon.pid}", "--mount", "--pid", "--uts", "--net"]
        return run([*enter, "--wd=/", "--", *command], timeout_s=timeout_s)

    def remove(self) -> None:
        """End it, and with its process 1 all others."""
        self._daemon.kill()

    def log(self) -> str:
        return self._daemon.text()


@contextlib.contextmanager
def deployed(scenario: Scenario, topology: Topology) -> Iterator[dict[str, Container]]:
    """Run a topology for the length of a block, made in the order in which containerlab makes it.

    Containers start before their links are there, and `exec` runs last.
    """
    nodes: dict[str, Container] = {}
    try:
        for node in topology.nodes:
            nodes[node.name] = Container(scenario, node)
            nodes[node.name].start()
        for near, far in topology.links:
            ends = (nodes[near.node].namespace, near.interface, nodes[far.node].namespace)
            _link(*ends, far.interface)
        for container in nodes.values():
            for command in container.node.exec:
                container.run(*command)
        yield nodes
    finally:
        for container in nodes.values():
            container.remove()
        shutil.rmtree(FILES, ignore_errors=True)


def _link(near: Namespace, name: str, far: Namespace, far_name: str) -> None:
    mtu = ["mtu", str(MTU)]
    words = ["type", "veth", "peer", "name", far_name, *mtu, "netns", far.name]
    near.ip("link", "add", name, *mtu, *words)
    near.ip("link", "set", name, "up")
    far.ip("link", "set", far_name, "up")


def _script(node: Node, etc: Path) -> str:
    """Return what becomes process 1."""
    lines = []
    for bind in node.binds:
        make = "mkdir -p" if bind.source.is_dir() else "install -D /dev/null"
        target = shlex.quote(bind.target)
        lines += [f"{make} {target}", f"mount --bind {shlex.quote(str(bind.source))} {target}"]
        if bind.read_only:
            lines.append(f"mount -o remount,bind,ro {target}")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in node.env]
    return ENTER.format(
        etc=shlex.quote(str(etc)),
        scripts=shlex.join(str(IMAGES / name) for name in SCRIPTS),
        name=node.name,
        binds="\n".join(lines),
        command=shlex.join(node.command),
    )


def _etc(name: str) -> Path:
    """Copy /etc as Debian's packages made it, with the daemons that the image has switched on."""
    pristine = FILES / "etc"
    if not pristine.exists():  # copied once: the guest's root is slow
        below = FILES / "below"
        below.mkdir(parents=True, exist_ok=True)
        run(["mount", "--bind", "/", str(below)])  # without what is mounted on it
        run(["cp", "-a", str(below / "etc"), str(pristine)])
        run(["umount", str(below)])
        daemons = pristine / "frr/daemons"
        text = daemons.read_text()
        daemons.write_text(text.replace("bgpd=no", "bgpd=yes").replace("bfdd=no", "bfdd=yes"))
    own = FILES / name
    run(["cp", "-a", str(pristine), str(own)])
    return own
