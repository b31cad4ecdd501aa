"""A machine with containerd: a mount namespace with a /run of its own, and a network namespace.

Nothing of it is left on the real machine but empty cgroups, which are removed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.pods.image import Image
from tests.pods.programs import Programs

PAUSE = Image("localhost/pause:local", ["/pause", "-P"])
STARTING_S = 60.0

SETUP = """
set -e
umount /sys/fs/cgroup/unified 2>/dev/null || true  # runtimes refuse cgroups of both versions
umount --recursive /run/netns 2>/dev/null || true  # `ip netns` may have made it a mount
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/dualpath /run/lock /run/frr
mount --make-rshared /run
mount --bind /run/netns /run/netns
mount --make-shared /run/netns
ip link set lo up
{more}
echo ready
exec sleep infinity
"""

# restrict_oom_score_adj: not every root may make itself less likely to be killed.
CONFIGURATION = """
version = 2
root = "/run/containerd/root"
state = "/run/containerd/state"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:local"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "/run/containerd/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
"""
PODS = """
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]]}}]}
"""


class Machine:
    """Runs commands in the namespaces of a process; /run of it is at `run_directory`."""

    def __init__(self, name: str, pid: int, programs: Programs) -> None:
        self.name = name
        self.pid = pid
        self.programs = programs
        self._started: list[subprocess.Popen[bytes]] = []
        self._enter = ["nsenter", f"--target={pid}", "--mount", "--net", "--pid"]
        self._enter += ["--wd=/", "--"]
        self._environment = {
            **os.environ,
            "PATH": f"{programs.path}:/usr/local/sbin:/usr/sbin:/sbin:{os.environ['PATH']}",
        }
        self.run_directory = Path(f"/proc/{pid}/root/run")

    @property
    def socket(self) -> Path:
        return self.run_directory / "containerd/containerd.sock"

    def inside(self, *command: str) -> list[str]:
        """Return the command line that runs a command here."""
        return [*self._enter, *command]

    def run(self, *command: str, check: bool = True, given: str = "") -> str:
        """Run a command and return what it prints; `given` is its input."""
        done = self.call(*command, given=given)
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def call(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.inside(*command),
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, log: Path, *command: str) -> subprocess.Popen[bytes]:
        """Start a program, whose output goes to a log."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.inside(*command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._started.append(process)
        return process

    def give(self, device: str, other: Machine, name: str) -> None:
        """Move a device to another machine, under another name."""
        command = ["ip", "link", "set", device, "netns", str(other.pid), "name", name]
        subprocess.run(["nsenter", f"--net=/proc/{self.pid}/ns/net", *command], check=True)

    def reap(self) -> None:
        """Wait for every program that was started, once the machine is gone."""
        for process in self._started:
            process.wait(timeout=STARTING_S)

    def load(self, image: Image, directory: Path) -> None:
        """Give an image to containerd."""
        archive = directory / f"{image.name.replace('/', '-')}.tar"
        image.write(archive)
        self.load_archive(archive)
        archive.unlink()

    def load_archive(self, archive: Path) -> None:
        """Give the images of an archive to containerd."""
        self.ctr("images", "import", str(archive))

    def ctr(self, *arguments: str) -> str:
        """Ask containerd about what pods are made of."""
        address = "--address=/run/containerd/containerd.sock"
        return self.run(self.programs.ctr, address, "--namespace=k8s.io", *arguments)


@contextmanager
def machine(
    programs: Programs, logs: Path, more: str = "", name: str = "machine"
) -> Iterator[Machine]:
    """Have a machine whose containerd runs; `more` is a script for its namespaces."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = ["setpriv", "--pdeathsig=KILL", "--", *unshare, "--propagation=private"]
    command += ["sh", "-c", SETUP.format(more=more)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"ready\n"
            (child,) = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
            found = Machine(name, int(child), programs)
            try:
                _start_containerd(found, logs)
                yield found
            finally:
                holder.kill()
                found.reap()
        finally:
            holder.kill()
    _remove_cgroups()


def _start_containerd(found: Machine, logs: Path) -> None:
    home = found.run_directory / "containerd"
    (home / "cni").mkdir(parents=True)
    text = CONFIGURATION.format(plugins=found.programs.plugins, runc=found.programs.runc)
    (home / "config.toml").write_text(text)
    (home / "cni/10-pods.conflist").write_text(PODS)
    log = logs / "containerd.log"
    found.start(log, found.programs.containerd, "--config=/run/containerd/config.toml")
    deadline = time.monotonic() + STARTING_S
    while not found.socket.exists():
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)
    PAUSE.programs["pause"] = found.programs.pause.read_bytes()
    found.load(PAUSE, logs)


def _remove_cgroups() -> None:
    for path in Path("/sys/fs/cgroup").glob("*/dualpath-test"):
        for directory in sorted((*path.rglob("*/"), path), reverse=True):
            with suppress(OSError):
                directory.rmdir()
