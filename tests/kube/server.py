"""A Kubernetes API server on loopback for a test: etcd, the server, and kubectl.

    with ApiServer.started() as server:
        server.kubectl("apply", "-f", "deploy/crds")

By hand: `python -m tests.kube.server` runs one until it is interrupted, and prints its kubeconfig.
Both servers run as user nobody, and end with the process that started them. A test can kill and
freeze the API server, compact its history, and remove an object behind its back.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.kube.build import Programs, built
from tests.lab.errors import LabError

USER, GROUP = "nobody", "nogroup"
HOST = "127.0.0.1"
READY_S = 180.0  # a guest of the lab has one CPU, and FRR or grout on it
KUBECTL_S = 120.0
TICKS = os.sysconf("SC_CLK_TCK")
AS_NOBODY = (
    "setpriv",
    f"--reuid={USER}",
    f"--regid={GROUP}",
    "--clear-groups",
    "--pdeathsig=KILL",
    "--",
)
APPLY = "application/apply-patch+yaml"


class KubectlError(Exception):
    """kubectl failed; the text is what it printed to stderr."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far."""

    cpu_s: float
    resident_mb: float


@dataclass(frozen=True, slots=True)
class Account:
    """A service account."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def line(self, token: str) -> str:
        """Return its line of the file of tokens: token, user, uid, groups."""
        groups = f"system:serviceaccounts,system:serviceaccounts:{self.namespace}"
        return f'{token},{self.user},{self.name},"{groups}"'


class ApiServer:
    """One cluster without nodes. Everything of it is in a directory that is removed at the end."""

    def __init__(
        self, programs: Programs, directory: Path, accounts: Sequence[Account] = ()
    ) -> None:
        self._programs = programs
        self._accounts = {account: secrets.token_hex(16) for account in accounts}
        self._directory = directory
        self._etcd_port, self._peer_port, self._port = _free_ports(3)
        self._token = secrets.token_hex(16)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._spawner = ThreadPoolExecutor(1)  # a child dies with the thread that started it
        self.kubeconfig = directory / "kubeconfig"

    @classmethod
    @contextmanager
    def started(cls, accounts: Sequence[Account] = ()) -> Iterator[ApiServer]:
        """Run a server for the length of a block. Raises LabError.

        With `accounts`, it enforces roles: a service account may do what its roles say.
        """
        with built(_say) as programs, tempfile.TemporaryDirectory(prefix="dualpath-kube-") as name:
            directory = Path(name)
            shutil.chown(directory, USER, GROUP)
            server = cls(programs, directory, accounts)
            try:
                server.start()
                yield server
            finally:
                server.close()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self._port}"

    # -- processes ----------------------------------------------------------------------------

    def start(self) -> None:
        """Start whatever does not run, and return once the server is ready. Raises LabError."""
        if "etcd" not in self._processes:
            self._start_etcd()
        if "apiserver" not in self._processes:
            self._start_apiserver()

    def kill(self) -> None:
        """Kill the API server; etcd keeps what was stored."""
        process = self._processes.pop("apiserver")
        process.kill()
        process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the API server for the length of a block: connections stay, and nothing answers."""
        process = self._processes["apiserver"]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._processes.clear()
        self._spawner.shutdown()

    def usage(self, program: str = "apiserver") -> Usage:
        """Return what "apiserver" or "etcd" has used since it started."""
        return usage_of(self._processes[program].pid)

    # -- the API ------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl as an administrator, and return what it prints. Raises KubectlError."""
        done = subprocess.run(
            [str(self._programs.kubectl), f"--kubeconfig={self.kubeconfig}", *arguments],
            env={"HOME": str(self._directory), "PATH": os.environ["PATH"]},
            input=given,
            capture_output=True,
            text=True,
            timeout=KUBECTL_S,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def apply(self, *manifests: Mapping[str, Any], server_side: bool = False) -> str:
        """Apply manifests with kubectl. Raises KubectlError."""
        how = ["--server-side"] if server_side else []
        return self.kubectl("apply", *how, "-f", "-", given=yaml.safe_dump_all(manifests))

    def define(self, *paths: Path) -> None:
        """Apply files of CustomResourceDefinitions, and wait until the server serves them."""
        files = [f"--filename={path}" for path in paths]
        self.kubectl("apply", *files)
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)

    def http(self, account: Account | None = None) -> httpx.Client:
        """Return a client of an account, or an administrator; it may be shared by threads."""
        context = ssl.create_default_context(cafile=str(self._certificate))
        token = self._accounts[account] if account else self._token
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, verify=context, headers=headers, trust_env=False)

    def kubeconfig_of(self, account: Account) -> Path:
        """Write the kubeconfig of a service account, and return its path."""
        return self._write_kubeconfig(
            f"kubeconfig-{account.name}", self._accounts[account], account.namespace
        )

    def denied(self, account: Account) -> list[str]:
        """Return the requests of an account that were refused for lack of rights."""
        begin = f"denied {account.user} "
        log = (self._directory / "apiserver.log").read_text(errors="replace")
        return [line.removeprefix(begin) for line in log.splitlines() if line.startswith(begin)]

    # -- behind the server's back -----------------------------------------------------------------

    def compact(self) -> None:
        """Forget every version but the newest. The server's cache still knows some: restart it."""
        revision = self._etcd("kv/range", key="/")["header"]["revision"]
        self._etcd("kv/compaction", revision=revision, physical=True)

    def forget(self, resource: str, namespace: str, name: str) -> None:
        """Remove an object from etcd: `resource` is as in `l3vnis.network.openperouter.io`."""
        plural, _, group = resource.partition(".")
        key = f"/registry/{group}/{plural}/{namespace}/{name}"
        assert self._etcd("kv/deleterange", key=key).get("deleted") == "1", key

    # -- details --------------------------------------------------------------------------------

    @property
    def _certificate(self) -> Path:
        """The server makes it at its first start; it is its own authority."""
        return self._directory / "pki" / "apiserver.crt"

    @property
    def _etcd_url(self) -> str:
        return f"http://{HOST}:{self._etcd_port}"

    def _start_etcd(self) -> None:
        peer = f"http://{HOST}:{self._peer_port}"
        self._spawn(
            "etcd",
            f"--data-dir={self._directory / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            # Or bookmarks on a quiet cluster carry an old version.
            "--experimental-watch-progress-notify-interval=5s",
        )
        self._wait_for("etcd", lambda: httpx.get(f"{self._etcd_url}/health").json())

    def _start_apiserver(self) -> None:
        lines = [f"{self._token},admin,1,system:masters"]
        lines += [account.line(token) for account, token in self._accounts.items()]
        tokens = self._write("tokens", "\n".join(lines) + "\n")
        self._spawn(
            "apiserver",
            f"--etcd-servers={self._etcd_url}",
            f"--bind-address={HOST}",
            f"--secure-port={self._port}",
            f"--cert-dir={self._directory / 'pki'}",
            f"--token-auth-file={tokens}",
            *(("--authorization-mode=RBAC",) if self._accounts else ()),
        )
        self._wait_for("apiserver", self._is_ready)
        self._write_kubeconfig(self.kubeconfig.name, self._token, "default")

    def _spawn(self, program: str, *arguments: str) -> None:
        executable = self._programs.directory / program
        with (self._directory / f"{program}.log").open("ab") as log:
            self._processes[program] = self._spawner.submit(
                subprocess.Popen[bytes],
                [*AS_NOBODY, str(executable), *arguments],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            ).result()

    def _is_ready(self) -> bool:
        if not self._certificate.exists():
            return False
        with self.http() as client:
            return client.get("/readyz").is_success

    def _wait_for(self, program: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except (httpx.HTTPError, OSError, ValueError):
                pass  # it does not listen yet
            if self._processes[program].poll() is not None:
                raise LabError(f"{program} ended: {self._last_line(program)}")
            time.sleep(0.05)
        raise LabError(f"{program} is not ready after {READY_S:.0f} s: {self._last_line(program)}")

    def _last_line(self, program: str) -> str:
        lines = (self._directory / f"{program}.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it printed nothing"

    def _write(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.touch(mode=0o600)
        shutil.chown(path, USER, GROUP)
        path.write_text(text)
        return path

    def _write_kubeconfig(self, file: str, token: str, namespace: str) -> Path:
        authority = base64.b64encode(self._certificate.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority-data": authority},
                }
            ],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [
                {
                    "name": "test",
                    "context": {"cluster": "test", "user": "admin", "namespace": namespace},
                }
            ],
        }
        return self._write(file, yaml.safe_dump(config))

    def _etcd(self, path: str, **fields: object) -> Any:  # noqa: ANN401
        """Call etcd by its JSON gateway; a key is bytes there, and so base64."""
        if isinstance(key := fields.get("key"), str):
            fields["key"] = base64.b64encode(key.encode()).decode()
        answer = httpx.post(f"{self._etcd_url}/v3/{path}", json=fields)
        answer.raise_for_status()
        return answer.json()


def usage_of(pid: int) -> Usage:
    """Return what a process has used: proc_pid_stat(5), fields utime and stime."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    (resident,) = (
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return Usage(sum(map(int, times)) / TICKS, resident / 1024)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _say(text: str) -> None:
    sys.stderr.write(f"kube: {text}\n")
    sys.stderr.flush()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        with ApiServer.started() as server:
            sys.stdout.write(f"export KUBECONFIG={server.kubeconfig}\n")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        pass
    except LabError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
