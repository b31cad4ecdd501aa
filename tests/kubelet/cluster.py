"""One node with all of Kubernetes: etcd, API server, controllers, scheduler, kubelet, containerd.

All of it runs in the namespaces of a machine of tests/pods: /run is a file system of its own, and
what pods write to /etc, /opt and /var never reaches the real disk. Roles are enforced.

Two parts of a cluster are missing. Services have no kube-proxy: the API server itself has its
Service's address, and asks endpoints of webhooks. Pods find no name by DNS.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.kube import build as kube
from tests.kubelet import build
from tests.pods import containerd
from tests.pods.containerd import Machine
from tests.pods.programs import programs

NODE = "node-1"
ADDRESS, GATEWAY = "192.168.99.2", "192.168.99.1"  # of the node, on a cable to nowhere
SERVICE = "10.96.0.1"  # the API server as pods see it
SERVICES, PODS = "10.96.0.0/16", "10.244.0.0/16"
PORT = 443
ETCD = "http://127.0.0.1:2379"
HOME = "/run/kube"
READY_S = 120.0
CGROUPS = Path("/sys/fs/cgroup")
CGROUP = f"dualpath-test/kubelet-{os.getpid()}"

# kubelet insists on these; files over them leave the real machine's as they are.
SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
PRIVATE = ("etc", "opt", "var")
USERS = {
    "admin": ("admin", "system:masters"),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "controllers": ("system:kube-controller-manager", "system:masters"),
    "scheduler": ("system:kube-scheduler", ""),
}
"""The name and group of whoever has a kubeconfig."""

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    # `kubectl exec` and `logs` come without a client certificate.
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": f"/{CGROUP}",
    "failSwapOn": False,
    "protectKernelDefaults": True,
    "makeIPTablesUtilChains": False,
    "nodeStatusUpdateFrequency": "1s",
    "clusterDomain": "cluster.local",
    "evictionHard": {
        "memory.available": "50Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
    },
    "imageGCHighThresholdPercent": 100,
}


# Unlike those of tests/pods, pods reach the API server and, by the node, the fabric.
NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": True,
            "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]]},
        }
    ],
}


class KubectlError(Exception):
    """kubectl failed; the text is what it printed to stderr."""


class Cluster:
    """A cluster of one node, `here`."""

    def __init__(
        self, here: Machine, parts: build.Programs, tools: kube.Programs, logs: Path
    ) -> None:
        self.here = here
        self._parts = parts
        self._tools = tools
        self._logs = logs
        self._home = here.run_directory / "kube"
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start every part, and return when the node is Ready."""
        self._write_files()
        self._start_control_plane()
        self._start(
            "kubelet",
            f"--kubeconfig={HOME}/kubelet.conf",
            f"--config={HOME}/kubelet.yaml",
            f"--root-dir={HOME}/kubelet",
            f"--cert-dir={HOME}/kubelet-pki",
            "--container-runtime=remote",
            "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
            "--pod-infra-container-image=localhost/pause:local",
            f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}",
            "--v=2",
        )
        self.until(self._is_node_ready, "the node is not Ready")

    def kubectl(self, *arguments: str, given: str = "", user: str = "admin") -> str:
        """Run kubectl and return what it prints. Raises KubectlError."""
        done = self.here.call(
            str(self._tools.kubectl), f"--kubeconfig={HOME}/{user}.conf", *arguments, given=given
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        with suppress(KubectlError):
            self.kubectl(*arguments)
            return True
        return False

    def apply(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        """Apply manifests. Fields that this Kubernetes does not know yet are dropped."""
        text = yaml.safe_dump_all(manifests)
        self.kubectl("apply", "--validate=false", "-f", "-", given=text)

    def get(self, *what: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def load(self, image: str) -> None:
        """Give an image of this machine's buildah to the node."""
        archive = self._logs / "image.tar"
        archive.unlink(missing_ok=True)
        target = f"docker-archive:{archive}:{image}"
        done = subprocess.run(
            ["buildah", "push", "--quiet", image, target],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{image}: {done.stderr}: run `make images`"
        self.here.load_archive(archive)
        archive.unlink()

    def pid_of(self, pod: Mapping[str, Any]) -> str:
        """Return the process of a pod's first container, as the node numbers it."""
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix(
            "containerd://"
        )
        tasks = (line.split() for line in self.here.ctr("tasks", "list").splitlines()[1:])
        return next(task[1] for task in tasks if task[0] == container)

    def until(self, condition: Callable[[], object], what: str, limit_s: float = READY_S) -> None:
        """Wait for a condition. Fails with what every part of the cluster said last."""
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"{what}\n{self.said()}"
            for name, process in self._started.items():
                assert process.poll() is None, f"{name} ended\n{self.said()}"
            time.sleep(0.2)

    def said(self) -> str:
        lines = []
        for path in sorted(self._logs.glob("*.log")):
            lines += [f"== {path.name}", path.read_text(errors="replace")[-2000:]]
        with suppress(KubectlError):
            lines += [self.kubectl("get", "pods", "-A", "-o", "wide")]
            lines += [self.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp")[-4000:]]
        return "\n".join(lines)

    def _write_files(self) -> None:
        self._home.mkdir()
        tokens = {user: secrets.token_hex(16) for user in USERS}
        lines = [f'{tokens[u]},{name},{u},"{group}"' for u, (name, group) in USERS.items()]
        (self._home / "tokens").write_text("\n".join(lines) + "\n")
        for user, token in tokens.items():
            (self._home / f"{user}.conf").write_text(yaml.safe_dump(_kubeconfig(token)))
        (self._home / "kubelet.yaml").write_text(yaml.safe_dump(KUBELET))
        network = self.here.run_directory / "containerd/cni/10-pods.conflist"
        network.write_text(json.dumps(NETWORK))
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self._home / "accounts.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )

    def _start_control_plane(self) -> None:
        peer = "http://127.0.0.1:2380"
        self._run(
            "etcd",
            str(self._tools.etcd),
            f"--data-dir={HOME}/etcd",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._start(
            "kube-apiserver",
            f"--etcd-servers={ETCD}",
            f"--advertise-address={ADDRESS}",
            f"--secure-port={PORT}",
            f"--cert-dir={HOME}/pki",
            f"--service-cluster-ip-range={SERVICES}",
            f"--token-auth-file={HOME}/tokens",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={HOME}/accounts.key",
            f"--service-account-signing-key-file={HOME}/accounts.key",
            "--allow-privileged=true",
            "--anonymous-auth=false",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-aggregator-routing=true",  # webhooks by endpoints: there is no kube-proxy
        )
        self.until(self._is_api_ready, "the API server is not ready")
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={HOME}/controllers.conf",
            f"--service-account-private-key-file={HOME}/accounts.key",
            f"--root-ca-file={HOME}/pki/apiserver.crt",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            f"--cluster-cidr={PODS}",
            "--allocate-node-cidrs=false",
        )
        self._start(
            "kube-scheduler",
            f"--kubeconfig={HOME}/scheduler.conf",
            f"--authentication-kubeconfig={HOME}/admin.conf",
            f"--authorization-kubeconfig={HOME}/admin.conf",
            "--leader-elect=false",
        )

    def _start(self, program: str, *options: str) -> None:
        self._run(program, self._parts[program], *options)

    def _run(self, name: str, *command: str) -> None:
        # kubelet asks for credentials of a cloud's registry, for 6 s, if it may.
        quietly = ("env", "AWS_EC2_METADATA_DISABLED=true")
        self._started[name] = self.here.start(self._logs / f"{name}.log", *quietly, *command)

    def _is_api_ready(self) -> bool:
        return self.succeeds("get", "--raw=/readyz")

    def _is_node_ready(self) -> bool:
        with suppress(KubectlError):
            return is_true("Ready", self.get("node", NODE))
        return False


def is_true(condition: str, found: Mapping[str, Any]) -> bool:
    """Tell whether an object's condition is True."""
    conditions = found.get("status", {}).get("conditions", ())
    return any(c["type"] == condition and c["status"] == "True" for c in conditions)


@contextmanager
def cluster(logs: Path) -> Iterator[Cluster]:
    """Have a cluster for the length of a block. Raises LabError."""
    with build.built(print) as parts, kube.built(print) as tools:
        for hierarchy in CGROUPS.iterdir():
            (hierarchy / CGROUP).mkdir(parents=True, exist_ok=True)
        with containerd.machine(programs(print), logs, _preparation()) as here:
            found = Cluster(here, parts, tools, logs)
            found.start()
            yield found


def _preparation() -> str:
    """Return a script for the machine's namespaces."""
    lines = [
        f"""
        mkdir -p /run/disk/{name}/upper /run/disk/{name}/work
        mount -t overlay overlay /{name} \\
            -o lowerdir=/{name},upperdir=/run/disk/{name}/upper,workdir=/run/disk/{name}/work
        """
        for name in PRIVATE
    ]
    lines += [
        f"""
        echo {value} >/run/disk/{name.replace("/", "-")}
        mount --bind /run/disk/{name.replace("/", "-")} /proc/sys/{name}
        """
        for name, value in SYSCTLS.items()
    ]
    lines += [
        f"""
        ip link add node0 type veth peer name node0p
        ip address add {ADDRESS}/24 dev node0
        ip link set node0 up
        ip link set node0p up
        ip route add default via {GATEWAY}
        ip address add {SERVICE}/32 dev lo
        """
    ]
    return "".join(lines)


def _kubeconfig(token: str) -> dict[str, Any]:
    server = {"server": f"https://{ADDRESS}:{PORT}", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": server}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
